"""Tests of every store: messages that a server shows in several folders, under a key in each of them."""

# ruff: noqa: N802  tests are made of expected numbers and named after promises

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd import Action, Copy, Entry, Listed, Recognised
from gatewayd.testing.contracts.custodian import NOON, Custodian, make_raw

if TYPE_CHECKING:
    from gatewayd import Store

__all__ = ["CopiesContract"]

RAW = make_raw()
SEEN = Action(do="seen")


def shown(key: str, called: str | None = "77") -> Listed:
    """Return a message as a folder lists it."""
    return Listed(key, len(RAW), NOON, spanning_id=called)


class CopiesContract:
    """What a server calls a message in each of its folders is kept with each of its keys (promise P1)."""

    def test_P1_a_message_is_found_by_what_its_server_calls_it_in_each_folder(self, store: Store, shared: Custodian) -> None:
        shared.enter(Entry(listed=shown("1")), Entry(listed=shown("2", None)), folder="INBOX")
        shared.enter(Entry(listed=shown("9")), folder="Trips")
        assert store.copies("shared", ["77"]) == []
        (waiting,) = shared.waiting("Trips")
        assert waiting.listed == shown("9")
        outcome = shared.outcome("1", RAW)
        shared.commit(outcome, shared.outcome("2", make_raw(2)))
        found = Copy(folder="INBOX", listed=shown("1"), mail_id=outcome.entry_id, size=len(RAW), message_id="<1@example.com>")
        assert store.copies("shared", ["77", "78"]) == [found]
        assert store.copies("other", ["77"]) == store.copies("shared", []) == []

    def test_P1_what_is_recognised_becomes_a_duplicate_that_owes_like_any_other(self, store: Store, shared: Custodian) -> None:
        shared.enter(Entry(listed=shown("1")))
        filed = shared.outcome("1", RAW)
        shared.commit(filed)
        shared.enter(Entry(listed=shown("9")), folder="Trips")
        (waiting,) = shared.waiting("Trips")
        known = Recognised(entry_id=waiting.entry_id, mail_id=filed.entry_id, cause="shown twice", anchor="mark", owed=SEEN)
        tally = shared.commit(known)
        assert (tally.filed, tally.duplicate, tally.total) == (0, 1, 1)
        (entry,) = store.entries("shared", "duplicate", after=0, limit=9)
        assert (entry.folder, entry.mail_id, entry.cause) == ("Trips", filed.entry_id, "shown twice")
        (owed,) = store.owed("shared", limit=9)
        assert (owed.folder, owed.action, owed.size, owed.anchor) == ("Trips", SEEN, len(RAW), "mark")
        assert [one.folder for one in store.copies("shared", ["77"])] == ["INBOX", "Trips"]
        # Only what waits ends.
        assert shared.commit(replace(known, cause="again")).total == 0

    def test_an_entry_learns_what_its_message_is_called_and_keeps_it(self, store: Store, shared: Custodian) -> None:
        shared.enter(Entry(listed=shown("1", None)))
        shared.commit(shared.outcome("1", RAW))
        shared.enter(Entry(listed=shown("1")))
        shared.enter(Entry(listed=shown("1", "78")))
        assert store.known("shared", "INBOX", ["1"])["1"].listed == shown("1")
        assert [one.listed for one in store.copies("shared", ["77", "78"])] == [shown("1")]
        # It is gone from there, and another message has its key.
        shared.enter(standing=[])
        shared.enter(Entry(listed=shown("1", "78")))
        assert [one.listed.spanning_id for one in store.copies("shared", ["77", "78"])] == ["77"]
        assert [one.listed for one in shared.waiting()] == [shown("1", "78")]
