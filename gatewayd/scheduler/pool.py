"""The bounded pool of visits: who is due waits in line, and gets a slot when there is room for him."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.runtime.fair_queue import FairQueue
from gatewayd.runtime.threads import VisitSlot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from gatewayd.config.models.main import LimitsConfig
    from gatewayd.scheduler.account_state import AccountState
    from gatewayd.scheduler.visit_runner import RunningVisit, VisitOutcome, VisitRunner

__all__ = ["VisitPool"]

#: Groups of the line. An account that failed the last time is a suspect: however many hang, they never take the others' room.
_WORKING, _ALL, _SUSPECTS = "working", "all", "suspects"
_HOST, _SUSPECTS_OF = "host ", "suspects of "
#: How many visits there may be in all for one that works: the others wait for servers that say nothing.
_WAITING = 4
#: With all places taken and no sign of life for so long, in seconds, the pool is stuck.
_STUCK = 600.0


class VisitPool:
    """Runs visits. Used by the loop's thread alone; ``finished`` is called in the visits' threads."""

    def __init__(
        self,
        limits: LimitsConfig,
        conductor: VisitRunner,
        finished: Callable[[RunningVisit, VisitSlot, VisitOutcome], None],
        *,
        slow: float,
    ) -> None:
        self._limits = limits
        self._conductor = conductor
        self._finished = finished
        self._slow = slow
        self._line = FairQueue(self._limit)
        self._idle: list[VisitSlot] = []
        self._slots: list[VisitSlot] = []
        #: The visits that are under way.
        self.runs: set[RunningVisit] = set()

    def __len__(self) -> int:
        """Return how many wait for a slot."""
        return len(self._line)

    def offer(self, charge: AccountState, *, at: float) -> None:
        """Let an account wait in line, by the time when it was due; nothing where it waits already."""
        self._line.add(charge.name, self._groups(charge), at=at)

    def __contains__(self, name: str) -> bool:
        """Whether an account waits for a slot."""
        return name in self._line

    def withdraw(self, name: str) -> None:
        """Let an account leave the line."""
        self._line.drop(name)

    def start(self, begin: Callable[[str], RunningVisit | None]) -> None:
        """Start visits while there is room; ``begin`` makes the visit of an account, or None where it is not to be."""
        while (place := self._line.take()) is not None:
            # First: where no thread is to be had, nothing has begun, and who was first is first again.
            try:
                slot = self._idle.pop() if self._idle else self._new_slot()
            except RuntimeError:
                self._line.back(place.groups)
                self._line.add(place.name, place.groups, at=place.at)
                raise
            run = begin(place.name)
            if run is None:
                self._idle.append(slot)
                self._line.back(place.groups)
                continue
            run.groups = place.groups
            self.runs.add(run)
            slot.run(partial(self._conductor.conduct, run, slot)).add_done_callback(partial(self._returned, run, slot))

    def ended(self, run: RunningVisit, slot: VisitSlot) -> None:
        """Take a visit's place back."""
        self.runs.discard(run)
        self._idle.append(slot)
        self._line.back([group for group in run.groups if not (run.slow and group == _WORKING)])

    def look(self, now: float) -> None:
        """Find the visits whose servers say nothing: their place among the working ones is given to others.

        And those that were told to end and did not: they are aborted.
        """
        for run in self.runs:
            if now >= run.abort_at and not run.aborted:
                run.abort()
            if not run.slow and _WORKING in run.groups and now - run.moved > self._slow:
                run.slow = True
                self._line.back([_WORKING])

    def stuck(self) -> bool:
        """Whether all places are taken by visits without a sign of life."""
        long_ago = time.monotonic() - _STUCK
        return self._line.out(_ALL) >= self._limit(_ALL) and all(run.moved < long_ago for run in list(self.runs))

    def shutdown(self) -> Iterable[VisitSlot]:
        """Let all threads end when their visits have; return the slots."""
        for slot in self._slots:
            slot.shutdown()
        return self._slots

    def _returned(self, run: RunningVisit, slot: VisitSlot, future: Future[VisitOutcome]) -> None:
        self._finished(run, slot, future.result())

    def _new_slot(self) -> VisitSlot:
        slot = VisitSlot(len(self._slots) + 1)
        self._slots.append(slot)
        return slot

    def _groups(self, charge: AccountState) -> tuple[str, ...]:
        host = getattr(charge.config.options, "host", None)
        if charge.failures:
            return (_HOST + host, _SUSPECTS_OF + host, _SUSPECTS) if host else (_SUSPECTS,)
        return (_HOST + host, _ALL, _WORKING) if host else (_ALL, _WORKING)

    def _limit(self, group: str) -> int:
        visits, per_host = self._limits.visits, self._limits.visits_per_host
        if group.startswith(_HOST):
            return per_host
        if group.startswith(_SUSPECTS_OF):
            return max(1, per_host // 2)
        return {_WORKING: visits, _SUSPECTS: visits, _ALL: _WAITING * visits}[group]
