"""Tests of every store: reports of daemons, and requests that people leave for them."""

# ruff: noqa: N802, PLR2004  tests are made of expected numbers and named after promises

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatewayd import LEASE_SECONDS, AccountHealth, Answer, DaemonHealth, Entry, FilingFault, Lengths, Listed, Tally, Task, Viewer
from gatewayd.testing.contracts.custodian import NOON, Custodian, make_filing, make_raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd import Store

__all__ = ["DaemonContract", "RequestContract"]

_DAY = 86400.0
_FAULT = FilingFault("contacts", "ValueError: no")


class DaemonContract:
    """Daemons and accounts say how they are (promise P10)."""

    def test_daemons_live_as_long_as_they_beat(self, store: Store, later: Callable[[float], None]) -> None:
        one = DaemonHealth(
            holder="one",
            version="1.2",
            started_at=NOON,
            accounts=9,
            workers=2,
            worker_deaths=1,
            open_breakers=("acme/contacts", "acme/Übersicht 🧳"),
            open_targets=("acme/duty", "acme/Übersicht 🧳"),
            config_faults=("accounts/a.yaml: runs as last accepted",),
        )
        two = DaemonHealth(holder="two", version="1.3", started_at=NOON - timedelta(days=3))
        assert store.daemons() == []
        assert store.beat(one) == 1
        assert store.beat(two) == 2
        assert store.daemons() == [two, one]
        later(LEASE_SECONDS - 5)
        assert store.beat(one) == 2
        later(10)
        one = replace(one, accounts=10, open_breakers=())
        assert store.beat(one) == 1
        assert store.daemons() == [one], "what it says now stands in place of what it said before"
        assert store.beat(two) == 2, "one that was frozen lives again"
        store.retire("one")
        store.retire("nobody")
        assert store.daemons() == [two]
        later(2 * _DAY)
        assert store.daemons() == []
        assert store.beat(one) == 1

    def test_what_accounts_tell_stands_in_place_of_what_they_told_before(self, store: Store) -> None:
        full = AccountHealth(
            account="b",
            holder="one",
            condition="backing off",
            checked_at=NOON,
            mail_at=NOON - timedelta(seconds=1),
            due_at=NOON + timedelta(seconds=90.5),
            working_since=NOON - timedelta(hours=2),
            compared_at=NOON - timedelta(hours=3),
            failures=3,
            error="the server says nö",
            advice="Wait.",
        )
        new = AccountHealth(account="A", holder="two", condition="new")
        assert store.healths() == []
        store.tell([])
        store.tell([full, replace(full, account="ä"), new])
        assert store.healths() == [new, full, replace(full, account="ä")]
        better = AccountHealth(account="b", holder="two", condition="watching", checked_at=NOON)
        store.tell([full, better])
        store.tell([replace(new, error="a\0b\udc80")])
        better = replace(better, mail_at=full.mail_at, compared_at=full.compared_at)
        assert store.healths() == [replace(new, error="a\ufffdb\ufffd"), better, replace(full, account="ä")]

    def test_P10_when_something_was_last_is_never_forgotten(self, store: Store) -> None:
        first = datetime(2026, 1, 1, tzinfo=UTC)
        told = AccountHealth(
            account="shared", holder="one", condition="polling", checked_at=first, mail_at=first, compared_at=first
        )
        store.tell([replace(told, due_at=first, working_since=first)])
        store.tell([AccountHealth(account="shared", holder="two", condition="faulty", error="a fault")])
        assert store.healths() == [replace(told, holder="two", condition="faulty", error="a fault")]
        later = first + timedelta(hours=1)
        store.tell([AccountHealth(account="shared", holder="two", condition="polling", checked_at=later)])
        assert store.healths() == [replace(told, holder="two", checked_at=later)]

    def test_lengths_count_what_waits_and_what_stands_in_queues(self, store: Store, shared: Custodian, other: Custodian) -> None:
        assert store.lengths() == Lengths(waiting={}, queued={}, undelivered={}, stuck={})
        shared.enter("1", "2", "3", Entry(listed=Listed("4"), state="offered"))
        shared.enter("1", folder="Sent")
        shared.commit(shared.outcome("1", make_raw(1), make_filing(faults=[_FAULT]), make_filing("globetrot")))
        other.file("1", make_raw(2), make_filing(user="irina", faults=[_FAULT]))
        lengths = store.lengths()
        assert lengths.queued == {"acme": 2}
        ((account, (number, listed_at)),) = lengths.waiting.items()
        assert (account, number) == ("shared", 3)
        assert abs(datetime.now(UTC) - listed_at) < timedelta(minutes=1)
        store.discard(
            Viewer(operator="acme", users=("irina",)), [view.id for view in store.entries("other", "filed", after=0, limit=1)]
        )
        assert store.lengths().queued == {"acme": 1}

    def test_fingerprints_are_remembered_in_place_of_all_before(self, store: Store) -> None:
        assert store.fingerprints("acme") == {}
        store.remember_fingerprints("acme", {"contacts": "1", "rules": "2"})
        store.remember_fingerprints("globetrot", {"contacts": "3"})
        store.remember_fingerprints("acme", {"contacts": "1b", "vouchers": "4"})
        assert store.fingerprints("acme") == {"contacts": "1b", "vouchers": "4"}
        assert store.fingerprints("globetrot") == {"contacts": "3"}
        store.remember_fingerprints("acme", {})
        assert store.fingerprints("acme") == {}


class RequestContract:
    """People ask whichever daemon holds the account, and follow what it does."""

    def test_a_request_is_seen_followed_and_answered_once(self, store: Store) -> None:
        task = Task(from_beginning=True, compare=True, operator="acme", keys=("1:7", "ü"))
        first, second = store.ask("shared", task), store.ask("other", Task())
        assert first < second
        assert [(one.id, one.account, one.task, one.answer) for one in store.requests()] == [
            (first, "shared", task, None),
            (second, "other", Task(), None),
        ]
        assert [one.id for one in store.requests(["other", "third"])] == [second]
        assert store.requests([]) == []
        store.progress(first, done=3, total=9)
        (followed,) = store.requests(ids=[first, first])
        assert (followed.done, followed.total) == (3, 9)
        answer = Answer(
            account="shared",
            listed=9,
            tally=Tally(filed=7, duplicate=2),
            settled=1,
            problems=("Sent: gone 🧳",),
            notes=("a", "b"),
            error="it ended",
            advice="Wait.",
        )
        store.answer([first, 999], answer)
        store.answer([first], Answer(account="shared"))
        store.progress(first, done=4, total=4)
        assert [one.id for one in store.requests()] == [second]
        (answered,) = store.requests(["nobody"], ids=[first])
        assert answered == replace(followed, answer=answer), "an answer is the last word"
        store.answer([], answer)
        store.answer([first, second], Answer(account="other", notes=("a\udc80",)))
        assert [one.answer for one in store.requests(ids=[second, first])] == [answer, Answer(account="other", notes=("a\ufffd",))]

    def test_answers_are_forgotten_after_a_day_and_their_ids_never_come_again(
        self, store: Store, later: Callable[[float], None]
    ) -> None:
        asked, answered = store.ask("shared", Task()), store.ask("shared", Task())
        store.answer([answered], Answer(account="shared"))
        later(_DAY - 60)
        store.ask("other", Task())
        assert [one.id for one in store.requests(ids=[asked, answered])] == [asked, answered]
        later(120)
        newest = store.ask("other", Task())
        assert [one.id for one in store.requests(ids=[asked, answered])] == [asked], "what nobody answered is asked still"
        store.answer([newest], Answer(account="other"))
        later(_DAY + 1)
        assert store.ask("shared", Task()) > newest
