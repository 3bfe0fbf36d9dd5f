"""Run work in a bounded pool of threads: first due, first served; work that hangs or failed before takes no room from other work.

Each piece of work has a name and is a suspect if it failed the last time. Suspects have room of their own. Work without a
sign of life no longer counts as working, so that its room goes to others (promise P4).
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from gatewayd.runtime.fair_queue import FairQueue
from gatewayd.runtime.threads import WorkerThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

__all__ = ["WORKING", "BoundedPool", "PooledRun"]

WORKING, _ALL, _SUSPECTS = "working", "all", "suspects"
#: So many times as many as may work may be under way in all: the others wait for servers that say nothing.
_ALL_PER_WORKING = 4
#: The pool is stuck if it is full and has shown no sign of life for so many seconds.
_STUCK = 600.0


@dataclass(slots=True, eq=False, kw_only=True)
class PooledRun(ABC):
    """A piece of work that is under way."""

    #: The groups whose room it takes.
    groups: tuple[str, ...] = ()
    #: When it last showed a sign of life.
    moved: float = field(default_factory=time.monotonic)
    #: It has shown none for a while, and does not count as working.
    slow: bool = False
    #: When it is aborted.
    abort_at: float = math.inf

    @abstractmethod
    def abort(self) -> None:
        """End it at once, whatever it waits for. Called again and again until it has ended; must not wait."""


_Run = TypeVar("_Run", bound=PooledRun)
_Slot = TypeVar("_Slot", bound=WorkerThreads)
_Done = TypeVar("_Done")


class BoundedPool(Generic[_Run, _Slot, _Done]):
    """Used by one thread alone; ``work`` and ``finished`` are called in the slots' threads."""

    def __init__(
        self,
        slot: Callable[[int], _Slot],
        work: Callable[[_Run, _Slot], _Done],
        finished: Callable[[_Run, _Slot, Future[_Done]], object],
        *,
        limit: Callable[[], int],
        shared_limit: Callable[[str], int] = lambda _: 1,
        slow: float,
    ) -> None:
        """Run ``work`` in slots that ``slot`` makes, given their number; who hears of ``finished`` calls ``ended``.

        :param limit: how many may work at once, and how many suspects.
        :param shared_limit: how many may be under way at once of a further group, see ``offer``.
        :param slow: seconds without a sign of life after which a run no longer counts as working.
        """
        self._new_slot = slot
        self._work = work
        self._finished = finished
        self._limit = limit
        self._shared_limit = shared_limit
        self._slow = slow
        #: Who waits.
        self.line = FairQueue(self._limit_of)
        self._idle: list[_Slot] = []
        self._slots: list[_Slot] = []
        #: The runs that are under way.
        self.runs: set[_Run] = set()

    def __len__(self) -> int:
        """Return how many wait for a slot."""
        return len(self.line)

    def __contains__(self, name: str) -> bool:
        """Whether this work waits for a slot."""
        return name in self.line

    def offer(self, name: str, *, at: float, suspect: bool, shared: Sequence[str] = ()) -> None:
        """Let work wait in line since ``at``, when it was due; does nothing if it waits already.

        ``shared`` names further groups with a limit, such as its host.
        """
        self.line.add(name, (*shared, _SUSPECTS) if suspect else (*shared, _ALL, WORKING), at=at)

    def withdraw(self, name: str) -> None:
        """Let work leave the line."""
        self.line.drop(name)

    def start(self, begin: Callable[[str], _Run | None]) -> None:
        """Start work while there is room. ``begin`` makes the run of a name, or returns None if it is not to run after all.

        Raises RuntimeError where no thread can be had; then nothing has begun, and the first in line is the first again.
        """
        while (ticket := self.line.take()) is not None:
            try:
                slot = self._idle.pop() if self._idle else self._another_slot()
            except RuntimeError:
                self.line.back(ticket.groups)
                self.line.add(ticket.name, ticket.groups, at=ticket.at)
                raise
            run = begin(ticket.name)
            if run is None:
                self._idle.append(slot)
                self.line.back(ticket.groups)
                continue
            run.groups = ticket.groups
            self.runs.add(run)
            slot.submit(self._work, run, slot).add_done_callback(partial(self._finished, run, slot))

    def ended(self, run: _Run, slot: _Slot) -> None:
        """Take back the room of a run that has finished."""
        self.runs.discard(run)
        self._idle.append(slot)
        self.line.back([group for group in run.groups if not (run.slow and group == WORKING)])

    def look(self, now: float) -> None:
        """Abort the runs whose time is up, give the room of those that are silent to others, and see which limits have grown."""
        self.line.look()
        for run in self.runs:
            if now >= run.abort_at:
                run.abort()
            if not run.slow and WORKING in run.groups and now - run.moved > self._slow:
                run.slow = True
                self.line.back([WORKING])

    def stuck(self) -> bool:
        """Whether all room is taken by runs without a sign of life. May be called from any thread."""
        long_ago = time.monotonic() - _STUCK
        return self.line.out(_ALL) >= self._limit_of(_ALL) and all(run.moved < long_ago for run in list(self.runs))

    def shutdown(self) -> Sequence[_Slot]:
        """Let all threads end when their work has; return the slots."""
        for slot in self._slots:
            slot.shutdown(wait=False)
        return self._slots

    def _another_slot(self) -> _Slot:
        slot = self._new_slot(len(self._slots) + 1)
        self._slots.append(slot)
        return slot

    def _limit_of(self, group: str) -> int:
        if group in {WORKING, _SUSPECTS}:
            return self._limit()
        return _ALL_PER_WORKING * self._limit() if group == _ALL else self._shared_limit(group)
