"""Tests of every store: listings that contradict the ledger, what a listing proves, and the result of an audit."""

# ruff: noqa: PLR2004, N802  tests are made of expected numbers and named after promises

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gatewayd import Action, Entry, FilingFault, Known, Listed, NotAdmitted, Query, Record, Retry, Sizes, Vanished, Viewer
from gatewayd.testing.contracts.custodian import ACME, NOON, Custodian, make_filing, make_listing, make_raw

if TYPE_CHECKING:
    from gatewayd import State, Store

__all__ = ["ProofContract"]

_RECORDS = [Record(kind="customer", id=str(number), label=f"Customer {number}") for number in range(3)]


def _end_as(shared: Custodian, key: str, state: State) -> None:
    """Let a key that waits end in this state."""
    if state == "filed":
        shared.commit(shared.outcome(key, make_raw(7), owed=Action(do="delete")))
    elif state == "duplicate":
        shared.file("other", make_raw(7))
        shared.commit(shared.outcome(key, make_raw(7), owed=Action(do="delete")))
    elif state == "not admitted":
        shared.commit(NotAdmitted(entry_id=shared.entry(key), anchor="seven", cause="no agent"))
    elif state == "vanished":
        shared.commit(Vanished(entry_id=shared.entry(key), cause="gone"))


class ProofContract:
    """Evidence: nothing is believed on one answer's word."""

    def test_what_the_ledger_has_under_a_key_is_told_with_its_size_and_arrival(self, store: Store, shared: Custodian) -> None:
        shared.enter(Entry(listed=Listed("1", 7, NOON), backlog=True), "2", Entry(listed=Listed("3"), state="offered"))
        shared.commit(shared.outcome("2", make_raw(), owed=Action(do="seen")))
        shared.enter(standing=["1", "2"])
        assert store.known("shared", "INBOX", ["1", "2", "3", "4"]) == {
            "1": Known(state="waiting", listed=Listed("1", 7, NOON), backlog=True),
            "2": Known(state="filed", listed=Listed("2"), owes=True),
            "3": Known(state="vanished", listed=Listed("3"), gone=True),
        }

    @pytest.mark.parametrize("state", ["offered", "waiting", "filed", "duplicate", "not admitted", "vanished"])
    @pytest.mark.parametrize("standing", [False, True])
    def test_P1_an_entry_gives_up_its_key_to_another_message(
        self, store: Store, shared: Custodian, state: State, *, standing: bool
    ) -> None:
        shared.enter(Entry(listed=Listed("1", 128, NOON), state="offered" if state == "offered" else "waiting"))
        _end_as(shared, "1", state)
        assert shared.states()["1"] == state
        before = store.entries("shared", state, after=0, limit=9)[-1]
        other = Entry(listed=Listed("1", 148, NOON), contradiction="148 bytes, 128 before", cause="told")
        keys = {"1", "other"}
        assert shared.enter(other, standing=sorted(keys) if standing else None) == 1
        assert shared.states() == {"1": "waiting"}
        (waiting,) = shared.waiting()
        assert (waiting.listed, waiting.entry_id > before.id) == (Listed("1", 148, NOON), True)
        past: State = "vanished" if state in {"offered", "waiting"} else state
        (view,) = [each for each in store.entries("shared", past, after=0, limit=9) if each.id == before.id]
        assert (view.key, view.gone, view.mail_id) == ("1", True, before.mail_id)
        assert view.cause.endswith("its key is another message's by now: 148 bytes, 128 before")
        assert view.cause.startswith(before.cause)
        assert not store.owed("shared", limit=9), "nothing is owed to what stands there now"
        assert before.id not in {each.entry_id for each in store.anchors("shared", "INBOX", standing=[])}
        assert shared.enter(replace(other, contradiction="")) == 0, "it is there now"

    def test_a_contradiction_of_a_key_that_is_not_there_is_a_new_key(self, shared: Custodian) -> None:
        assert shared.enter(Entry(listed=Listed("1", 9), contradiction="9 bytes, 8 before")) == 1
        assert shared.states() == {"1": "waiting"}

    def test_entries_take_the_first_size_and_arrival_that_are_seen(self, store: Store, shared: Custodian) -> None:
        shared.enter("1", Entry(listed=Listed("2", 7)))
        shared.file("3", make_raw(3), owed=Action(do="delete"))
        shared.file("4", make_raw(4), owed=Action(do="delete"))
        sizes = {"1": 5, "2": 9, "3": len(make_raw(3)), "4": 9}
        assert shared.enter(*(Entry(listed=Listed(key, size, NOON)) for key, size in sizes.items())) == 0
        known = store.known("shared", "INBOX", list(sizes))
        assert {key: was.listed for key, was in known.items()} == {
            key: Listed(key, 7 if key == "2" else size, NOON) for key, size in sizes.items()
        }
        assert [each.key for each in store.owed("shared", limit=9)] == ["3"], "the last was filed with other bytes than are there"
        assert shared.states() == {"1": "waiting", "2": "waiting", "3": "filed", "4": "filed"}

    def test_what_is_owed_is_told_with_what_its_message_was(self, store: Store, shared: Custodian) -> None:
        shared.enter(Entry(listed=Listed("1", 7, NOON)))
        shared.commit(replace(shared.outcome("1", make_raw(), owed=Action(do="seen")), listed_size=9))
        (owed,) = store.owed("shared", limit=9)
        assert (owed.listed, owed.size, owed.key) == (Listed("1", 9, NOON), len(make_raw()), "1")

    def test_an_action_that_is_left_undone_changes_nothing_else(self, store: Store, shared: Custodian) -> None:
        entry_id = shared.file("1", make_raw(), owed=Action(do="delete"))
        store.settled(shared.lease, [entry_id], undone=True)
        assert not store.owed("shared", limit=9)
        assert store.known("shared", "INBOX", ["1"])["1"] == Known(state="filed", listed=Listed("1"))
        assert store.anchors("shared", "INBOX", standing=[])

    def test_P3_what_has_grown_when_it_was_renumbered_is_owed_nothing(self, store: Store, shared: Custodian) -> None:
        for key in ("1", "2"):
            shared.enter(Entry(listed=Listed(key, 100)))
            shared.commit(shared.outcome(key, make_raw(int(key)), owed=Action(do="delete")))
        ids = {each.size: each.entry_id for each in store.anchors("shared", "INBOX", standing=[]) if each.owes}
        assert len(store.anchors("shared", "INBOX", standing=[])) == 2
        first, second = sorted(each.entry_id for each in store.anchors("shared", "INBOX", standing=[]))
        assert ids
        shared.enter(
            Entry(listed=Listed("11", 100), same_as=first), Entry(listed=Listed("12", 130), same_as=second), standing=["11", "12"]
        )
        assert [each.key for each in store.owed("shared", limit=9)] == ["11"]
        assert shared.states("11", "12") == {"11": "filed", "12": "filed"}

    def test_how_many_keys_stand_is_counted_by_state(self, store: Store, shared: Custodian) -> None:
        assert store.standing("shared", "INBOX") == {}
        shared.file("1", make_raw(1))
        gone = shared.file("2", make_raw(2), owed=Action(do="delete"))
        shared.enter("3", "4", "5", Entry(listed=Listed("6"), state="offered"))
        shared.file("1", make_raw(1), folder="Sent")
        store.settled(shared.lease, [gone])
        shared.commit(Vanished(entry_id=shared.entry("5"), cause="gone"))
        assert store.standing("shared", "INBOX") == {"filed": 1, "waiting": 2, "offered": 1}
        assert store.standing("shared", "Sent") == {"duplicate": 1}

    def test_whether_sizes_are_exact_is_told_of_the_last_that_were_filed(self, store: Store, shared: Custodian) -> None:
        assert store.sizes("shared", "INBOX") == Sizes()
        for number in range(5):
            raw = make_raw(number)
            shared.enter(Entry(listed=Listed(str(number), len(raw) + (number > 2))))
            shared.commit(shared.outcome(str(number), raw))
        shared.file("9", make_raw(9))
        assert store.sizes("shared", "INBOX") == Sizes(exact=3, other=2)
        assert store.sizes("shared", "Sent") == Sizes()

    def test_what_a_listing_has_proven_is_kept_and_a_doubt_until_it_is_cleared_up(self, store: Store, shared: Custodian) -> None:
        store.prove(shared.lease, "INBOX", checked_at=NOON, compared_at=NOON, doubt="")
        assert store.folder("shared", "INBOX") is None, "it was never listed"
        shared.enter("1")
        state = shared.folder_state()
        assert (state.checked_at, state.compared_at, state.doubt) == (None, None, "")
        store.prove(shared.lease, "INBOX", checked_at=NOON, compared_at=NOON, doubt="")
        state = shared.folder_state()
        assert (state.checked_at, state.compared_at, state.doubt) == (NOON, NOON, "")
        later = NOON + timedelta(hours=1)
        store.prove(shared.lease, "INBOX", checked_at=None, compared_at=later, doubt="it counts 3 and lists 2")
        state = shared.folder_state()
        assert (state.checked_at, state.compared_at, state.doubt) == (NOON, later, "it counts 3 and lists 2")
        shared.enter("2")
        assert store.folder("shared", "INBOX") == state, "a page clears up nothing"
        store.enter(shared.lease, "INBOX", [], cursor="c", start_at=None, doubt="a key names another")
        again = store.folder("shared", "INBOX")
        assert again == replace(state, doubt="a key names another", compared_at=None), "the whole is to be compared at once"

    # --- audits ---------------------------------------------------------------------------------------------------

    def test_P1_the_audit_names_whatever_keeps_custody_from_being_proven(self, store: Store, shared: Custodian) -> None:
        for key, size in {"1": len(make_raw(1)), "2": 9, "3": 9, "4": len(make_raw(4))}.items():
            shared.enter(Entry(listed=Listed(key, size, NOON)))
        shared.commit(shared.outcome("1", make_raw(1)), shared.outcome("2", make_raw(2)), shared.outcome("4", make_raw(4)))
        shared.commit(Retry(entry_id=shared.entry("3"), cause="busy", retry_after=60))
        listed = [Listed("1", len(make_raw(1)), NOON), Listed("2", 9, NOON), Listed("3", 9, NOON), Listed("4", 5), Listed("5", 1)]
        (audit,) = store.audit("shared", {"INBOX": make_listing(*listed, exists=7, doubts=["it is odd"])})
        assert (audit.listed, audit.exists, audit.short, audit.doubts) == (5, 7, 2, ("it is odd",))
        assert (audit.unknown, audit.changed, audit.waiting, audit.unlike) == (("5",), ("4",), ("3",), ("2",))
        assert (audit.damaged, audit.unfiled, audit.grown, audit.proven) == ((), (), (), False)
        (good,) = store.audit("shared", {"INBOX": make_listing("1", exists=1)})
        assert (good.doubtful, good.unlike, good.gone, good.proven) == (("2",), (), 3, True)

    def test_P1_each_message_of_several_under_one_key_needs_an_entry_of_its_own(self, store: Store, shared: Custodian) -> None:
        shared.enter(Entry(listed=Listed("1", len(make_raw(1)))))
        shared.commit(shared.outcome("1", make_raw(1)))
        (audit,) = store.audit("shared", {"INBOX": make_listing(Listed("1", 9), Listed("1", len(make_raw(1))))})
        assert (audit.unknown, audit.changed, audit.proven) == (("1",), (), False)

    def test_a_message_of_no_bytes_is_a_message(self, store: Store, shared: Custodian) -> None:
        shared.enter(Entry(listed=Listed("1", 0)))
        shared.commit(shared.outcome("1", b""))
        (audit,) = store.audit("shared", {"INBOX": make_listing(Listed("1", 0), exists=1)})
        assert audit.proven

    def test_what_grew_when_its_folder_was_renumbered_is_here_as_it_was(self, store: Store, shared: Custodian) -> None:
        shared.enter(Entry(listed=Listed("1", len(make_raw(1)))))
        shared.commit(shared.outcome("1", make_raw(1)))
        (anchor,) = store.anchors("shared", "INBOX", standing=[])
        shared.enter(Entry(listed=Listed("11", 999), same_as=anchor.entry_id), standing=["11"])
        (audit,) = store.audit("shared", {"INBOX": make_listing(Listed("11", 999))})
        assert (audit.grown, audit.unlike, audit.proven) == (("11",), (), True)

    def test_P1_the_audit_is_content_after_all_that_people_and_matchers_do_to_filings(
        self, store: Store, shared: Custodian
    ) -> None:
        faults = [FilingFault("contacts", "it fell"), FilingFault("threads", "it fell, too")]
        # The same link twice, and words that no database bears as they are.
        links = [*_RECORDS[:2], replace(_RECORDS[0], label="\0 twice")]
        said = make_filing(links=links, rivals=_RECORDS[1:], faults=faults)
        mail_id = shared.file("1", make_raw(1), said, make_filing("globetrot", user=None))
        personal = shared.file("2", make_raw(2), make_filing(user="irina"))

        def audited() -> bool:
            return all(each.proven for each in store.audit("shared", {"INBOX": make_listing("1", "2")}))

        assert audited()
        store.link(ACME, mail_id, [_RECORDS[2]], who="anna", because="she knows")
        assert audited()
        store.unlink(ACME, mail_id, [("customer", "0")], who="anna")
        assert audited()
        store.mark(ACME, [mail_id], unread=False)
        store.refile(ACME, [(mail_id, make_filing(links=_RECORDS, faults=faults[:1]))])
        assert audited()
        store.discard(ACME, [mail_id])
        assert audited()
        further = [(mail_id, make_filing("third", links=_RECORDS)), (personal, make_filing("third"))]
        assert len(store.add_filings(shared.lease, further)) == 2
        assert audited()
        assert len(store.filings(Viewer(operator="third"), Query())) == 2
        assert not store.check().faults
