"""The work on one destination, with a real store: what goes out, what is tried again, and what is on the disk when (promise P7)."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import pytest

from gatewayd import (
    DELIVERY_SECONDS,
    AuthError,
    ConfigError,
    Courier,
    Forwarder,
    PermanentError,
    PluginError,
    Receipt,
    Recipient,
    TransientError,
)
from gatewayd.config import LimitsConfig
from gatewayd.outgoing.outbox import LIMIT, Outbox, abandoned
from gatewayd.testing import FakeServer
from gatewayd.testing.contracts.custodian import make_raw
from tests.patience import AT_ONCE
from tests.unit.heard import events
from tests.unit.outbound import ACME, Post

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Parcel, Settled


# --- parcels ----------------------------------------------------------------------------------------------------------


def test_P7_a_delivery_goes_out_once_with_all_that_its_courier_needs(post: Post) -> None:
    server = post.account()
    mail = post.mail(make_raw(7, subject="Rome"))
    one = post.enter("a@example.com", "b@example.com", mail=mail)
    done = post.deliver()
    assert (done.taken, done.delivered, done.waiting, done.parked, done.error, done.rest) == (1, 1, 0, 0, None, 0.0)
    (parcel,) = server.delivered
    view = post.view(one)
    assert parcel.id == one
    assert (parcel.message_id, parcel.cause) == (view.delivery.message_id, "person:anna")
    assert (parcel.filing.id, parcel.filing.subject, parcel.filing.operator) == (mail, "Rome", "acme")
    assert parcel.source.read(0, parcel.source.size) == make_raw(7, subject="Rome")
    assert (parcel.mode, parcel.to, parcel.addressed) == ("attached", ("a@example.com", "b@example.com"), view.delivery.to)
    assert parcel.sender is not None
    assert parcel.sender.email == "out@acme.example"
    assert parcel.hops == (f"Gatewayd-Hop: {view.delivery.message_id}",)
    assert abs((parcel.entered_at - datetime.now(UTC)).total_seconds()) < 60
    assert (view.state, view.tries, view.words) == ("delivered", 1, "")
    assert post.deliver().taken == 0
    assert server.open == 0


def test_P7_what_a_courier_writes_down_is_there_at_the_next_try_and_not_behind_the_last(post: Post) -> None:
    server = post.account()
    one = post.enter()
    server.notes = {one: "draft 7"}
    server.says = {one: TransientError("out: the connection is lost")}
    assert post.deliver().waiting == 1
    post.now(one)
    server.notes, server.says = {}, {}
    assert post.deliver().delivered == 1
    second = server.begun[1]
    assert second.note.text == "draft 7"
    with pytest.raises(TransientError, match=f"another process has taken delivery {one}"):
        second.note.write("late")
    assert second.note.text == "draft 7"


# --- what the other side says -----------------------------------------------------------------------------------------


def test_P7_what_this_process_took_and_does_not_know_of_is_delivered_by_its_next_round(post: Post) -> None:
    """The store went away before it could answer that something was taken, or before that could be given back."""
    server = post.account()
    one, two = post.enter(), post.enter()
    assert len(post.store.take("account out", post.owner.name, limit=1, dead=lambda _: False)) == 1
    destinations = post.store.destinations(dead=partial(abandoned, post.owner))
    assert destinations["account out"] <= 0
    assert post.deliver().delivered == 2
    assert sorted(parcel.id for parcel in server.delivered) == [one, two]


def test_P7_only_who_waits_gets_it_again_and_it_is_equal_but_for_that(post: Post) -> None:
    server = post.account()
    one = post.enter("a@example.com", "b@example.com")
    server.says = {one: (("delivered", ""), ("waiting", "451 busy"))}
    done = post.deliver()
    assert (done.delivered, done.waiting, done.error) == (0, 1, None)
    view = post.view(one)
    assert (view.state, view.words, view.tries) == ("waiting", "b@example.com: 451 busy", 1)
    assert [(one.address, one.state) for one in view.recipients] == [("a@example.com", "delivered"), ("b@example.com", "waiting")]
    assert view.due_at is not None
    assert 40 < (view.due_at - datetime.now(UTC)).total_seconds() < 80
    assert post.deliver().taken == 0
    post.now(one)
    server.says = {}
    assert post.deliver().delivered == 1
    first, second = server.begun
    assert second.to == ("b@example.com",)
    assert second.addressed == first.addressed
    assert second.message_id == first.message_id
    assert post.view(one).state == "delivered"


def test_P7_what_is_refused_is_parked_with_the_words_and_the_rest_goes_on(post: Post) -> None:
    server = post.account()
    ids = [post.enter() for _ in range(3)]
    server.says = {ids[1]: (("refused", "550 no such user"),)}
    done = post.deliver()
    assert (done.delivered, done.parked, done.error) == (2, 1, None)
    assert post.states(ids) == ["delivered", "parked", "delivered"]
    assert post.view(ids[1]).words == "550 no such user"
    assert server.opened == 1


def test_P7_old_mail_is_given_up(post: Post) -> None:
    server = post.account()
    one = post.enter()
    server.says = {one: (("waiting", "451 busy"),)}
    post.limits = LimitsConfig.model_construct(give_up=1e-6)
    assert post.deliver().parked == 1
    assert post.view(one).words == "given up after 0 seconds; last: 451 busy"


# --- destinations that break -------------------------------------------------------------------------------------------------


def test_P7_a_server_that_is_away_keeps_all_waiting_with_its_words_and_the_destination_rests(post: Post) -> None:
    server = post.account()
    ids = [post.enter() for _ in range(3)]
    server.shut = TransientError("out: connection refused")
    done = post.deliver()
    assert (done.delivered, done.waiting, done.error) == (0, 3, server.shut)
    assert 8 <= done.rest <= 12
    for one in ids:
        view = post.view(one)
        assert (view.state, view.words, view.tries) == ("waiting", "out: connection refused", 1)
        assert view.due_at is not None
        assert 6 < (view.due_at - datetime.now(UTC)).total_seconds() < 13
    post.now(*ids)
    assert 16 <= post.deliver(failures=1).rest <= 24
    server.shut = None
    post.now(*ids)
    assert post.deliver().delivered == 3


def test_a_refused_login_lets_the_destination_rest_for_long(post: Post) -> None:
    server = post.account()
    one = post.enter()
    server.shut = AuthError("out: 535 wrong password")
    done = post.deliver()
    assert done.error is server.shut
    assert 720 <= done.rest <= 1080
    assert post.view(one).words == "out: 535 wrong password"


def test_P7_a_connection_that_breaks_costs_only_what_was_in_hand_a_try(post: Post) -> None:
    server = post.account()
    ids = [post.enter() for _ in range(4)]
    server.says = {ids[1]: TransientError("the connection broke")}
    done = post.deliver()
    assert (done.delivered, done.waiting, done.error) == (3, 1, None)
    assert server.opened == 2
    assert [one.id for one in server.begun] == ids
    view = post.view(ids[1])
    assert (view.state, view.words, view.tries) == ("waiting", "the connection broke", 1)


def test_a_server_that_breaks_each_connection_is_left_alone_after_three(post: Post) -> None:
    server = post.account()
    ids = [post.enter() for _ in range(5)]
    server.says = dict.fromkeys(ids, TransientError("broken"))
    done = post.deliver()
    assert (done.waiting, server.opened) == (3, 3)
    assert isinstance(done.error, TransientError)
    assert done.rest > 0
    assert [post.view(one).tries for one in ids] == [1, 1, 1, 0, 0]
    server.says = {}
    assert post.deliver().delivered == 2


def test_a_server_that_goes_away_in_between_lets_the_rest_wait_with_its_words(post: Post) -> None:
    server = post.account()
    ids = [post.enter() for _ in range(3)]

    refused = TransientError("refused now")

    def settled(*_: object) -> None:
        server.shut = refused

    server.says = {ids[1]: TransientError("broke")}
    done = post.deliver(events=events(delivery_settled=settled))
    assert done.error is refused
    assert post.states(ids) == ["delivered", "waiting", "waiting"]
    assert [post.view(one).words for one in ids] == ["", "broke", "refused now"]


def test_a_server_that_took_something_is_tried_soon_however_often_it_broke_off_before(post: Post) -> None:
    server = post.account()
    post.enter_many(2)
    server.shut = TransientError("away")
    assert post.deliver(failures=6).failures == 7
    server.shut = None
    ids = post.enter_many(3)
    server.says = {ids[1]: TransientError("broke off")}
    done = post.deliver(opened=lambda one: setattr(server, "shut", None if one else TransientError("away")), failures=7)
    assert isinstance(done.error, TransientError)
    assert (done.delivered, done.failures) == (1, 1)
    assert done.rest <= 12


def test_a_login_that_ends_in_between_lets_the_destination_rest(post: Post) -> None:
    server = post.account()
    ids = [post.enter() for _ in range(2)]
    server.says = {ids[0]: AuthError("530 log in again")}
    done = post.deliver()
    assert isinstance(done.error, AuthError)
    assert [post.view(one).tries for one in ids] == [1, 0]
    assert server.opened == 1


def test_P7_a_permanent_error_parks_what_was_in_hand_alone(post: Post) -> None:
    server = post.account()
    ids = [post.enter() for _ in range(6)]
    # However many there are in a row: it is no fault of the server.
    server.says = dict.fromkeys(ids[:4], PermanentError("it can't be carried"))
    done = post.deliver()
    assert (done.parked, done.delivered, done.error) == (4, 2, None)
    assert [post.view(one).words for one in ids] == ["it can't be carried"] * 4 + ["", ""]


# --- forwarders with bugs ---------------------------------------------------------------------------------------------


def test_P4_a_forwarder_that_raises_what_it_may_not_costs_its_destination_alone(post: Post) -> None:
    server, other = post.account(), post.account("other")
    ids, fine = [post.enter() for _ in range(2)], post.enter(account="other")
    server.says = {ids[0]: ZeroDivisionError("secret@example.com")}
    done = post.deliver()
    assert isinstance(done.error, PluginError)
    assert "ZeroDivisionError" in done.error.message
    assert [(post.view(one).state, post.view(one).tries) for one in ids] == [("waiting", 1), ("waiting", 0)]
    assert post.deliver("account other").delivered == 1
    assert [one.id for one in other.delivered] == [fine]


class Crooked(FakeServer):
    """Its courier breaks the contract."""

    def __init__(self, receipts: Any) -> None:
        super().__init__()
        self.receipts = receipts

    def courier(self) -> Courier:
        inner, receipts = super().courier(), self.receipts

        class Made(Courier):
            def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Receipt]:
                return receipts(parcels)  # type: ignore[no-any-return]

            abort, close = inner.abort, inner.close

        return Made()


def _said(one: Parcel, *addresses: str) -> Receipt:
    return Receipt(id=one.id, recipients=tuple(Recipient(address=to, state="delivered") for to in addresses or one.to))


def _sent(one: Parcel) -> Receipt:
    """Its courier has a word of its own for what it did."""
    said = _said(one)
    return replace(said, recipients=tuple(replace(to, state="sent") for to in said.recipients))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("receipts", "words", "states"),
    [
        (lambda _: [], "said nothing of delivery 1", ["waiting", "waiting"]),
        (lambda parcels: [_said(parcels[0])], "said nothing of delivery 2", ["delivered", "waiting"]),
        (lambda parcels: [_said(parcels[1])], "Receipt.id is 2, expected 1, whose turn it was", ["parked", "waiting"]),
        (
            lambda parcels: [_said(parcels[0]), _said(parcels[0])],
            "Receipt.id is 1, expected 2, whose turn it was",
            ["delivered", "parked"],
        ),
        (lambda parcels: [*map(_said, parcels), _said(parcels[0])], "expected no further receipt", ["delivered", "delivered"]),
        (lambda parcels: [_said(parcels[0], "someone@else.example")], "Receipt.recipients is", ["parked", "waiting"]),
        (
            lambda parcels: [replace(_said(parcels[0]), recipients=cast("Any", []))],
            "Receipt.recipients is a list",
            ["parked", "waiting"],
        ),
        (lambda parcels: [_sent(parcels[0])], "Receipt.recipients[0].state is 'sent', expected waiting or", ["parked", "waiting"]),
        (lambda _: 7, "it is 7, expected an iterator", ["waiting", "waiting"]),
    ],
)
def test_P7_a_receipt_that_can_not_be_believed_parks_what_was_in_hand_and_sends_nothing_more(
    post: Post, receipts: Any, words: str, states: list[str]
) -> None:
    post.account()
    post.servers["out"] = Crooked(receipts)
    ids = [post.enter() for _ in range(2)]
    done = post.deliver()
    assert isinstance(done.error, PluginError)
    assert words in done.error.message
    assert "the forwarder" in done.error.message or "the courier" in done.error.message
    assert post.states(ids) == states


def test_P4_a_forwarder_that_can_not_be_made_keeps_its_deliveries_waiting(post: Post) -> None:
    post.account()
    one = post.enter()

    class Broken(Forwarder):
        def __init__(self, *_: object, **__: object) -> None:
            raise RuntimeError("bug")

        def open(self) -> Courier:
            raise NotImplementedError

    config = post.config()
    config.registry._classes["forwarders", "fake"] = Broken  # type: ignore[index]
    done = Outbox(config).deliver("account out", post.tools(), failures=0)
    assert (done.waiting, done.error) == (1, None)
    assert "RuntimeError" in post.view(one).words


# --- on the disk ------------------------------------------------------------------------------------------------------


def test_P7_what_was_delivered_is_on_the_disk_before_the_connection_is_closed_at_most_eight_behind(post: Post) -> None:
    server = post.account()
    ids = list(post.enter_many(40))
    commits: list[int] = []
    ahead: list[int] = []
    real = post.store.settle

    def settle(taker: str, settled: Sequence[Settled]) -> frozenset[int]:
        time.sleep(0.005)
        done = real(taker, settled)
        commits.append(len(settled))
        return done

    closed: list[int] = []
    post.store.settle = settle  # type: ignore[method-assign]

    def moved() -> None:
        ahead.append(len(server.begun) - sum(commits))

    def opened(courier: Courier | None) -> None:
        if courier is None:
            closed.append(sum(commits))

    assert post.deliver(moved=moved, opened=opened).delivered == 40
    assert closed == [40]
    assert len(commits) < 40
    assert max(ahead) <= 8 + 1
    assert [one.id for _, one, _ in post.told] == ids


def test_P7_a_store_that_is_away_for_a_moment_makes_no_repeat(post: Post) -> None:
    server = post.account()
    ids = [post.enter() for _ in range(3)]
    real, failures, tries = post.store.settle, [TransientError("the database is locked")] * 2, list[float]()

    def settle(taker: str, settled: Sequence[Settled]) -> frozenset[int]:
        tries.append(time.monotonic())
        if failures:
            raise failures.pop()
        return real(taker, settled)

    post.store.settle = settle  # type: ignore[method-assign]
    assert post.deliver().delivered == 3
    assert post.states(ids) == ["delivered"] * 3
    assert len(server.begun) == 3
    assert min(later - one for one, later in pairwise(tries[:3])) >= 0.5, "it leaves the store in peace meanwhile"


def test_told_to_stop_it_does_not_wait_for_a_store_that_is_away(post: Post) -> None:
    post.account()
    post.enter()
    stop, tries = list[bool](), list[float]()

    def settle(*_: object) -> frozenset[int]:
        tries.append(time.monotonic())
        stop.append(True)
        raise TransientError("the database is locked")

    post.store.settle = settle  # type: ignore[method-assign, assignment]
    done = post.deliver(stopping=lambda: bool(stop))
    assert (done.delivered, len(tries)) == (0, 1)


def test_P7_what_can_not_be_committed_ends_the_round_and_is_told(post: Post) -> None:
    server = post.account()
    one, *_ = post.enter_many(40)

    real = post.store.settle

    def settle(*_: object) -> frozenset[int]:
        raise ConfigError("the store's file is damaged")

    post.store.settle = settle  # type: ignore[method-assign, assignment]
    couriers: list[Courier | None] = []
    done = post.deliver(opened=couriers.append)
    assert isinstance(done.error, ConfigError)
    assert done.rest > 0
    assert (done.delivered, post.view(one).tries) == (0, 0)
    assert len(server.begun) <= 8 + 1, "what is sent and not committed is sent again"
    assert (server.opened, server.open, couriers[-1]) == (1, 0, None)
    sent = len(server.begun)
    post.store.settle = real  # type: ignore[method-assign]
    assert post.deliver().delivered == 40
    assert len(server.begun) == 40 + sent, "what was sent and not committed goes again, with what was given back"


def test_P7_what_was_frozen_while_it_took_them_or_connected_sends_nothing(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    server = post.account()
    one = post.enter()
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def freezing(real: Any) -> Any:
        def frozen(*args: Any, **fields: Any) -> Any:
            found = real(*args, **fields)
            clock[0] += DELIVERY_SECONDS
            return found

        return frozen

    for of, name in ((server, "courier"), (post.store, "take")):
        with monkeypatch.context() as frozen:
            frozen.setattr(of, name, freezing(getattr(of, name)))
            done = post.deliver()
        assert (done.taken, done.delivered, server.begun) == (1, 0, [])
        assert (post.view(one).state, post.view(one).tries) == ("waiting", 0)
    assert post.deliver().delivered == 1


def test_what_another_owner_has_by_now_is_not_told(post: Post) -> None:
    post.account()
    post.enter()
    post.store.settle = lambda *_: frozenset()  # type: ignore[method-assign]
    done = post.deliver()
    assert (done.delivered, post.told) == (0, [])


def test_a_store_that_can_not_be_read_gives_all_back(post: Post) -> None:
    post.account()
    one = post.enter()
    real = post.store.filings

    def filings(*_: object) -> Sequence[Any]:
        raise TransientError("the store is away")

    post.store.filings = filings  # type: ignore[method-assign, assignment]
    done = post.deliver()
    assert isinstance(done.error, TransientError)
    assert done.rest > 0
    post.store.filings = real  # type: ignore[method-assign]
    assert post.view(one).tries == 0
    assert post.deliver().delivered == 1


def test_a_destination_gets_no_more_than_it_may_at_a_time(post: Post) -> None:
    server = post.account()
    post.enter_many(LIMIT + 1)
    assert (post.deliver().delivered, post.deliver().delivered) == (LIMIT, 1)
    assert server.opened == 2


def test_a_destination_where_all_went_well_or_nothing_is_due_need_not_rest(post: Post) -> None:
    post.account()
    post.enter()
    for delivered in (1, 0):
        done = post.deliver(failures=3)
        assert (done.delivered, done.error, done.rest, done.failures) == (delivered, None, 0.0, 0)


def test_what_all_have_already_is_done_without_a_word_to_the_server(post: Post) -> None:
    server = post.account()
    one = post.enter()
    real = post.store.take
    had = (Recipient(address="duty@example.com", state="delivered"),)
    post.store.take = lambda *a, **k: [replace(found, recipients=had) for found in real(*a, **k)]  # type: ignore[method-assign]
    assert post.deliver().delivered == 1
    assert (post.view(one).state, server.opened) == ("delivered", 0)


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_told_to_stop_it_ends_behind_what_it_has_in_hand_and_gives_the_rest_back(post: Post) -> None:
    server = post.account()
    ids = [post.enter() for _ in range(4)]
    stop: list[bool] = []
    done = post.deliver(moved=lambda: stop.append(True), stopping=lambda: bool(stop))
    assert (done.delivered, done.error) == (1, None)
    assert [one.id for one in server.begun] == ids[:1]
    assert [(post.view(one).state, post.view(one).tries) for one in ids[1:]] == [("waiting", 0)] * 3
    assert post.deliver().delivered == 3


def test_aborted_it_gives_back_what_it_had_in_hand_without_a_try(post: Post) -> None:
    server = post.account()
    ids = [post.enter() for _ in range(2)]
    server.hangs = {ids[1]}
    couriers: list[Courier | None] = []
    stopping = threading.Event()
    rounds: list[Any] = []
    work = threading.Thread(
        target=lambda: rounds.append(post.deliver(opened=couriers.append, stopping=stopping.is_set)), daemon=True
    )
    work.start()
    while len(server.begun) < 2:
        time.sleep(0.005)
    stopping.set()
    assert couriers[0] is not None
    couriers[0].abort()
    work.join(AT_ONCE)
    assert not work.is_alive()
    assert (rounds[0].delivered, rounds[0].error) == (1, None)
    assert [(post.view(one).state, post.view(one).tries) for one in ids] == [("delivered", 1), ("waiting", 0)]
    server.hangs = set()
    assert post.deliver().delivered == 1


def test_who_asks_for_others_deliveries_sees_none(post: Post) -> None:
    post.account()
    one = post.enter()
    assert post.store.redeliver(replace(ACME, operator="globetrot"), [one]) == 0
