"""Tests of every store: the ledger, which has each key of a server in exactly one state."""

# ruff: noqa: PLR2004, N802  tests are made of expected numbers and named after promises

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import Action, Entry, Listed, NotAdmitted, Query, Retry, Tally
from gatewayd.testing.contracts.custodian import ACME, NOON, Custodian, make_listing, make_raw

if TYPE_CHECKING:
    from gatewayd import Store

__all__ = ["LedgerContract"]


class LedgerContract:
    """The ledger: every key in exactly one state (promise P1)."""

    def test_P1_keys_and_cursor_are_entered_together_and_once(self, store: Store, shared: Custodian) -> None:
        assert store.folder("shared", "INBOX") is None
        entries = [Entry(listed=Listed("1", 7, NOON)), Entry(listed=Listed("1", 8)), Entry(listed=Listed("2"), backlog=True)]
        assert store.enter(shared.lease, "INBOX", entries, cursor="a", start_at=NOON) == 2
        state = shared.folder_state()
        assert (state.cursor, state.start_at) == ("a", NOON)
        first, second = shared.waiting()
        assert (first.listed, first.backlog, first.tries) == (Listed("1", 7, NOON), False, 0)
        assert (second.listed, second.backlog) == (Listed("2"), True)
        assert store.enter(shared.lease, "INBOX", [*entries, Entry(listed=Listed("3"))], cursor="b", start_at=None) == 1
        state = shared.folder_state()
        assert (state.cursor, state.start_at) == ("b", None)
        assert shared.states("1", "2", "4") == {"1": "waiting", "2": "waiting"}
        assert shared.states("1", folder="Sent") == {}
        assert store.known("other", "INBOX", ["1"]) == {}

    def test_an_offered_key_waits_once_it_is_wanted_and_no_filed_key_ever_again(self, shared: Custodian) -> None:
        shared.enter(Entry(listed=Listed("1"), state="offered", cause="before the start"), "2")
        assert [waiting.listed.key for waiting in shared.waiting()] == ["2"]
        shared.commit(shared.outcome("2", make_raw()))
        assert shared.enter(Entry(listed=Listed("1"), state="offered"), Entry(listed=Listed("2"), state="offered")) == 0
        assert shared.states() == {"1": "offered", "2": "filed"}
        assert shared.enter(Entry(listed=Listed("1"), backlog=True), "2") == 0
        assert shared.states() == {"1": "waiting", "2": "filed"}
        assert [waiting.backlog for waiting in shared.waiting()] == [True]

    def test_P1_what_no_longer_stands_vanishes_unless_it_was_filed(self, store: Store, shared: Custodian) -> None:
        shared.enter("1", "2", "3", Entry(listed=Listed("4"), state="offered"))
        shared.enter("1", folder="Sent")
        shared.commit(shared.outcome("1", make_raw(), owed=Action(do="seen")))
        assert shared.enter("5", standing=["2", "5"]) == 1
        assert shared.states() == {"1": "filed", "2": "waiting", "3": "vanished", "4": "vanished", "5": "waiting"}
        assert shared.states(folder="Sent") == {"1": "waiting"}
        assert not store.owed("shared", limit=10), "what is gone can't be settled"

    def test_P1_a_vanished_key_that_stands_again_waits_again(self, shared: Custodian) -> None:
        shared.enter("1", "2", "3")
        shared.commit(shared.outcome("3", make_raw(), owed=Action(do="delete")))
        shared.enter(standing=[])
        assert shared.states() == {"1": "vanished", "2": "vanished", "3": "filed"}
        assert shared.enter("2") == 0
        assert shared.enter(standing=["1"]) == 0
        assert shared.states() == {"1": "waiting", "2": "vanished", "3": "filed"}

    @pytest.mark.parametrize("was", ["filed", "duplicate", "not admitted"])
    @pytest.mark.parametrize("how", ["standing", "entered"])
    def test_P1_a_key_that_is_used_again_is_another_message(self, store: Store, shared: Custodian, was: str, how: str) -> None:
        first = shared.file("1", make_raw(1))
        shared.enter("2", Entry(listed=Listed("7", 700, NOON), backlog=True))
        old = shared.outcome("7", make_raw(1 if was == "duplicate" else 7), owed=Action(do="delete"))
        shared.commit(NotAdmitted(entry_id=old.entry_id, anchor="seven", cause="no agent") if was == "not admitted" else old)
        shared.enter(standing=["1", "2"])
        assert shared.states()["7"] == was
        assert shared.enter(*["7"] * (how == "entered"), standing=["1", "2", "7"] if how == "standing" else None) == 1
        assert shared.states() == {"1": "filed", "2": "waiting", "7": "waiting"}
        _, waiting = shared.waiting()
        assert (waiting.entry_id > old.entry_id, waiting.backlog, waiting.tries) == (True, False, 0)
        assert waiting.listed == (Listed("7", 700, NOON) if how == "standing" else Listed("7"))
        assert shared.enter("7", standing=["1", "2", "7"]) == 0, "it is there now"
        other = shared.outcome("7", make_raw(8), owed=Action(do="seen"))
        assert shared.commit(other) == Tally(filed=1)
        assert [(owed.entry_id, owed.key) for owed in store.owed("shared", limit=9)] == [(other.entry_id, "7")]
        (past,) = [view for view in store.entries("shared", was, after=first, limit=9) if view.gone]
        assert (past.id, past.key) == (old.entry_id, "7")
        shown = {(view.id, view.key) for view in store.filings(ACME, Query())}
        assert shown == {(first, "1"), (other.entry_id, "7")} | ({(old.entry_id, "7")} if was == "filed" else set())
        (audit,) = store.audit("shared", {"INBOX": make_listing("1", "2", "7")})
        assert (audit.waiting, audit.unknown, audit.gone) == (("2",), (), 1)
        assert old.entry_id not in [each.entry_id for each in store.anchors("shared", "INBOX", standing=[])]

    def test_P1_a_folder_that_was_empty_for_a_while_has_duplicates_that_owe_once(self, store: Store, shared: Custodian) -> None:
        mail_id = shared.file("1", make_raw(), owed=Action(do="delete"))
        for times in (1, 2):
            shared.enter(standing=[])
            assert not store.owed("shared", limit=9)
            assert shared.enter(standing=["1"]) == 1
            assert not store.owed("shared", limit=9), "it is not known yet what stands there"
            assert shared.commit(shared.outcome("1", make_raw(), owed=Action(do="delete"))) == Tally(duplicate=1)
            (owed,) = store.owed("shared", limit=9)
            assert owed.key == "1"
            assert [view.id for view in store.filings(ACME, Query())] == [mail_id]
            (audit,) = store.audit("shared", {"INBOX": make_listing("1")})
            assert (audit.proven, audit.states, audit.gone) == (True, {"filed": 1, "duplicate": times}, times)
        assert [anchor.entry_id for anchor in store.anchors("shared", "INBOX", standing=[])] == [owed.entry_id]
        store.settled(shared.lease, [owed.entry_id])
        assert not store.owed("shared", limit=9)

    def test_P1_a_key_that_is_used_again_before_the_next_listing_is_another_message(self, store: Store, shared: Custodian) -> None:
        actions = [Action(do="seen"), Action(do="move", folder="Done"), Action(do="delete")]
        ids = [shared.file(str(number), make_raw(number), owed=action) for number, action in enumerate(actions, 1)]
        store.settled(shared.lease, ids)
        assert shared.enter(standing=["1", "2", "3"]) == 2, "what was marked seen is still the same"
        assert shared.states() == {"1": "filed", "2": "waiting", "3": "waiting"}
        new = shared.outcome("3", make_raw(9), owed=Action(do="delete"))
        assert shared.commit(shared.outcome("2", make_raw(2), owed=actions[1]), new) == Tally(filed=1, duplicate=1)
        store.settled(shared.lease, [owed.entry_id for owed in store.owed("shared", limit=9)])
        assert shared.enter(standing=["1", "2", "3"]) == 1, "a server that does not do what it says is asked twice, not for ever"
        assert shared.states() == {"1": "filed", "2": "duplicate", "3": "waiting"}

    def test_P1_a_folder_that_is_renumbered_there_and_back_again_files_nothing_twice(self, store: Store, shared: Custodian) -> None:
        raws = {key: make_raw(number) for number, key in enumerate("abc")}
        ids = {key: shared.file(key, raw, owed=Action(do="seen")) for key, raw in raws.items()}
        entries = [Entry(listed=Listed(key.upper()), same_as=ids[key]) for key in raws]
        assert shared.enter(*entries, standing=["A", "B", "C"]) == 3
        upper = {view.key: view.id for view in store.entries("shared", "filed", after=0, limit=9) if not view.gone}
        assert [owed.key for owed in store.owed("shared", limit=9)] == ["A", "B", "C"]
        # One key comes by its anchor, one has to be fetched again, one by the next page.
        assert shared.enter(Entry(listed=Listed("a"), same_as=upper["A"]), standing=["a", "b"]) == 2
        assert shared.enter(Entry(listed=Listed("c"), same_as=upper["C"])) == 1
        assert shared.states("a", "b", "c") == {"a": "filed", "b": "waiting", "c": "filed"}
        assert shared.commit(shared.outcome("b", raws["b"], owed=Action(do="seen"))) == Tally(duplicate=1)
        assert sorted(owed.key for owed in store.owed("shared", limit=9)) == ["a", "b", "c"]
        assert {view.id: view.key for view in store.filings(ACME, Query())} == {ids["a"]: "a", ids["b"]: "B", ids["c"]: "c"}
        (audit,) = store.audit("shared", {"INBOX": make_listing("a", "b", "c")})
        assert audit.proven
        assert len([each for each in store.anchors("shared", "INBOX", standing=[]) if each.gone_at is None]) == 3

    def test_a_renumbered_key_takes_over_what_became_of_the_old_one(self, store: Store, shared: Custodian) -> None:
        raw = make_raw()
        mail_id = shared.file("1", raw, owed=Action(do="move", folder="Done"))
        shared.enter("2")
        shared.commit(NotAdmitted(entry_id=shared.entry("2"), anchor="two", cause="no agent"))
        shared.enter("3")
        assert not store.anchors("shared", "INBOX", standing=None)
        assert len(store.anchors("shared", "INBOX", standing={"1", "3"})) == 1
        anchors = store.anchors("shared", "INBOX", standing={"11"})
        assert [anchor.entry_id for anchor in anchors] == [mail_id, next(each.entry_id for each in anchors if each.anchor == "two")]
        entry = Entry(listed=Listed("11"), same_as=mail_id)
        twice = Entry(listed=Listed("12"), same_as=mail_id)
        assert shared.enter(entry, twice, standing=["11", "12"]) == 2
        expected = {"1": "filed", "11": "filed", "12": "waiting", "2": "not admitted", "3": "vanished"}
        assert shared.states() == expected
        assert [(owed.key, str(owed.action)) for owed in store.owed("shared", limit=9)] == [("11", "move Done")]
        assert [anchor.anchor for anchor in store.anchors("shared", "INBOX", standing=None)] == ["two"]
        assert [(view.id, view.key) for view in store.filings(ACME, Query())] == [(mail_id, "11")]
        assert len(store.anchors("shared", "INBOX", standing={"12"})) == 2, "the new key can be renumbered in its turn"

    def test_waiting_keys_come_in_order_when_they_are_due(self, store: Store, shared: Custodian) -> None:
        shared.enter(*(str(number) for number in range(1, 7)))
        every = shared.waiting()
        assert [waiting.listed.key for waiting in every] == ["1", "2", "3", "4", "5", "6"]
        some = store.waiting("shared", "INBOX", after=every[1].entry_id, limit=2)
        assert [waiting.listed.key for waiting in some] == ["3", "4"]
        later = [
            Retry(entry_id=waiting.entry_id, cause="garbled", retry_after=after)
            for waiting, after in zip(every, (60, -1), strict=False)
        ]
        assert shared.commit(*later) == Tally(deferred=2)
        assert [(waiting.listed.key, waiting.tries) for waiting in shared.waiting()][:2] == [("2", 1), ("3", 0)]
        named = store.waiting("shared", "INBOX", after=0, limit=9, keys=["6", "1", "nothing"])
        assert [waiting.listed.key for waiting in named] == ["1", "6"]
        assert not store.waiting("shared", "INBOX", after=0, limit=9, keys=[])

    def test_P1_what_was_moved_or_deleted_has_no_anchor_any_more(self, store: Store, shared: Custodian) -> None:
        actions = [Action(do="seen"), Action(do="move", folder="Done"), Action(do="delete")]
        ids = [shared.file(str(number), make_raw(number), owed=action) for number, action in enumerate(actions)]
        assert [anchor.entry_id for anchor in store.anchors("shared", "INBOX", standing=[])] == ids
        store.settled(shared.lease, ids)
        (anchor,) = store.anchors("shared", "INBOX", standing=[])
        assert (anchor.entry_id, anchor.gone_at) == (ids[0], None)
        shared.enter(standing=[])
        (anchor,) = store.anchors("shared", "INBOX", standing=None)
        assert anchor.gone_at is not None
        (anchor,) = store.anchors("shared", "INBOX", standing={"0"})
        assert anchor.entry_id == ids[0], "it is gone until it is entered as listed again"

    def test_an_owed_action_is_owed_until_it_is_settled(self, store: Store, shared: Custodian, other: Custodian) -> None:
        actions = [Action(do="seen"), Action(do="move", folder="Très/öld"), Action(do="delete")]
        ids = [shared.file(str(number), make_raw(number), owed=action) for number, action in enumerate(actions)]
        owed = store.owed("shared", limit=9)
        assert [(each.entry_id, each.folder, each.action) for each in owed] == [
            (entry_id, "INBOX", action) for entry_id, action in zip(ids, actions, strict=True)
        ]
        assert [each.key for each in store.owed("shared", limit=1)] == ["0"]
        store.settled(shared.lease, ids[:2])
        assert [each.key for each in store.owed("shared", limit=9)] == ["2"]
        assert not store.owed("other", limit=9)
        store.settled(other.lease, ids)
        assert [each.key for each in store.owed("shared", limit=9)] == ["2"], "another account's lease settles nothing here"

    def test_an_account_is_at_rest_while_no_verb_has_work_for_a_visit(self, store: Store, shared: Custodian) -> None:
        def rests() -> bool:
            work = (store.waiting("shared", "INBOX", after=0, limit=9), store.owed("shared", limit=9))
            more = (store.rereads("shared", "INBOX", limit=9), store.with_refused(["shared"]))
            assert store.at_rest("shared") == (not any((*work, *more)))
            return store.at_rest("shared")

        assert rests()
        shared.enter("1")
        assert (rests(), store.at_rest("other")) == (False, True)
        shared.commit(Retry(entry_id=shared.entry("1"), cause="busy", retry_after=9999))
        assert rests()
        owed = shared.file("2", make_raw(2), owed=Action(do="seen"))
        assert not rests()
        store.settled(shared.lease, [owed])
        assert rests()
        shared.enter(Entry(listed=Listed("3", 999)))
        again = shared.outcome("3", make_raw(3))
        shared.commit(replace(again, reread_after=60.0))
        assert not rests()
        store.reread(shared.lease, proven={}, later={}, undone=[again.entry_id])
        assert rests()
        shared.enter("4")
        shared.commit(NotAdmitted(entry_id=shared.entry("4"), anchor="4", cause="nobody", senders=("a@x",)))
        assert not rests()
        shared.enter(standing=["1", "2", "3"])
        assert rests()
        shared.enter("5")
        # Its admission could not be decided: it is not due, and may be sooner.
        undecided = Retry(entry_id=shared.entry("5"), cause="a directory is down", retry_after=9999, senders=("a@x",))
        shared.commit(undecided)
        assert not rests()
        shared.enter(standing=["1", "2", "3"])
        assert rests()
        shared.enter("6")
        shared.commit(replace(shared.outcome("6", make_raw(6)), refused_by=("nord",), senders=("a@x",)))
        assert not rests()
