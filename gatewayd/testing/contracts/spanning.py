"""Tests of every store: keys that name one message in whichever folder it lies."""

# ruff: noqa: PLR2004, N802  tests are made of expected numbers and named after promises

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, get_args

import pytest

from gatewayd import Action, Entry, Listed, NotAdmitted, Query, Retry
from gatewayd.api.ledger import State
from gatewayd.testing.contracts.custodian import ACME, NOON, Custodian, make_listing, make_raw

if TYPE_CHECKING:
    from gatewayd import Audit, Store

__all__ = ["SpanningContract"]

SEEN = Action(do="seen")


def moved(key: str, **more: object) -> Entry:
    """Return the entry of a key that a folder lists, and another one had before."""
    return Entry(listed=Listed(key, None, NOON), by_key=True, **more)  # type: ignore[arg-type]


class SpanningContract:
    """Where keys span folders, one entry says what became of a message, and at most one is not gone (promise P1)."""

    def entries(self, store: Store) -> dict[str, list[tuple[str, State, bool]]]:
        """Return the entries of each key, as (folder, state, gone)."""
        every = [one for state in get_args(State) for one in store.entries("shared", state, after=0, limit=99)]
        found: dict[str, list[tuple[str, State, bool]]] = {}
        for one in sorted(every, key=lambda one: one.id):
            found.setdefault(one.key, []).append((one.folder, one.state, one.gone))
        return found

    @pytest.fixture
    def filed(self, shared: Custodian) -> int:
        """Return the mail that is filed under the key 1."""
        shared.enter("other", folder="Team")
        shared.enter(Entry(listed=Listed("1", None, NOON)))
        outcome = shared.outcome("1", make_raw(), owed=SEEN)
        shared.commit(outcome)
        return outcome.entry_id

    def test_P1_a_message_that_was_moved_takes_over_what_became_of_it(self, store: Store, shared: Custodian, filed: int) -> None:
        known = store.elsewhere("shared", "Team", ["1", "2"])
        assert {key: (was.state, was.gone, was.owes) for key, was in known.items()} == {"1": ("filed", False, True)}
        assert store.elsewhere("shared", "INBOX", ["1"]) == {}
        assert shared.enter(moved("1"), folder="Team") == 1
        assert self.entries(store)["1"] == [("INBOX", "filed", True), ("Team", "duplicate", False)]
        (duplicate,) = store.entries("shared", "duplicate", after=0, limit=9)
        assert (duplicate.mail_id, duplicate.cause) == (filed, f"mail {filed} by its key, which was in INBOX before")
        (owed,) = store.owed("shared", limit=9)
        assert (owed.folder, owed.action, owed.message_id) == ("Team", SEEN, "<1@example.com>")
        (view,) = store.filings(ACME, Query())
        assert (view.id, view.folder) == (filed, "Team")
        # And back again.
        assert shared.enter(moved("1")) == 0
        assert self.entries(store)["1"] == [("INBOX", "filed", False), ("Team", "duplicate", True)]
        assert [one.folder for one in store.owed("shared", limit=9)] == ["INBOX"]
        (view,) = store.filings(ACME, Query())
        assert view.folder == "INBOX"
        # What was done in one folder is done.
        shared.enter(moved("1"), folder="Team")
        store.settled(shared.lease, [duplicate.id])
        shared.enter(moved("1"))
        assert not store.owed("shared", limit=9)

    def test_what_is_owed_to_a_missing_key_stays_until_it_is_listed(
        self, store: Store, shared: Custodian, other: Custodian, filed: int
    ) -> None:
        store.missing(other.lease, [filed])
        assert len(store.owed("shared", limit=9)) == 1
        store.missing(shared.lease, [filed])
        assert not store.owed("shared", limit=9)
        shared.enter(moved("1"))
        assert [one.folder for one in store.owed("shared", limit=9)] == ["INBOX"]
        store.missing(shared.lease, [filed])
        shared.enter(moved("1"), folder="Team", standing=["1", "other"])
        assert [one.folder for one in store.owed("shared", limit=9)] == ["Team"]
        assert not shared.waiting()

    def test_a_move_to_the_very_folder_is_no_longer_owed(self, store: Store, shared: Custodian) -> None:
        shared.enter("other", folder="Team")
        shared.enter(Entry(listed=Listed("1", None, NOON)))
        shared.commit(shared.outcome("1", make_raw(), owed=Action(do="move", folder="Team")))
        shared.enter(moved("1"), folder="Team")
        assert not store.owed("shared", limit=9)

    def test_P1_a_key_waits_in_one_folder_only(self, store: Store, shared: Custodian) -> None:
        shared.enter(Entry(listed=Listed("1", None, NOON), backlog=True), Entry(listed=Listed("2", None, NOON), state="offered"))
        (waiting,) = shared.waiting()
        shared.commit(Retry(entry_id=waiting.entry_id, cause="not now", retry_after=0.0))
        offered = moved("2", state="offered", cause="there before the start")
        assert shared.enter(moved("1", backlog=True), offered, folder="Team") == 2
        assert self.entries(store) == {
            "1": [("INBOX", "vanished", True), ("Team", "waiting", False)],
            "2": [("INBOX", "vanished", True), ("Team", "offered", False)],
        }
        (waiting,) = shared.waiting("Team")
        assert (waiting.backlog, waiting.tries) == (True, 1)
        causes = {state: [one.cause for one in store.entries("shared", state, after=0, limit=9)] for state in get_args(State)}
        assert (causes["waiting"], causes["offered"]) == (["not now"], ["there before the start"])
        assert {one.cause for one in store.entries("shared", "vanished", after=0, limit=9)} == {"its message is in Team by now"}
        # A person took what was offered, and both came back.
        assert shared.enter(moved("1", backlog=True), moved("2", backlog=True)) == 0
        assert [(one.listed.key, one.backlog) for one in shared.waiting()] == [("1", True), ("2", True)]
        assert not shared.waiting("Team")

    def test_what_is_not_admitted_stays_so_with_its_senders(self, store: Store, shared: Custodian) -> None:
        shared.enter("other", folder="Team")
        shared.enter(Entry(listed=Listed("1", None, NOON)))
        (waiting,) = shared.waiting()
        refused = NotAdmitted(entry_id=waiting.entry_id, anchor="a", cause="from nobody", senders=("anna@example.com",))
        shared.commit(refused)
        shared.enter(moved("1"), folder="Team")
        assert self.entries(store)["1"] == [("INBOX", "not admitted", True), ("Team", "not admitted", False)]
        assert shared.states("1", folder="Team") == {"1": "not admitted"}
        assert [one.senders for one in store.refusals("shared", "Team", after=0, limit=9)] == [("anna@example.com",)]

    def test_messages_with_other_arrivals_are_others(self, store: Store, shared: Custodian, filed: int) -> None:
        late = Entry(listed=Listed("1", None, NOON + timedelta(hours=1)), by_key=True)
        assert shared.enter(late, folder="Team") == 1
        assert self.entries(store)["1"] == [("INBOX", "filed", False), ("Team", "waiting", False)]
        assert [one.entry_id for one in store.owed("shared", limit=9)] == [filed]

    def test_a_message_under_a_key_that_is_another_ones_in_its_new_folder_is_not_taken_for_that(
        self, store: Store, shared: Custodian, filed: int
    ) -> None:
        late = Listed("1", None, NOON + timedelta(hours=1))
        shared.enter(Entry(listed=late, by_key=True), folder="Team")
        assert shared.enter(Entry(listed=late, by_key=True)) == 0
        assert self.entries(store)["1"] == [("INBOX", "filed", False), ("Team", "waiting", False)]
        assert shared.enter(Entry(listed=late, by_key=True, contradiction="it arrived later")) == 1
        assert [one.listed for one in shared.waiting()] == [late]
        assert [one.id for one in store.filings(ACME, Query())] == [filed]

    def test_P1_what_vanished_before_it_was_fetched_is_fetched_where_it_is_listed(self, store: Store, shared: Custodian) -> None:
        shared.enter("other", folder="Team")
        shared.enter(Entry(listed=Listed("1", None, NOON)))
        shared.enter(standing=[])
        assert self.entries(store)["1"] == [("INBOX", "vanished", True)]
        assert shared.enter(moved("1"), folder="Team") == 1
        (_, waiting) = shared.waiting("Team")
        # It is filed there and deleted by us, and a person puts it back to where it was.
        shared.commit(shared.outcome("1", make_raw(), folder="Team", owed=Action(do="delete")))
        store.settled(shared.lease, [waiting.entry_id])
        shared.enter(moved("1"))
        assert self.entries(store)["1"] == [("INBOX", "duplicate", False), ("Team", "filed", True)]
        (duplicate,) = store.entries("shared", "duplicate", after=0, limit=9)
        assert duplicate.mail_id == waiting.entry_id

    @pytest.mark.usefixtures("filed")
    def test_an_audit_says_that_no_size_is_proven_and_which_message_ids_differ(self, store: Store) -> None:
        def audit(name: str) -> Audit:
            listing = make_listing(Listed("1", None, NOON, name))
            return next(one for one in store.audit("shared", {"INBOX": listing}) if one.folder == "INBOX")

        good, bad = audit("<1@example.com>"), audit("<2@example.com>")
        assert (good.proven, good.unsized, good.changed) == (True, 1, ())
        assert (bad.proven, bad.unsized, bad.changed) == (False, 0, ("1",))
