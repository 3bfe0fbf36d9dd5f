"""The pool of visits: how many may be under way at once, in all and of each group, such as those to one host.

A visit that goes on for longer than its turn gives way if another account waits for room that it takes: it ends with the step that
it is at, and its account waits for the next turn. So a first import, which takes hours, delays the polls of others by seconds.
First imports that wait for each other take longer turns, since each turn costs a log-in.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.api.health import Task
from gatewayd.runtime.bounded_pool import WORKING, BoundedPool
from gatewayd.runtime.threads import VisitSlot

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from gatewayd.config.models.main import LimitsConfig
    from gatewayd.scheduler.account_state import AccountState
    from gatewayd.scheduler.visit_runner import RunningVisit, VisitOutcome, VisitRunner

__all__ = ["VisitPool"]

#: Groups by what is shared: a host, or what the transport names.
_HOST, _GROUP, _SUSPECTS_OF, _BACKLOG_OF = "host ", "group ", "suspects of ", "backlog of "
#: Whoever gave way waits behind all who are due within so many seconds.
_BEHIND = 60.0
#: A visit gives way to those who gave way after so many turns.
_TURNS = 12
#: One of so many places of a group is kept from those who gave way.
_KEPT = 4


class VisitPool(BoundedPool["RunningVisit", VisitSlot, "VisitOutcome"]):
    """Runs visits. Used by the loop's thread alone; ``finished`` is called in the visits' threads."""

    def __init__(
        self,
        limits: LimitsConfig,
        runner: VisitRunner,
        finished: Callable[[RunningVisit, VisitSlot, Future[VisitOutcome]], object],
        *,
        slow: float,
        turn: float,
    ) -> None:
        super().__init__(VisitSlot, runner.run_visit, finished, limit=lambda: limits.visits, shared_limit=self._most, slow=slow)
        self._limits = limits
        self._turn = turn
        #: What says the limit of each group that a transport names.
        self._told: dict[str, Callable[[], int | None]] = {}
        #: Accounts that wait for another turn.
        self._gave_way: set[str] = set()

    def offer_visit(self, state: AccountState, *, at: float, limit: Callable[[], int | None] | None = None) -> None:
        """Let an account wait in line, by the time when it was due; does nothing if it waits already.

        :param limit: what says how many of its group may be under way: see ``Transport.group_limit``.
        """
        host = getattr(state.config.options, "host", None)
        group = f"{_GROUP}{state.config.group}" if state.config.group else f"{_HOST}{host}" if host else ""
        if group and limit is not None:
            self._told[group] = limit
        shared = [group, *([f"{_SUSPECTS_OF}{group}"] if state.failures else ())] if group else []
        # A person does not wait behind others.
        behind = state.gave_way and not state.asked
        if behind:
            self._gave_way.add(state.name)
            shared += [f"{_BACKLOG_OF}{one}" for one in (group, WORKING) if one]
        else:
            self._gave_way.discard(state.name)
        self.offer(state.name, at=at + _BEHIND if behind else at, suspect=state.failures > 0, shared=shared)

    def bring_forward(self, state: AccountState) -> None:
        """Let an account that waits for another turn wait like any other, because a person asks for it."""
        if state.name in self._gave_way and state.name in self:
            self.withdraw(state.name)
            self.offer_visit(state, at=time.monotonic())

    def kept_waiting(self) -> list[str]:
        """Return the accounts that wait though nothing of their group is under way, since its limit is 0."""
        return [name for group in self.line.full() if not self._most(group) for name in self.line.waiting_for(group)]

    def look(self, now: float) -> None:
        """Look after the runs, and have those give way whose turn is over while others wait for their room."""
        super().look(now)
        for group in self.line.full():
            waiting = set(self.line.waiting_for(group))
            first = waiting - self._gave_way
            turn = self._turn if first else _TURNS * self._turn
            runs = [run for run in self.runs if group in run.groups and not (run.slow and group == WORKING)]
            wanted = len(first or waiting) - sum(run.gives_way for run in runs)
            over = [run for run in runs if _may_end(run) and not run.gives_way and now - run.began > turn]
            for run in sorted(over, key=lambda run: run.began)[: max(0, wanted)]:
                run.gives_way = True

    def _most(self, group: str) -> int:
        """Return how many visits of a group may be under way at once."""
        if group.startswith(_SUSPECTS_OF):
            return max(1, self._most(group.removeprefix(_SUSPECTS_OF)) // 2)
        if group.startswith(_BACKLOG_OF):
            most = self._limits.visits if group == f"{_BACKLOG_OF}{WORKING}" else self._most(group.removeprefix(_BACKLOG_OF))
            return max(1, most - max(1, most // _KEPT))
        try:
            found: object = told() if (told := self._told.get(group)) else None
        except Exception:  # noqa: BLE001  a plugin's fault must not stop the loop
            found = None
        return found if type(found) is int and found >= 0 else self._limits.visits_per_host


def _may_end(run: RunningVisit) -> bool:
    """Whether a later visit may do the rest: nobody asked for it, or merely for a visit."""
    return not run.requests or run.task == Task()
