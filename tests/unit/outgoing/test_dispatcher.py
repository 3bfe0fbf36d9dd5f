"""The threads of the outbox: who is tried when, and that nobody's trouble is another's (promises P4, P7)."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from gatewayd import AuthError, Forwarder, TokenSource, TokenUse, TransientError
from gatewayd.config import LimitsConfig
from gatewayd.outgoing.dispatcher import Dispatcher
from gatewayd.outgoing.outbox import LIMIT, Outbox
from tests.patience import LONG
from tests.unit.log import logged
from tests.unit.outbound import ACME, Post
from tests.unit.outgoing.dispatching import QUICK, Away, posting
from tests.unit.sealing.paper_authority import PaperCredential, PaperOptions
from tests.unit.supervised import until

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with logged() as made:
        yield made


def test_P7_what_is_entered_goes_out_within_a_second_or_so(post: Post) -> None:
    server = post.account()
    first = post.enter()
    with posting(post) as made:
        until(lambda: len(server.delivered) == 1)
        second = post.enter()
        until(lambda: len(server.delivered) == 2)
        assert made.alive()
        until(lambda: post.states([first, second]) == ["delivered"] * 2)
    assert [(destination, taken.id, settled.state) for destination, taken, settled in post.told] == [
        ("account out", first, "delivered"),
        ("account out", second, "delivered"),
    ]


def test_woken_it_does_not_wait_for_its_second(post: Post) -> None:
    server = post.account()
    with posting(post) as made:
        took = []
        for number in range(1, 6):
            post.enter()
            began = time.monotonic()
            made.wake()
            until(lambda number=number: len(server.delivered) == number)  # type: ignore[misc]
            took.append(time.monotonic() - began)
    # Each begins when the one before was just done: by the clock alone each would take its second.
    assert min(took) < 0.7, took


def test_more_than_a_round_is_delivered_without_a_pause(post: Post) -> None:
    server = post.account()
    post.enter_many(2 * LIMIT + 1)
    with posting(post):
        until(lambda: len(server.delivered) == 2 * LIMIT + 1)
    assert server.opened == 3


def test_P7_what_is_not_taken_yet_is_tried_again_until_it_is(post: Post) -> None:
    server = post.account()
    one = post.enter()
    server.says = {one: (("waiting", "451 busy"),)}
    with posting(post):
        until(lambda: len(server.begun) >= 3)
        server.says = {}
        until(lambda: post.view(one).state == "delivered")
    assert post.view(one).tries == len(server.begun)


def test_P7_a_server_that_is_away_is_tried_again_ever_more_rarely_and_both_are_told(post: Post, log: io.StringIO) -> None:
    server = post.account()
    one = post.enter()
    server.shut = TransientError("out: connection refused")
    with posting(post):
        until(lambda: post.view(one).tries >= 3)
        server.shut = None
        until(lambda: post.view(one).state == "delivered")
        until(lambda: "destination well again" in log.getvalue())
    lines = [line for line in log.getvalue().splitlines() if "destination" in line]
    assert 'destination failed destination="account out" retry_in=' in lines[0]
    assert 'failures=1 error=TransientError cause="out: connection refused"' in lines[0]
    assert "failures=2" in lines[1]


def test_after_a_refused_login_nothing_is_tried_until_the_accounts_file_changes(post: Post) -> None:
    server, other = post.account(), post.account("other")
    server.shut = AuthError("out: wrong password")
    one = post.enter()
    with posting(post) as made:
        until(lambda: post.view(one).tries == 1)
        # Neither new mail nor a retry, nor somebody else's file, makes a hasty try.
        post.now(one, post.enter())
        post.account("other", description="changed")
        made.apply(post.config())
        post.enter(account="other")
        until(lambda: len(other.delivered) == 1)
        time.sleep(0.3)
        assert post.view(one).tries == 1
        server.shut = None
        post.account("out", description="with another password")
        made.apply(post.config())
        until(lambda: len(server.delivered) == 2)


class Consenting(Forwarder.Options):
    """Options of an account that logs in by a person's consent."""

    @property
    def token_use(self) -> TokenUse:
        return TokenUse(TokenSource(PaperCredential(PaperOptions(folder="/nowhere"))), "irina@paper.example")


class Keeper:
    """Knows how often a person has consented."""

    consents = 0

    def renewed(self, use: TokenUse) -> NoReturn:
        raise AssertionError(use)

    def mark(self, use: TokenUse) -> bytes:
        assert use.user == "irina@paper.example"
        return bytes(self.consents)


def test_what_was_put_off_for_want_of_a_consent_goes_when_the_person_has_consented(post: Post) -> None:
    options, keeper = Consenting(), Keeper()
    # A source of the test's own keeps what sources share while nobody else has one.
    source = options.token_use.source
    source.keep_consents(keeper)
    server, other = post.account(options=options), post.account("other")
    server.shut = other.shut = AuthError("refused")
    ids = [post.enter(), post.enter(account="other")]
    with posting(post):
        until(lambda: [post.view(one).tries for one in ids] == [1, 1])
        until(lambda: len([one for one in post.store.healths() if one.condition == "paused"]) == 2)
        keeper.consents += 1
        until(lambda: post.view(ids[0]).tries == 2)
        # It was another person's consent, or is refused, too: that is no reason for haste.
        server.shut = other.shut = None
        time.sleep(0.3)
        assert post.states(ids) == ["waiting"] * 2
        keeper.consents += 1
        until(lambda: post.states(ids) == ["delivered", "waiting"])


@pytest.mark.parametrize("how", ["secret", "file", "restart"])
def test_what_was_put_off_for_a_refused_log_in_goes_at_once_when_that_is_mended(post: Post, how: str) -> None:
    mail, hook = post.account(), post.hook()
    mail.shut = hook.shut = AuthError("wrong password")
    ids = [post.enter(), post.enter_hook()]
    with posting(post) as made:
        until(lambda: [post.view(one).tries for one in ids] == [1, 1])
        until(lambda: any(one.condition == "paused" for one in post.store.healths()))
        mail.shut = hook.shut = None
        if how == "secret":
            made.retry(["accounts/out.yaml", "operators/acme.yaml", "accounts/other.yaml"])
        elif how == "file":
            post.account(description="changed")
            post.target(replace(post.operators["acme"].targets["crm"], to=("changed",)))
            made.apply(post.config())
        if how != "restart":
            until(lambda: post.states(ids) == ["delivered"] * 2)
    if how == "restart":
        with posting(post):
            until(lambda: post.states(ids) == ["delivered"] * 2)


def test_P4_targets_that_hang_never_delay_others(post: Post) -> None:
    post.limits = LimitsConfig(deliveries=2)
    hanging = [post.account(f"hang{number}") for number in range(6)]
    for number, server in enumerate(hanging):
        server.hangs = {post.enter(account=f"hang{number}")}
    good = post.account("good")
    with posting(post, slow=0.1):
        # Of the eight places in all, the six are taken.
        until(lambda: all(server.begun for server in hanging))
        for number in range(1, 4):
            post.enter(account="good")
            until(lambda number=number: len(good.delivered) == number)  # type: ignore[misc]
    assert [len(server.delivered) for server in hanging] == [0] * 6


def test_P4_a_destination_that_failed_takes_no_working_destinations_room(post: Post) -> None:
    post.limits = LimitsConfig(deliveries=1)
    bad, good = post.account("bad"), post.account("good")
    one = post.enter(account="bad")
    bad.shut = TransientError("away")
    with posting(post, slow=60):
        until(lambda: post.view(one).tries > 0)
        bad.shut = None
        bad.hangs = {one}
        until(lambda: bad.begun)
        post.enter(account="good")
        until(lambda: len(good.delivered) == 1)


def test_P4_a_destination_with_much_to_go_does_not_keep_others_waiting(post: Post) -> None:
    post.limits = LimitsConfig(deliveries=1)
    much, little = post.account("much"), post.account("little")
    post.enter_many(3 * LIMIT, "much")
    much.pause = 0.002
    with posting(post):
        until(lambda: much.begun)
        post.enter(account="little")
        until(lambda: little.delivered)
        assert len(much.delivered) < 3 * LIMIT


def test_no_more_destinations_are_worked_on_at_once_than_the_config_wants(post: Post) -> None:
    post.limits = LimitsConfig(deliveries=2)
    servers = [post.account(f"out{number}") for number in range(6)]
    for number, server in enumerate(servers):
        server.pause = 0.05
        post.enter(account=f"out{number}")
    most = 0
    with posting(post):
        while not all(server.delivered for server in servers):
            most = max(most, sum(server.open for server in servers))
            time.sleep(0.002)
    assert most == 2


def test_P4_a_bug_in_the_work_on_a_destination_is_that_destinations(
    post: Post, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = post.account("good")
    post.account("bad")
    real = Outbox.deliver

    def deliver(self: Outbox, destination: str, *args: Any, **fields: Any) -> Any:
        if destination == "account bad":
            raise ZeroDivisionError
        return real(self, destination, *args, **fields)

    monkeypatch.setattr(Outbox, "deliver", deliver)
    post.enter(account="bad")
    post.enter(account="good")
    with posting(post):
        until(lambda: len(server.delivered) == 1)
        until(lambda: "ZeroDivisionError" in log.getvalue())
    assert 'destination failed destination="account bad" retry_in=60' in log.getvalue()


def test_P7_a_store_that_goes_away_and_comes_back_is_waited_for_and_said_once(post: Post, log: io.StringIO) -> None:
    server = post.account()
    away: Any = Away(post.store)
    away.fails = {"destinations": TransientError("the database is away")}
    made = Dispatcher(away, post.owner, policy=QUICK)
    made.apply(post.config())
    until(lambda: away.asked >= 2)
    made.wake()
    assert made.alive()
    post.enter()
    away.fails = {"take": TransientError("the database is away again")}
    until(lambda: "away again" in log.getvalue())
    away.fails = {}
    until(lambda: len(server.delivered) == 1)
    assert made.stop(LONG) == 0
    assert log.getvalue().count("outbox waits for the store") == 1


def test_a_bug_in_the_loop_does_not_end_it(post: Post, log: io.StringIO) -> None:
    server = post.account()
    away: Any = Away(post.store)
    away.fails = {"destinations": ZeroDivisionError()}
    post.enter()
    made = Dispatcher(away, post.owner, policy=QUICK)
    made.apply(post.config())
    until(lambda: "own fault room=posting error=ZeroDivisionError" in log.getvalue())
    away.fails = {}
    until(lambda: len(server.delivered) == 1)
    assert made.stop(LONG) == 0


def test_what_waits_for_long_is_warned_of_once(post: Post, log: io.StringIO) -> None:
    server = post.account()
    post.limits = LimitsConfig.model_construct(warn=1e-6)
    one = post.enter()
    server.shut = AuthError("no")
    with posting(post):
        until(lambda: "delivery overdue" in log.getvalue())
    assert f"delivery overdue delivery={one} mail={post.view(one).mail_id} operator=acme" in log.getvalue()
    assert list(post.store.overdue(0)) == []


def test_told_to_stop_it_aborts_what_hangs_and_gives_it_back(post: Post) -> None:
    server = post.account()
    one = post.enter()
    server.hangs = {one}
    with posting(post):
        until(lambda: server.begun)
    assert (post.view(one).state, post.view(one).tries) == ("waiting", 0)
    assert server.open == 0
    assert post.deliver("account nobody").taken == 0
    server.hangs = set()
    assert post.deliver().delivered == 1


def test_P7_what_hangs_in_connecting_is_left_behind_and_tried_by_the_next_start(post: Post) -> None:
    server = post.account()
    one = post.enter()
    begun: list[bool] = []
    ended: list[bool] = []

    def courier() -> Any:
        begun.append(True)
        while not ended:
            time.sleep(0.01)
        raise TransientError("too late")

    real, server.courier = server.courier, courier  # type: ignore[method-assign]
    made = Dispatcher(post.store, post.owner, policy=QUICK)
    made.apply(post.config())
    until(lambda: begun)
    assert made.stop(0.5) == 1
    server.courier = real  # type: ignore[method-assign]
    post.owner.close()
    with Post(post.folder, store=post.store) as after:
        after.accounts, after.servers = post.accounts, post.servers
        with posting(after):
            until(lambda: post.view(one).state == "delivered")
    ended.append(True)


def test_one_that_never_began_ends_at_once(post: Post) -> None:
    made = Dispatcher(post.store, post.owner)
    assert made.alive()
    made.halt()
    assert made.stop(LONG) == 0


def test_P6_nobody_else_sees_it(post: Post) -> None:
    post.account()
    one = post.enter()
    assert post.store.cancel(replace(ACME, operator="globetrot"), [one], who="x") == 0


@pytest.mark.parametrize("when", ["changed", "started"])
def test_P7_what_is_to_be_tried_at_once_is_tried_when_a_store_that_was_away_is_back(post: Post, when: str) -> None:
    server = post.account()
    server.shut = AuthError("out: wrong password")
    one = post.enter()
    away: Any = Away(post.store)
    made = Dispatcher(away, post.owner, policy=QUICK)
    made.apply(post.config())
    until(lambda: post.view(one).tries == 1)
    until(lambda: any(each.condition == "paused" for each in post.store.healths()))
    server.shut = None
    away.fails = dict.fromkeys(["hurry", "healths"], TransientError("the database is away"))
    if when == "changed":
        post.account("out", description="with another password")
    else:
        assert made.stop(LONG) == 0
        made = Dispatcher(away, post.owner, policy=QUICK)
    made.apply(post.config())
    until(lambda: made._away)
    away.fails = {}
    until(lambda: post.view(one).state == "delivered", within=10)
    assert made.stop(LONG) == 0


def test_P4_a_destination_for_which_no_thread_can_be_had_is_worked_on_when_one_can(post: Post) -> None:
    server = post.account()
    made = Dispatcher(post.store, post.owner, policy=QUICK)
    made.apply(post.config())
    until(lambda: made._ask_at > 0)
    before = threading.stack_size(1 << 46)
    try:
        with logged() as log:
            post.enter()
            until(lambda: "own fault room=posting error=RuntimeError" in log.getvalue())
    finally:
        threading.stack_size(before)
    until(lambda: len(server.delivered) == 1, within=10)
    assert made.stop(LONG) == 0
