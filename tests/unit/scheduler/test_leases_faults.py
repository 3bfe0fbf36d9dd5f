"""A store that fails in the middle of a round, and the end: no lease is kept by a daemon that does not know of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from gatewayd import PluginError, TransientError
from gatewayd.scheduler import Timings
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


# --- faults -----------------------------------------------------------------------------------------------------------


def test_where_leases_cannot_be_renewed_nothing_is_said_of_them(bench: Bench) -> None:
    lease = bench.lease("main")
    bench.store.at["renew"] = away
    done = bench.round([lease], ["other"], 2)
    assert (done.asked, done.kept, done.share, done.taken) == (frozenset({lease}), None, None, ())
    assert isinstance(done.error, TransientError)
    assert done.error.message == "the database is away"
    # The frames of a traceback would hold all that they saw for as long as the error is kept.
    assert done.error.__traceback__ is None


def test_what_was_renewed_before_the_store_failed_is_kept(bench: Bench) -> None:
    lease = bench.lease("main")
    bench.store.at["beat"] = away
    done = bench.round([lease], ["other"], 2)
    assert (done.kept, done.share) == (frozenset({lease}), None)
    assert done.error is not None


def test_a_bug_of_the_store_is_told_as_its_own_and_the_next_round_is_done(bench: Bench) -> None:
    bench.store.at["daemons"] = lambda: int("a bug")
    done = bench.round()
    assert isinstance(done.error, PluginError)
    assert done.error.message.startswith("the store failed: ")
    del bench.store.at["daemons"]
    assert bench.round().error is None


def test_what_a_round_that_failed_was_to_give_back_is_given_back_by_the_next_one(bench: Bench) -> None:
    lease = bench.lease("main")
    bench.leases.give(lease)
    bench.store.at["release"] = away
    assert bench.round().error is not None
    del bench.store.at["release"]
    bench.round()
    assert bench.is_free("main")


@pytest.mark.parametrize(
    ("verb", "number", "wanted", "accounts"), [("healths", 1, 4, 8), ("release", 1, 4, 4), ("take", 2, 103, 160)]
)
def test_what_a_round_took_before_it_failed_is_given_back_by_the_next_one(
    bench: Bench, verb: str, number: int, wanted: int, accounts: int
) -> None:
    def failing() -> None:
        if bench.store.asked.count(verb) == number:
            away()

    names = [f"account-{number}" for number in range(wanted)]
    bench.beside("another")
    bench.house.store.take_leases(names[4:], "another", dead=lambda _: False)
    bench.store.at[verb] = failing
    failed = bench.round([], names, accounts)
    assert failed.taken == ()
    assert isinstance(failed.error, TransientError)
    bench.round()
    assert all(bench.is_free(name) for name in names[:4])


# --- the end ----------------------------------------------------------------------------------------------------------


def test_at_the_end_everything_is_given_back_and_the_daemon_counts_no_more(bench: Bench) -> None:
    held, given = bench.lease("held"), bench.lease("given")
    bench.round([held, given], ["taken"], 3)
    bench.leases.give(given)
    assert bench.leases.end([held], AT_ONCE) is True
    assert all(bench.is_free(name) for name in ("held", "given", "taken"))
    assert bench.house.store.daemons() == []
    with pytest.raises(RuntimeError):
        bench.leases.start([], [], 0)


def test_the_end_comes_behind_the_round_that_is_under_way_and_gives_back_what_that_takes(bench: Bench) -> None:
    go_on, released = threading.Event(), threading.Event()
    bench.store.at["take"] = lambda: go_on.wait(AT_ONCE)
    bench.store.at["release"] = released.set
    bench.leases.start([], ["main"], 1)
    assert bench.leases.end([], 0.05) is False
    go_on.set()
    assert bench.rounds.get(timeout=AT_ONCE).taken
    assert bench.leases._thread.join(AT_ONCE)
    assert released.is_set()
    assert bench.is_free("main")


def test_what_a_round_that_fails_during_the_end_took_is_given_back_too(bench: Bench) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def failing() -> None:
        begun.set()
        go_on.wait(AT_ONCE)
        away()

    bench.store.at["healths"] = failing
    bench.leases.start([], ["main"], 1)
    assert begun.wait(AT_ONCE)
    assert bench.leases.end([], 0.01) is False
    go_on.set()
    assert bench.leases._thread.join(AT_ONCE)
    assert bench.is_free("main")


def test_a_store_that_fails_at_the_end_is_told(bench: Bench) -> None:
    bench.store.at["release"] = away
    assert bench.leases.end([bench.lease("main")], AT_ONCE) is False
    assert not bench.is_free("main")
