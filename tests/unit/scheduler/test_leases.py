"""Whose accounts are ours: one round after another, without a supervisor around them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from gatewayd import AccountHealth, Lease
from gatewayd.runtime.instance import Instance
from gatewayd.scheduler import Timings
from gatewayd.scheduler.leases import share
from tests.patience import AT_ONCE
from tests.unit.supervised import House
from tests.unit.unlooped import Bench, away

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


@pytest.fixture
def bench(house: House) -> Bench:
    return Bench(house, Timings(lease=30.0, poll=0.5))


# --- when -------------------------------------------------------------------------------------------------------------


def test_the_first_round_is_due_at_once_and_sessions_may_go_on_for_four_fifths_of_a_lease(house: House) -> None:
    before = time.monotonic()
    leases = Bench(house, Timings(lease=50.0)).leases
    assert leases.at == 0.0
    assert before <= leases.good_at <= time.monotonic()
    assert leases.ends_at == leases.good_at + 40.0


def test_a_round_follows_in_a_third_of_a_lease_and_tells_when_it_began(bench: Bench) -> None:
    before = time.monotonic()
    done = bench.round()
    after = time.monotonic()
    assert before + 10.0 <= bench.leases.at <= after + 10.0
    assert before <= done.began <= after


@pytest.mark.parametrize(("lease", "soon"), [(10.0, 1.0), (300.0, 2.0)])
def test_a_round_that_failed_is_followed_by_another_soon(house: House, lease: float, soon: float) -> None:
    bench = Bench(house, Timings(lease=lease))
    bench.store.at["daemons"] = away
    before = time.monotonic()
    bench.round()
    assert before + soon <= bench.leases.at <= time.monotonic() + soon


def test_while_a_round_is_under_way_no_other_begins_and_it_is_asked_again_soon(bench: Bench) -> None:
    go_on = threading.Event()
    bench.store.at["daemons"] = lambda: go_on.wait(AT_ONCE)
    bench.leases.start([], [], 0)
    before = time.monotonic()
    bench.leases.start([], [], 0)
    assert before + 0.5 <= bench.leases.at <= time.monotonic() + 0.5
    go_on.set()
    assert bench.rounds.get(timeout=AT_ONCE).error is None
    assert bench.leases.end([], AT_ONCE)
    assert bench.rounds.empty()


def test_a_lease_that_nobody_wants_is_given_back_at_once(bench: Bench) -> None:
    lease = bench.lease("main")
    bench.round()
    bench.leases.give(lease)
    assert bench.leases.at == 0.0
    bench.round()
    assert bench.is_free("main")
    # Once: whoever has it now keeps it.
    bench.store.asked.clear()
    bench.round()
    assert "release" not in bench.store.asked


# --- what a round does ------------------------------------------------------------------------------------------------


def test_what_is_held_is_renewed_and_what_another_daemon_took_is_not_kept(bench: Bench) -> None:
    mine, lost = bench.lease("mine"), bench.lease("lost")
    bench.house.store.take_lease("lost", "another", dead=lambda _: True)
    done = bench.round([mine, lost], [], 2)
    assert (done.asked, done.kept, done.error) == (frozenset({mine, lost}), frozenset({mine}), None)


def test_what_is_wanted_is_taken_with_what_was_told_of_it(bench: Bench) -> None:
    told = AccountHealth(account="main", holder="before", condition="polling", error="there is no folder Archiv")
    bench.house.store.tell([told])
    done = bench.round([], ["main"], 1)
    assert done.taken == (Lease(account="main", holder=bench.deps.instance.name, epoch=1),)
    assert done.healths == {"main": told}
    assert (done.share, done.kept, done.error) == (1, frozenset(), None)


def test_a_daemon_takes_no_more_than_its_share_beside_what_it_holds(bench: Bench) -> None:
    bench.beside("another")
    names = ["a", "b", "c", "d", "e"]
    done = bench.round([bench.lease("held")], names, 6)
    assert (done.share, len(done.taken)) == (3, 2)
    left = set(names) - {lease.account for lease in done.taken}
    assert all(bench.is_free(name) for name in left)
    assert not any(bench.is_free(lease.account) for lease in done.taken)


def test_a_daemon_that_holds_its_share_asks_for_nothing_more(bench: Bench) -> None:
    bench.beside("another")
    done = bench.round([bench.lease("held")], ["wanted"], 2)
    assert (done.share, done.taken) == (1, ())
    assert "take" not in bench.store.asked


def test_a_daemon_tells_what_it_keeps_and_then_at_once_what_it_took(bench: Bench) -> None:
    bench.round([bench.lease("one"), bench.lease("two")], ["three"], 3)
    assert bench.store.beats == [2, 3]
    assert [one.accounts for one in bench.house.store.daemons()] == [3]


def test_a_round_that_finds_nothing_to_do_asks_the_store_only_who_lives(bench: Bench) -> None:
    bench.house.store.take_lease("wanted", "another", dead=lambda _: False)
    bench.round()
    assert bench.store.asked == ["daemons", "beat"]
    bench.store.asked.clear()
    assert bench.round([], ["wanted"], 1).taken == ()
    assert bench.store.asked == ["daemons", "beat", "take"]


def test_of_what_there_was_room_for_nothing_is_given_back(bench: Bench) -> None:
    bench.round([], ["one", "two"], 2)
    assert bench.store.asked == ["daemons", "beat", "take", "healths", "beat"]


def test_what_a_killed_daemon_had_is_taken_and_it_counts_no_more(bench: Bench) -> None:
    with Instance(bench.house.folder) as killed:
        pass
    bench.beside(killed.name)
    bench.beside("alive")
    bench.house.store.take_lease("main", killed.name, dead=lambda _: False)
    done = bench.round([], ["main"], 3)
    assert (done.share, len(done.taken)) == (2, 1)
    assert {one.holder for one in bench.house.store.daemons()} == {bench.deps.instance.name, "alive"}


# --- many accounts ----------------------------------------------------------------------------------------------------


def test_what_is_free_is_found_among_many_that_are_not(bench: Bench) -> None:
    names = [f"account-{number}" for number in range(250)]
    bench.house.store.take_leases(names[:-1], "another", dead=lambda _: False)
    done = bench.round([], names, 250)
    assert [lease.account for lease in done.taken] == names[-1:]


def test_all_that_there_is_room_for_is_asked_for_at_once(bench: Bench) -> None:
    bench.beside("another")
    done = bench.round([], [f"account-{number}" for number in range(300)], 300)
    assert bench.store.numbers == [150]
    assert len(done.taken) == 150


def test_one_round_asks_for_twenty_hundreds_at_most(bench: Bench) -> None:
    names = [f"account-{number}" for number in range(2150)]
    bench.house.store.take_leases(names, "another", dead=lambda _: False)
    for number in range(43):
        bench.beside(f"daemon-{number}")
    assert bench.round([], names, 2150).taken == ()
    assert bench.store.numbers == [100] * 20


@pytest.mark.parametrize(("accounts", "daemons", "each"), [(9, 2, 5), (8, 2, 4), (3, 0, 3), (3, 1, 3), (0, 1, 0), (1, 3, 1)])
def test_shares_leave_no_account_over_and_are_alike(accounts: int, daemons: int, each: int) -> None:
    assert share(accounts, daemons) == each
