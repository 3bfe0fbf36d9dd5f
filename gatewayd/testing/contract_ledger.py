"""What every store promises of leases and of the ledger."""

# ruff: noqa: PLR2004, N802  tests are made of expected numbers and named after promises

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatewayd import Action, Deferred, Entry, Held, Lease, LeaseLost, Listed, NotAdmitted, Query, Tally, Viewer
from gatewayd.testing.custodian import Custodian, make_filing, make_raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd import Anchor, Store

__all__ = ["LeaseContract", "LedgerContract"]

_ACME = Viewer(operator="acme")
_NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class LeaseContract:
    """Leases: one owner at a time, and no write of any other."""

    def test_a_lease_is_exclusive_and_its_epoch_grows(self, store: Store) -> None:
        first = store.take_lease("shared", "one", dead=lambda _: False)
        assert first == Lease(account="shared", owner="one", epoch=first.epoch if isinstance(first, Lease) else 0)
        held = store.take_lease("shared", "two", dead=lambda _: False)
        assert isinstance(held, Held)
        assert (held.account, held.owner) == ("shared", "one")
        assert timedelta(0) < held.until - datetime.now(UTC) < timedelta(seconds=60)
        assert isinstance(store.take_lease("shared", "one", dead=lambda _: False), Held)
        assert isinstance(store.take_lease("other", "two", dead=lambda _: False), Lease)
        store.release(first)
        second = store.take_lease("shared", "two", dead=lambda _: False)
        assert isinstance(second, Lease)
        assert second.epoch > first.epoch

    @pytest.mark.parametrize("how", ["released", "dead", "ended", "taken again"])
    def test_P2_a_late_write_is_refused_and_nothing_of_it_stays(
        self, store: Store, expire: Callable[[str], None], how: str
    ) -> None:
        late = Custodian.of(store)
        late.enter("1", "2")
        outcome = late.outcome("1", make_raw())
        if how in {"released", "taken again"}:
            store.release(late.lease)
        elif how == "ended":
            expire("shared")
        new = store.take_lease(
            "shared", "one" if how == "taken again" else "two", dead=lambda owner: how == "dead" and owner == "one"
        )
        assert isinstance(new, Lease)
        writes: list[Callable[[], object]] = [
            lambda: store.renew(late.lease),
            lambda: late.enter("3", cursor="late"),
            lambda: late.commit(outcome),
            lambda: store.settled(late.lease, [1]),
            lambda: store.add_filings(late.lease, [(1, make_filing("globetrot"))]),
        ]
        for write in writes:
            with pytest.raises(LeaseLost, match="shared"):
                write()
        store.release(late.lease)
        now = Custodian(store, new)
        assert now.states() == {"1": "waiting", "2": "waiting"}
        assert store.folder("shared", "INBOX") is not None
        assert store.folder("shared", "INBOX").cursor == "c"  # type: ignore[union-attr]
        assert not store.filings(_ACME, Query())
        assert now.enter("3") == 1

    def test_what_is_written_after_the_release_is_refused(self, store: Store) -> None:
        one = Custodian.of(store)
        store.release(one.lease)
        with pytest.raises(LeaseLost):
            one.enter("1")
        assert store.folder("shared", "INBOX") is None

    def test_an_ended_lease_that_nobody_took_still_stands_and_is_renewed(self, store: Store, expire: Callable[[str], None]) -> None:
        one = Custodian.of(store)
        expire("shared")
        assert one.enter("1") == 1
        assert isinstance(store.take_lease("shared", "two", dead=lambda _: False), Held)

    def test_whether_an_owner_is_dead_is_asked_outside_the_transaction(self, store: Store) -> None:
        Custodian.of(store)
        other = Custodian.of(store, "other")
        asked = []

        def dead(owner: str) -> bool:
            asked.append(owner)
            return other.enter(str(len(asked))) == 1

        assert isinstance(store.take_lease("shared", "two", dead=dead), Lease)
        assert asked == ["one"]


class LedgerContract:
    """The ledger: every key in exactly one state (promise P1)."""

    def test_P1_keys_and_cursor_are_entered_together_and_once(self, store: Store) -> None:
        one = Custodian.of(store)
        assert store.folder("shared", "INBOX") is None
        entries = [Entry(listed=Listed("1", 7, _NOON)), Entry(listed=Listed("1", 8)), Entry(listed=Listed("2"), backlog=True)]
        assert store.enter(one.lease, "INBOX", entries, cursor="a", start_at=_NOON) == 2
        state = store.folder("shared", "INBOX")
        assert state is not None
        assert (state.cursor, state.start_at) == ("a", _NOON)
        first, second = one.waiting()
        assert (first.listed, first.backlog, first.tries) == (Listed("1", 7, _NOON), False, 0)
        assert (second.listed, second.backlog) == (Listed("2"), True)
        assert store.enter(one.lease, "INBOX", [*entries, Entry(listed=Listed("3"))], cursor="b", start_at=None) == 1
        state = store.folder("shared", "INBOX")
        assert state is not None
        assert (state.cursor, state.start_at) == ("b", None)
        assert one.states("1", "2", "4") == {"1": "waiting", "2": "waiting"}
        assert one.states("1", folder="Sent") == {}
        assert store.known("other", "INBOX", ["1"]) == {}

    def test_an_offered_key_waits_once_it_is_wanted_and_no_filed_key_ever_again(self, store: Store) -> None:
        one = Custodian.of(store)
        one.enter(Entry(listed=Listed("1"), state="offered", cause="before the start"), "2")
        assert [waiting.listed.key for waiting in one.waiting()] == ["2"]
        one.commit(one.outcome("2", make_raw()))
        assert one.enter(Entry(listed=Listed("1"), state="offered"), Entry(listed=Listed("2"), state="offered")) == 0
        assert one.states() == {"1": "offered", "2": "filed"}
        assert one.enter(Entry(listed=Listed("1"), backlog=True), "2") == 0
        assert one.states() == {"1": "waiting", "2": "filed"}
        assert [waiting.backlog for waiting in one.waiting()] == [True]

    def test_P1_what_no_longer_stands_vanishes_unless_it_was_filed(self, store: Store) -> None:
        one = Custodian.of(store)
        one.enter("1", "2", "3", Entry(listed=Listed("4"), state="offered"))
        one.enter("1", folder="Sent")
        one.commit(one.outcome("1", make_raw(), owed=Action(do="seen")))
        assert one.enter("5", standing=["2", "5"]) == 1
        assert one.states() == {"1": "filed", "2": "waiting", "3": "vanished", "4": "vanished", "5": "waiting"}
        assert one.states(folder="Sent") == {"1": "waiting"}
        assert not store.owed("shared", limit=10), "what is gone can't be settled"

    def test_P1_a_vanished_key_that_stands_again_waits_again(self, store: Store) -> None:
        one = Custodian.of(store)
        one.enter("1", "2", "3")
        one.commit(one.outcome("3", make_raw(), owed=Action(do="delete")))
        one.enter(standing=[])
        assert one.states() == {"1": "vanished", "2": "vanished", "3": "filed"}
        assert one.enter("2") == 0
        assert one.enter(standing=["1", "3"]) == 0
        assert one.states() == {"1": "waiting", "2": "vanished", "3": "filed"}
        assert [owed.key for owed in store.owed("shared", limit=10)] == ["3"]

    def test_a_renumbered_key_takes_over_what_became_of_the_old_one(self, store: Store) -> None:
        one = Custodian.of(store)
        raw = make_raw()
        mail_id = one.file("1", raw, owed=Action(do="move", folder="Done"))
        one.enter("2")
        one.commit(NotAdmitted(entry_id=one.entry("2"), anchor="two", cause="no agent"))
        one.enter("3")
        assert not store.anchors("shared", "INBOX", standing=None)
        assert len(store.anchors("shared", "INBOX", standing={"1", "3"})) == 1
        anchors = store.anchors("shared", "INBOX", standing={"11"})
        assert [anchor.entry_id for anchor in anchors] == [mail_id, _named(anchors, "two")]
        entry = Entry(listed=Listed("11"), same_as=mail_id)
        twice = Entry(listed=Listed("12"), same_as=mail_id)
        assert one.enter(entry, twice, standing=["11", "12"]) == 2
        expected = {"1": "filed", "11": "filed", "12": "waiting", "2": "not admitted", "3": "vanished"}
        assert one.states() == expected
        assert [(owed.key, str(owed.action)) for owed in store.owed("shared", limit=9)] == [("11", "move Done")]
        assert [anchor.anchor for anchor in store.anchors("shared", "INBOX", standing=None)] == ["two"]
        assert [(view.id, view.key) for view in store.filings(_ACME, Query())] == [(mail_id, "11")]
        assert len(store.anchors("shared", "INBOX", standing={"12"})) == 2, "the new key can be renumbered in its turn"

    def test_waiting_keys_come_in_order_when_they_are_due(self, store: Store) -> None:
        one = Custodian.of(store)
        one.enter(*(str(number) for number in range(1, 7)))
        every = one.waiting()
        assert [waiting.listed.key for waiting in every] == ["1", "2", "3", "4", "5", "6"]
        some = store.waiting("shared", "INBOX", after=every[1].entry_id, limit=2)
        assert [waiting.listed.key for waiting in some] == ["3", "4"]
        later = [
            Deferred(entry_id=waiting.entry_id, cause="garbled", retry_after=after)
            for waiting, after in zip(every, (60, -1), strict=False)
        ]
        assert one.commit(*later) == Tally(deferred=2)
        assert [(waiting.listed.key, waiting.tries) for waiting in one.waiting()][:2] == [("2", 1), ("3", 0)]
        named = store.waiting("shared", "INBOX", after=0, limit=9, keys=["6", "1", "nothing"])
        assert [waiting.listed.key for waiting in named] == ["1", "6"]
        assert not store.waiting("shared", "INBOX", after=0, limit=9, keys=[])

    def test_P1_what_was_moved_or_deleted_has_no_anchor_any_more(self, store: Store) -> None:
        one = Custodian.of(store)
        actions = [Action(do="seen"), Action(do="move", folder="Done"), Action(do="delete")]
        ids = [one.file(str(number), make_raw(number), owed=action) for number, action in enumerate(actions)]
        assert [anchor.entry_id for anchor in store.anchors("shared", "INBOX", standing=[])] == ids
        store.settled(one.lease, ids)
        (anchor,) = store.anchors("shared", "INBOX", standing=[])
        assert (anchor.entry_id, anchor.gone_at) == (ids[0], None)
        one.enter(standing=[])
        (anchor,) = store.anchors("shared", "INBOX", standing=None)
        assert anchor.gone_at is not None

    def test_an_owed_action_is_owed_until_it_is_settled(self, store: Store) -> None:
        one = Custodian.of(store)
        actions = [Action(do="seen"), Action(do="move", folder="Très/öld"), Action(do="delete")]
        ids = [one.file(str(number), make_raw(number), owed=action) for number, action in enumerate(actions)]
        owed = store.owed("shared", limit=9)
        assert [(each.entry_id, each.folder, each.action) for each in owed] == [
            (entry_id, "INBOX", action) for entry_id, action in zip(ids, actions, strict=True)
        ]
        assert [each.key for each in store.owed("shared", limit=1)] == ["0"]
        store.settled(one.lease, ids[:2])
        assert [each.key for each in store.owed("shared", limit=9)] == ["2"]
        assert not store.owed("other", limit=9)
        other = Custodian.of(store, "other")
        store.settled(other.lease, ids)
        assert [each.key for each in store.owed("shared", limit=9)] == ["2"], "another account's lease settles nothing here"


def _named(anchors: object, name: str) -> int:
    found: list[Anchor] = [each for each in anchors if each.anchor == name]  # type: ignore[attr-defined]
    return found[0].entry_id
