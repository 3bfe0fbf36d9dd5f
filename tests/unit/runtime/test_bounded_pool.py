"""The bounded pool: silent work and suspects take no room from others (promise P4)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from gatewayd.runtime.bounded_pool import BoundedPool, PooledRun
from gatewayd.runtime.threads import WorkerThreads
from tests.patience import AT_ONCE, LONG

if TYPE_CHECKING:
    from collections.abc import Iterator


class Run(PooledRun):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.goes_on = threading.Event()
        self.aborts = 0

    def abort(self) -> None:
        self.aborts += 1
        self.goes_on.set()


class Pool(BoundedPool[Run, WorkerThreads, bool]):
    """A pool with room for one; its work waits until it is let go on."""

    def __init__(self) -> None:
        super().__init__(
            lambda number: WorkerThreads(1, f"pooled-{number}"),
            lambda run, _: run.goes_on.wait(LONG),
            lambda *_: None,
            limit=lambda: 1,
            slow=5.0,
        )

    def names(self) -> set[str]:
        """Start what has room, and return what is under way."""
        self.start(Run)
        return {run.name for run in self.runs}


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool()
    yield made
    for run in made.runs:
        run.goes_on.set()
    for slot in made.shutdown():
        assert slot.join(AT_ONCE)


def test_one_waits_for_the_other_and_a_suspect_for_neither(pool: Pool) -> None:
    for name in ("first", "second"):
        pool.offer(name, at=0.0, suspect=False)
    pool.offer("suspect", at=1.0, suspect=True)
    assert (pool.names(), "second" in pool, len(pool)) == ({"first", "suspect"}, True, 1)
    pool.withdraw("second")
    assert (pool.names(), "second" in pool) == ({"first", "suspect"}, False)


def test_work_without_a_sign_of_life_gives_its_room_to_others_but_not_for_ever(pool: Pool) -> None:
    for number in range(6):
        pool.offer(str(number), at=float(number), suspect=False)
    under_way = []
    for _ in range(6):
        under_way.append(len(pool.names()))
        pool.look(time.monotonic() + 6.0)
    assert under_way == [1, 2, 3, 4, 4, 4]
    assert not pool.stuck()
    for run in pool.runs:
        run.moved -= 700.0
    assert pool.stuck()


def test_work_whose_time_is_up_is_aborted_and_its_room_is_taken_back(pool: Pool) -> None:
    pool.offer("first", at=0.0, suspect=False)
    pool.offer("second", at=0.0, suspect=False)
    assert pool.names() == {"first"}
    (run,) = pool.runs
    run.abort_at = time.monotonic() + 100.0
    pool.look(time.monotonic() + 1.0)
    assert run.aborts == 0
    pool.look(run.abort_at)
    assert run.aborts == 1
    pool.ended(run, pool.shutdown()[0])


def test_shared_groups_have_limits_of_their_own() -> None:
    pool: BoundedPool[Run, WorkerThreads, None] = BoundedPool(
        lambda number: WorkerThreads(1, f"pooled-{number}"),
        lambda *_: None,
        lambda *_: None,
        limit=lambda: 5,
        shared_limit={"host a": 1, "host b": 2}.__getitem__,
        slow=LONG,
    )
    for name in ("a1", "a2", "b1", "b2", "b3"):
        pool.offer(name, at=0.0, suspect=False, shared=[f"host {name[0]}"])
    pool.start(Run)
    assert {run.name for run in pool.runs} == {"a1", "b1", "b2"}
    for slot in pool.shutdown():
        assert slot.join(AT_ONCE)


def test_the_room_that_silent_work_gave_away_is_not_given_away_again_when_it_ends(pool: Pool) -> None:
    for name in ("first", "second", "third"):
        pool.offer(name, at=0.0, suspect=False)
    assert pool.names() == {"first"}
    pool.look(time.monotonic() + 6.0)
    assert pool.names() == {"first", "second"}
    first = next(run for run in pool.runs if run.name == "first")
    pool.ended(first, WorkerThreads(1, "ended"))
    assert pool.names() == {"second"}
    first.goes_on.set()


def test_work_for_which_no_thread_can_be_had_is_the_first_again() -> None:
    refusals = [RuntimeError("can't start new thread")]

    def slot(number: int) -> WorkerThreads:
        if refusals:
            raise refusals.pop()
        return WorkerThreads(1, f"pooled-{number}")

    pool: BoundedPool[Run, WorkerThreads, None] = BoundedPool(slot, lambda *_: None, lambda *_: None, limit=lambda: 1, slow=LONG)
    pool.offer("first", at=0.0, suspect=False)
    pool.offer("second", at=1.0, suspect=False)
    with pytest.raises(RuntimeError):
        pool.start(Run)
    assert ("first" in pool, len(pool), pool.runs) == (True, 2, set())
    pool.start(Run)
    assert {run.name for run in pool.runs} == {"first"}
    for made in pool.shutdown():
        assert made.join(AT_ONCE)
