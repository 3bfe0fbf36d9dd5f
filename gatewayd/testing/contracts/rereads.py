"""Tests of every store: mail that is fetched once more, and mail that has grown on its server."""

# ruff: noqa: PLR2004, N802  tests are made of expected numbers and named after promises

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from gatewayd import Action, Entry, Listed, Query
from gatewayd.testing.contracts.custodian import ACME, NOON, Custodian, make_listing, make_raw

if TYPE_CHECKING:
    from gatewayd import Store

__all__ = ["RereadContract"]


class RereadContract:
    """What came once proves little where sizes are estimates (promise P3)."""

    def test_P3_what_is_of_another_size_is_owed_once_its_bytes_came_again(self, store: Store, shared: Custodian) -> None:
        ids = {}
        for key, action in {"1": Action(do="delete"), "2": Action(do="seen"), "3": None, "4": None}.items():
            shared.enter(Entry(listed=Listed(key, 999, NOON)))
            outcome = shared.outcome(key, make_raw(int(key)), owed=action)
            shared.commit(replace(outcome, reread_after=60.0 * int(key)))
            ids[key] = outcome.entry_id
        shared.file("1", make_raw(1), folder="Sent")
        assert not store.owed("shared", limit=9)
        assert store.lengths().rereads == {"shared": 4}
        assert [store.known("shared", "INBOX", ["1", "3"])[key].owes for key in ("1", "3")] == [True, False]
        first, *rest = store.rereads("shared", "INBOX", limit=3)
        assert [each.listed.key for each in rest] == ["2", "3"]
        assert (first.entry_id, first.listed, first.digest) == (ids["1"], Listed("1", 999, NOON), sha256(make_raw(1)).digest())
        assert (first.tries, first.others, 0 < first.due_in <= 60) == (0, 0, True)
        (audit,) = [each for each in store.audit("shared", {"INBOX": make_listing("1", "2", "3")}) if each.folder == "INBOX"]
        assert (audit.rereads, audit.unlike) == (("1", "2", "3"), ("1", "2", "3"))
        proven: dict[int, int | None] = {ids["1"]: 998, ids["3"]: 999}
        store.reread(shared.lease, proven=proven, later={ids["4"]: -1.0}, undone=[ids["2"]])
        (owed,) = store.owed("shared", limit=9)
        assert (owed.listed, owed.action, owed.size) == (Listed("1", 998, NOON), Action(do="delete"), len(make_raw(1)))
        (left,) = store.rereads("shared", "INBOX", limit=9)
        assert (left.entry_id, left.tries, left.due_in <= 0) == (ids["4"], 1, True)
        store.reread(shared.lease, proven={ids["2"]: 999}, later={ids["1"]: 9.0, ids["2"]: 9.0}, undone=[ids["1"]])
        assert [each.entry_id for each in store.owed("shared", limit=9)] == [ids["1"]], "what came again is done with"
        assert [len(store.owed("shared", after=ids["1"] - before, limit=9)) for before in (1, 0)] == [1, 0]
        assert shared.states() == dict.fromkeys("1234", "filed")

    def test_P3_what_must_come_again_goes_with_its_key(self, store: Store, shared: Custodian) -> None:
        for key in ("1", "2", "3", "4"):
            shared.enter(Entry(listed=Listed(key, 999)))
            shared.commit(replace(shared.outcome(key, make_raw(int(key)), owed=Action(do="delete")), reread_after=60.0))
        ids = {each.listed.key: each.entry_id for each in store.rereads("shared", "INBOX", limit=9)}
        assert all(each.owes for each in store.anchors("shared", "INBOX", standing=[]))
        # One is known again, one has grown meanwhile, one is gone, and one is another message by now.
        shared.enter(
            Entry(listed=Listed("11", 999), same_as=ids["1"]),
            Entry(listed=Listed("12", 1009), same_as=ids["2"]),
            Entry(listed=Listed("4", 999), contradiction="other bytes", others=1),
            standing=["11", "12", "4"],
        )
        (again,) = store.rereads("shared", "INBOX", limit=9)
        assert (again.listed.key, 0 < again.due_in <= 60) == ("11", True)
        shared.commit(replace(shared.outcome("4", make_raw(9), owed=Action(do="delete")), reread_after=5.0))
        other, _ = store.rereads("shared", "INBOX", limit=9)
        assert (other.listed.key, other.others) == ("4", 1)
        shared.enter("3", standing=["11", "3"])
        assert [each.listed.key for each in store.rereads("shared", "INBOX", limit=9)] == ["11"]
        other_lease = Custodian.of(store, account="other").lease
        store.reread(other_lease, proven={again.entry_id: 1}, later={}, undone=[])
        assert len(store.rereads("shared", "INBOX", limit=9)) == 1, "another account's lease proves nothing here"

    def test_P2_what_has_grown_is_a_duplicate_of_the_mail_that_it_was(self, store: Store, shared: Custodian) -> None:
        mail_id = shared.file("1", make_raw(1), owed=Action(do="delete"))
        assert [each.before for each in shared.waiting()] == []
        shared.enter("2", Entry(listed=Listed("1", 700), contradiction="700 bytes, 600 before"))
        assert {each.listed.key: each.before for each in shared.waiting()} == {"1": mail_id, "2": None}
        # It grew again before it was fetched.
        shared.enter(Entry(listed=Listed("1", 710), contradiction="710 bytes, 700 before"))
        (grown,) = [each for each in shared.waiting() if each.listed.key == "1"]
        assert grown.before == mail_id
        raw = b"Status: RO\r\n" + make_raw(1)
        tally = shared.commit(replace(shared.outcome("1", raw, owed=Action(do="delete")), grown_from=mail_id))
        assert (tally.duplicate, tally.filed) == (1, 0)
        (owed,) = store.owed("shared", limit=9)
        assert (owed.entry_id, owed.listed) == (grown.entry_id, Listed("1", 710))
        (audit,) = store.audit("shared", {"INBOX": make_listing(Listed("1", 710))})
        assert (audit.grown, audit.unlike, audit.damaged) == (("1",), (), ())
        assert len(store.filings(ACME, Query())) == 1
