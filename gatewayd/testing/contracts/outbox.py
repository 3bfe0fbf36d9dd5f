"""Tests of every store: each delivery of the outbox is entered once, taken by one process, and settled once (promise P7)."""

# ruff: noqa: PLR2004, N802  tests are made of expected numbers and named after promises

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatewayd import DELIVERY_SECONDS, DeliveryQuery, PermanentError, Recipient, Settled, Viewer
from gatewayd.testing.contracts.custodian import ACME, Custodian, make_delivery, make_filing, make_raw, nobody_is_dead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewayd import Delivery, DeliveryState, DeliveryView, Filed, Store, Taken

__all__ = ["OutboxContract"]

_DESTINATION = "account out"


def entered(store: Store, *deliveries: Delivery) -> list[int]:
    """Enter deliveries of one new mail of ``acme``, and return their ids."""
    mail_id = Custodian.of(store).file("1", make_raw())
    return list(store.deliver(ACME, mail_id, deliveries or [make_delivery()]))


def take(store: Store, destination: str = _DESTINATION, taker: str = "one", limit: int = 100) -> Sequence[Taken]:
    """Take due deliveries, while all processes live."""
    return store.take(destination, taker, limit=limit, dead=nobody_is_dead)


def settled(taken: Taken, state: DeliveryState, *recipients: Recipient, words: str = "", due_in: float = 0.0) -> Settled:
    """Return the result of a try."""
    return Settled(id=taken.id, tries=taken.tries, state=state, recipients=recipients, words=words, due_in=due_in)


def view(store: Store, delivery_id: int) -> DeliveryView:
    """Return a delivery of ``acme``."""
    (found,) = store.deliveries(ACME, DeliveryQuery(ids=(delivery_id,)))
    return found


class OutboxContract:
    """Entering, taking and settling."""

    def test_P7_the_same_filing_goal_and_cause_never_make_two(self, store: Store, shared: Custodian) -> None:
        first, second = shared.file("1", make_raw(1)), shared.file("2", make_raw(2))
        long = [f"person{number}@example.com" for number in range(900)]
        wanted = [
            make_delivery(1),
            make_delivery(2, target="duty"),
            make_delivery(3, cause="rule 2"),
            make_delivery(4, "other@example.com"),
            make_delivery(5, *long),
            make_delivery(6),
        ]
        ids = store.deliver(ACME, first, wanted)
        assert (len(set(ids)), ids[5]) == (5, ids[0])
        assert store.deliver(ACME, first, [replace(wanted[3], message_id="<other@x>"), *wanted]) == [ids[3], *ids]
        assert store.deliver(ACME, first, []) == []
        (elsewhere,) = store.deliver(ACME, second, wanted[:1])
        assert elsewhere not in ids
        views = store.deliveries(ACME, DeliveryQuery())
        assert [each.id for each in views] == [elsewhere, *sorted({*ids}, reverse=True)]
        assert view(store, ids[3]).delivery == wanted[3], "the first one stands"
        assert view(store, ids[4]).delivery.to == tuple(long)
        store.cancel(ACME, [elsewhere], who="anna")
        assert store.deliver(ACME, second, wanted[:1]) == [elsewhere]
        assert view(store, elsewhere).state == "cancelled", "what a person cancelled is not begun anew"

    def test_P7_a_mail_that_comes_several_times_is_delivered_once(self, store: Store, shared: Custodian) -> None:

        def comes(key: str, number: int, folder: str = "INBOX") -> Filed:
            shared.enter(key, folder=folder)
            going = replace(make_filing(), deliveries=(make_delivery(number, cause="rule 1"),))
            return shared.outcome(key, make_raw(), going, folder=folder)

        twice = [comes("1", 1), comes("2", 2)]
        shared.commit(*twice)
        shared.commit(twice[0], comes("3", 3))
        shared.commit(comes("1", 4, "Sent"))
        (only,) = take(store)
        assert (only.mail_id, only.delivery.message_id) == (twice[0].entry_id, make_delivery(1).message_id)
        assert len(store.deliveries(ACME, DeliveryQuery())) == 1

    def test_P6_only_filings_of_the_viewer_are_delivered(self, store: Store, shared: Custodian) -> None:
        general, personal = shared.file("1", make_raw(1)), shared.file("2", make_raw(2), make_filing(user="irina"))
        for viewer, mail_id in (
            (Viewer(operator="globetrot"), general),
            (ACME, personal),
            (Viewer(operator="acme", users=("bob",)), personal),
            (ACME, 10**9),
        ):
            with pytest.raises(PermanentError, match=rf"^operator {viewer.operator} has no mail {mail_id}$"):
                store.deliver(viewer, mail_id, [make_delivery()])
        assert store.destinations() == {}
        assert store.deliver(Viewer(operator="acme", users=("irina",)), personal, [make_delivery()])
        ((taken),) = take(store)
        assert (taken.user, taken.mail_id) == ("irina", personal)

    def test_destinations_tell_when_something_of_them_is_due(self, store: Store, later: Callable[[float], None]) -> None:
        assert store.destinations() == {}
        entered(
            store,
            make_delivery(1),
            make_delivery(2, "other@example.com"),
            make_delivery(3, "third@example.com", account="zz"),
            make_delivery(4, "duty", account="", target="duty"),
        )
        destinations = store.destinations()
        assert set(destinations) == {_DESTINATION, "account zz", "target acme/duty"}
        assert all(-5 < seconds <= 0 for seconds in destinations.values())
        first, second = take(store)
        assert DELIVERY_SECONDS - 5 < store.destinations()[_DESTINATION] <= DELIVERY_SECONDS
        store.settle("one", [settled(first, "waiting", due_in=60), settled(second, "waiting", due_in=3600)])
        assert 55 < store.destinations()[_DESTINATION] <= 60
        later(61)
        assert store.destinations()[_DESTINATION] <= 0
        (again,) = take(store)
        store.settle("one", [settled(again, "delivered")])
        assert 3500 < store.destinations()[_DESTINATION] <= 3600 - 61
        for destination in ("account zz", "target acme/duty"):
            store.settle("one", [settled(each, "parked") for each in take(store, destination)])
        assert set(store.destinations()) == {_DESTINATION}

    def test_who_takes_gets_the_oldest_due_first_and_nobody_else_gets_it(
        self, store: Store, later: Callable[[float], None]
    ) -> None:
        ids = entered(store, *(make_delivery(number, f"{number}@x.de") for number in range(4)))
        first, *rest = take(store)
        store.settle("one", [settled(first, "waiting", due_in=1)])
        store.give_back("one", [each.id for each in rest])
        later(5)
        assert [each.id for each in take(store, limit=3)] == ids[1:], "the first is due after the others by now"
        (last,) = take(store, taker="two")
        assert (last.id, last.tries) == (ids[0], 1)
        assert take(store) == take(store, taker="two") == take(store, "account none") == []

    def test_what_is_taken_has_all_that_a_try_needs(self, store: Store) -> None:
        delivery = make_delivery(7, "a@x.de", "b@y.de", "a@x.de", target="düty", cause="rule 2")
        raw = make_raw()
        mail_id = Custodian.of(store).file("1", raw)
        (delivery_id,) = store.deliver(ACME, mail_id, [delivery])
        (taken,) = take(store)
        assert (taken.id, taken.operator, taken.user, taken.mail_id, taken.tries) == (delivery_id, "acme", None, mail_id, 0)
        assert taken.delivery == replace(delivery, to=("a@x.de", "b@y.de")), "nobody gets it twice"
        assert taken.recipients == (Recipient(address="a@x.de"), Recipient(address="b@y.de"))
        assert taken.source.read(0, taken.source.size) == raw
        assert (taken.source.read(3, 5), taken.source.read(len(raw) - 2, 9), taken.source.read(len(raw), 1)) == (
            raw[3:8],
            raw[-2:],
            b"",
        )
        assert abs(datetime.now(UTC) - taken.entered_at) < timedelta(minutes=1)

    def test_P7_what_was_not_settled_in_time_is_taken_by_others(self, store: Store, later: Callable[[float], None]) -> None:
        entered(store)
        (mine,) = take(store)
        later(DELIVERY_SECONDS - 5)
        assert take(store, taker="two") == []
        later(10)
        assert store.destinations()[_DESTINATION] <= 0
        (theirs,) = take(store, taker="two")
        assert (theirs.id, theirs.tries) == (mine.id, 0)
        refused = Recipient(address="duty@example.com", state="refused", words="no")
        assert store.settle("one", [settled(mine, "parked", refused)]) == frozenset()
        assert view(store, mine.id).recipients == (Recipient(address="duty@example.com"),), "a late word changes nothing"
        store.give_back("one", [mine.id])
        assert take(store) == []
        assert store.settle("two", [settled(theirs, "waiting", words="busy")]) == {theirs.id}
        (again,) = take(store, taker="two")
        assert store.settle("two", [settled(theirs, "parked")]) == frozenset(), "it was tried since"
        assert store.settle("two", [settled(again, "delivered"), settled(replace(again, id=10**9), "delivered")]) == {again.id}
        assert store.settle("two", [settled(again, "parked")]) == store.settle("two", []) == frozenset()
        assert view(store, again.id).state == "delivered"

    def test_P7_what_a_dead_taker_had_is_due_at_once(self, store: Store, later: Callable[[float], None]) -> None:
        ids = entered(store, *(make_delivery(number, f"{number}@x.de") for number in range(3)))
        later(10)
        take(store, taker="killed", limit=2)
        take(store, taker="lives", limit=1)
        asked: list[str] = []

        def dead(taker: str) -> bool:
            # It may take its time, and even write: no transaction waits for it.
            asked.append(taker)
            store.retire("nobody")
            return taker == "killed"

        assert store.destinations()[_DESTINATION] > DELIVERY_SECONDS - 20
        assert store.destinations(dead=dead)[_DESTINATION] <= 0
        assert [each.id for each in store.take(_DESTINATION, "new", limit=100, dead=dead)] == ids[:2]
        assert set(asked) == {"killed", "lives"}
        assert store.destinations(dead=dead)[_DESTINATION] > DELIVERY_SECONDS - 20
        asked.clear()
        assert store.take("account other", "new", limit=9, dead=dead) == []
        assert asked == []

    def test_what_became_of_a_try_is_kept(self, store: Store) -> None:
        (delivery_id,) = entered(store, make_delivery(1, "a@x.de", "b@x.de", "c@x.de"))
        (taken,) = take(store)
        has, lost = Recipient(address="a@x.de", state="delivered", words="250 ok"), Recipient(address="b@x.de", state="refused")
        waits = Recipient(address="c@x.de", words="451 l\0ater")
        assert store.settle("one", [settled(taken, "waiting", has, lost, waits, words="c@x.de: later \udc80")]) == {delivery_id}
        said = replace(waits, words="451 l\ufffdater")
        seen = view(store, delivery_id)
        assert (seen.state, seen.words, seen.tries, seen.recipients) == ("waiting", "c@x.de: later \ufffd", 1, (has, lost, said))
        assert (seen.ended_at, seen.subject, seen.suspended) == (None, "Booking", "")
        assert seen.due_at is not None
        (taken,) = take(store)
        assert (taken.tries, taken.recipients) == (1, (has, lost, said))
        again = replace(has, state="refused", words="who?")
        store.settle("one", [settled(taken, "parked", again, replace(waits, state="refused", words="550 no"), words="550 no")])
        seen = view(store, delivery_id)
        assert seen.recipients == (has, lost, replace(waits, state="refused", words="550 no")), "who has it has it"
        assert (seen.state, seen.words, seen.tries, seen.due_at) == ("parked", "550 no", 2, None)
        assert seen.ended_at is not None
        assert abs(datetime.now(UTC) - seen.ended_at) < timedelta(minutes=1)
        assert store.destinations() == {}

    def test_P7_a_forwarders_note_is_there_at_each_next_try_until_all_who_were_tried_are_decided(self, store: Store) -> None:
        (delivery_id,) = entered(store, make_delivery(1, "a@x.de", "b@x.de"))
        (taken,) = take(store)
        a, b = Recipient(address="a@x.de", state="delivered"), Recipient(address="b@x.de")
        assert taken.note == ""
        assert not store.write_note("two", delivery_id, "theirs"), "somebody else has it"
        assert not store.write_note("one", 10**9, "nobody's")
        assert store.write_note("one", delivery_id, "draft 1")
        assert store.write_note("one", delivery_id, "draft 2")
        store.give_back("one", [delivery_id])
        assert not store.write_note("one", delivery_id, "late")
        for result in (settled(taken, "waiting"), settled(replace(taken, tries=1), "waiting", a, b)):
            assert take(store, taker="two")[0].note == "draft 2"
            store.settle("two", [result])
        (taken,) = take(store)
        store.settle("one", [settled(taken, "parked", words="given up")])
        store.redeliver(ACME, [delivery_id])
        (taken,) = take(store)
        assert taken.note == "draft 2", "nobody knows whether it was sent"
        store.settle("one", [settled(taken, "parked", replace(b, state="refused"))])
        store.redeliver(ACME, [delivery_id])
        assert take(store)[0].note == "", "a person wants it sent once more"

    def test_what_is_given_back_is_due_as_it_was(self, store: Store, later: Callable[[float], None]) -> None:
        ids = entered(store, make_delivery(1), make_delivery(2, "other@x.de"))
        before = [view(store, one).due_at for one in ids]
        first, second = take(store)
        assert [view(store, one).due_at for one in ids] == before
        store.give_back("two", ids)
        store.give_back("one", [])
        assert take(store) == []
        store.give_back("one", [second.id, 10**9])
        assert [each.id for each in take(store, taker="two")] == [second.id]
        later(1)
        store.give_back("one", [first.id])
        assert [(each.id, each.tries) for each in take(store)] == [(first.id, 0)]
        assert view(store, second.id).tries == 0
        later(DELIVERY_SECONDS + 1)
        store.give_back("three", [each.id for each in take(store, taker="three")])
        due_at = view(store, second.id).due_at
        assert due_at is not None
        assert datetime.now(UTC) - due_at > timedelta(seconds=DELIVERY_SECONDS), "also where others had it before"

    def test_what_waits_for_long_is_told_once(self, store: Store, later: Callable[[float], None]) -> None:
        ids = entered(store, *(make_delivery(number, f"{number}@x.de") for number in range(102)))
        assert store.overdue(60) == []
        later(61)
        done, parked = take(store, limit=2)
        store.settle("one", [settled(done, "delivered"), settled(parked, "parked")])
        (again,) = take(store, limit=1)
        store.settle("one", [settled(again, "waiting", words="busy", due_in=60)])
        told = store.overdue(60)
        assert sorted(each.id for each in told) == ids[2:]
        assert {(each.id, each.words, each.state) for each in told} >= {(again.id, "busy", "waiting")}
        assert store.overdue(60) == []
        assert store.redeliver(ACME, [again.id, parked.id]) == 2
        assert store.overdue(60) == []
        later(61)
        assert {each.id for each in store.overdue(60)} == {again.id, parked.id}, "its age is counted anew"

    def test_at_most_a_hundred_are_told_at_a_time(self, store: Store, later: Callable[[float], None]) -> None:
        ids = entered(store, *(make_delivery(number, f"{number}@x.de") for number in range(130)))
        later(61)
        first, second = store.overdue(60), store.overdue(60)
        assert (len(first), len(second), store.overdue(60)) == (100, 30, [])
        assert {each.id for each in (*first, *second)} == set(ids)
