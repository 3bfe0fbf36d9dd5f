"""The pool of visits: how many may be under way at once, in all and to each host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.runtime.bounded_pool import BoundedPool
from gatewayd.runtime.threads import VisitSlot

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from gatewayd.config.models.main import LimitsConfig
    from gatewayd.scheduler.account_state import AccountState
    from gatewayd.scheduler.visit_runner import RunningVisit, VisitOutcome, VisitRunner

__all__ = ["VisitPool"]

#: Groups by host.
_HOST, _SUSPECTS_OF = "host ", "suspects of "


class VisitPool(BoundedPool["RunningVisit", VisitSlot, "VisitOutcome"]):
    """Runs visits. Used by the loop's thread alone; ``finished`` is called in the visits' threads."""

    def __init__(
        self,
        limits: LimitsConfig,
        runner: VisitRunner,
        finished: Callable[[RunningVisit, VisitSlot, Future[VisitOutcome]], object],
        *,
        slow: float,
    ) -> None:
        def of_host(group: str) -> int:
            return limits.visits_per_host if group.startswith(_HOST) else max(1, limits.visits_per_host // 2)

        super().__init__(VisitSlot, runner.run_visit, finished, limit=lambda: limits.visits, shared_limit=of_host, slow=slow)

    def offer_visit(self, state: AccountState, *, at: float) -> None:
        """Let an account wait in line, by the time when it was due; does nothing if it waits already."""
        host = getattr(state.config.options, "host", None)
        shared = (_HOST, _SUSPECTS_OF) if state.failures else (_HOST,)
        self.offer(state.name, at=at, suspect=state.failures > 0, shared=[f"{group}{host}" for group in shared if host])
