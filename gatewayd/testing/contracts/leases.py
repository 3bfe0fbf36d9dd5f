"""Tests of every store: leases, taken one by one and many at once."""

# ruff: noqa: PLR2004, N802  tests are made of expected numbers and named after promises

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatewayd import Held, Lease, LeaseLost, Query
from gatewayd.testing.contracts.custodian import ACME, Custodian, make_filing, make_raw, nobody_is_dead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewayd import Store

__all__ = ["LeaseBatchContract", "LeaseContract"]


def _names(leases: Sequence[Lease]) -> list[str]:
    return [lease.account for lease in leases]


class LeaseContract:
    """Leases: one holder at a time, and no write of any other."""

    def test_a_lease_is_exclusive_and_its_epoch_grows(self, store: Store) -> None:
        first = store.take_lease("shared", "one", dead=nobody_is_dead)
        assert first == Lease(account="shared", holder="one", epoch=first.epoch if isinstance(first, Lease) else 0)
        held = store.take_lease("shared", "two", dead=nobody_is_dead)
        assert isinstance(held, Held)
        assert (held.account, held.holder) == ("shared", "one")
        assert timedelta(0) < held.until - datetime.now(UTC) < timedelta(seconds=60)
        assert isinstance(store.take_lease("shared", "one", dead=nobody_is_dead), Held)
        assert isinstance(store.take_lease("other", "two", dead=nobody_is_dead), Lease)
        store.release(first)
        second = store.take_lease("shared", "two", dead=nobody_is_dead)
        assert isinstance(second, Lease)
        assert second.epoch > first.epoch

    @pytest.mark.parametrize("how", ["released", "dead", "ended", "taken again"])
    def test_P2_a_late_write_is_refused_and_nothing_of_it_stays(
        self, store: Store, shared: Custodian, expire: Callable[[str], None], how: str
    ) -> None:
        shared.enter("1", "2")
        outcome = shared.outcome("1", make_raw())
        if how in {"released", "taken again"}:
            store.release(shared.lease)
        elif how == "ended":
            expire("shared")
        new = store.take_lease(
            "shared", "one" if how == "taken again" else "two", dead=lambda holder: how == "dead" and holder == "one"
        )
        assert isinstance(new, Lease)
        writes: list[Callable[[], object]] = [
            lambda: store.renew(shared.lease),
            lambda: shared.enter("3", cursor="late"),
            lambda: shared.commit(outcome),
            lambda: store.settled(shared.lease, [1]),
            lambda: store.add_filings(shared.lease, [(1, make_filing("globetrot"))]),
        ]
        for write in writes:
            with pytest.raises(LeaseLost, match="shared"):
                write()
        store.release(shared.lease)
        now = Custodian(store, new)
        assert now.states() == {"1": "waiting", "2": "waiting"}
        assert now.folder_state().cursor == "c"
        assert not store.filings(ACME, Query())
        assert now.enter("3") == 1

    def test_what_is_written_after_the_release_is_refused(self, store: Store, shared: Custodian) -> None:
        store.release(shared.lease)
        with pytest.raises(LeaseLost):
            shared.enter("1")
        assert store.folder("shared", "INBOX") is None

    def test_an_ended_lease_that_nobody_took_still_stands_and_is_renewed(
        self, store: Store, shared: Custodian, expire: Callable[[str], None]
    ) -> None:
        expire("shared")
        assert shared.enter("1") == 1
        assert isinstance(store.take_lease("shared", "two", dead=nobody_is_dead), Held)

    @pytest.mark.usefixtures("shared")
    def test_whether_an_owner_is_dead_is_asked_outside_the_transaction(self, store: Store, other: Custodian) -> None:
        asked = []

        def dead(holder: str) -> bool:
            asked.append(holder)
            return other.enter(str(len(asked))) == 1

        assert isinstance(store.take_lease("shared", "two", dead=dead), Lease)
        assert asked == ["one"]


class LeaseBatchContract:
    """Many leases at once: the same promises as for one."""

    def test_all_free_leases_are_taken_at_once_and_each_only_once(self, store: Store) -> None:
        accounts = [f"account {number:04}" for number in range(1234)]
        held = store.take_lease(accounts[7], "two", dead=nobody_is_dead)
        assert isinstance(held, Lease)
        taken = store.take_leases(accounts, "one", dead=nobody_is_dead)
        assert _names(taken) == [account for account in accounts if account != held.account]
        assert {lease.holder for lease in taken} == {"one"}
        assert store.take_leases(accounts, "two", dead=nobody_is_dead) == []
        assert store.take_leases(accounts, "one", dead=nobody_is_dead) == [], "what one holds itself is not free either"
        assert store.take_leases([], "two", dead=nobody_is_dead) == []
        assert store.renew_leases([*taken, held]) == [*taken, held]
        store.release_leases(taken)
        assert store.renew_leases([*taken, held]) == [held]
        again = store.take_leases(accounts, "two", dead=nobody_is_dead)
        assert len(again) == 1233
        assert again[0].epoch > taken[0].epoch
        Custodian(store, again[0]).enter("1")

    @pytest.mark.parametrize("how", ["released", "dead", "ended"])
    def test_P2_a_late_write_is_refused_after_a_batch_was_taken(
        self, store: Store, expire: Callable[[str], None], how: str
    ) -> None:
        late, other = store.take_leases(["b", "a"], "one", dead=nobody_is_dead)
        if how == "released":
            store.release_leases([late])
        elif how == "ended":
            expire(late.account)
        taken = store.take_leases(["b", "a"], "two", dead=lambda holder: how == "dead" and holder == "one")
        assert _names(taken) == (["a", "b"] if how == "dead" else ["a"])
        with pytest.raises(LeaseLost, match=late.account):
            Custodian(store, late).enter("1")
        assert store.renew_leases([late, other]) == ([] if how == "dead" else [other])
        store.release_leases([late])
        assert store.renew_leases(taken) == taken, "a late release gives back nothing that another has"

    def test_whether_an_owner_is_dead_is_asked_once_and_outside_the_transaction(self, store: Store, other: Custodian) -> None:
        store.take_leases(["a", "b", "c"], "one", dead=nobody_is_dead)
        store.take_leases(["d", "e"], "two", dead=nobody_is_dead)
        asked = []

        def dead(holder: str) -> bool:
            asked.append(holder)
            return other.enter(str(len(asked))) == 1 and holder == "one"

        assert _names(store.take_leases(["a", "b", "d", "e", "f"], "three", dead=dead)) == ["a", "b", "f"]
        assert sorted(asked) == ["one", "two"]

    def test_renewed_leases_go_on_and_those_of_another_epoch_are_not_renewed(
        self, store: Store, expire: Callable[[str], None]
    ) -> None:
        first, other = store.take_leases(["a", "b"], "one", dead=nobody_is_dead)
        expire("a")
        expire("b")
        assert store.renew_leases([first, other]) == [first, other], "nobody took them"
        assert isinstance(store.take_lease("a", "two", dead=nobody_is_dead), Held)
        store.release(first)
        (again,) = store.take_leases(["a"], "one", dead=nobody_is_dead)
        expire("a")
        assert store.renew_leases([first, other]) == [other]
        store.release_leases([first])
        assert isinstance(store.take_lease("a", "two", dead=nobody_is_dead), Lease), "an earlier epoch renewed nothing"
        assert store.renew_leases([again, again]) == []
        assert store.renew_leases([replace(other, account="none"), replace(other, holder="two"), other]) == [other]
        assert store.renew_leases([]) == []
