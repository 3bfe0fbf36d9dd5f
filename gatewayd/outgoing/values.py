"""Define the values of a round of deliveries: its tools and its report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.runtime.events import Events

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from gatewayd.api.forwarder import Courier
    from gatewayd.api.store import Store
    from gatewayd.errors import GatewaydError
    from gatewayd.runtime.instance import Instance

__all__ = ["DeliveryRound", "DeliveryTools"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryTools:
    """The tools of a round; the command line and the daemon bring their own."""

    store: Store
    instance: Instance
    #: One thread, which commits the results of deliveries.
    settler: Executor
    #: Hears of each try, once it is committed.
    events: Events = field(default_factory=Events)
    #: Called with the courier as soon as it is open, so that another thread can abort it, and with None before it is closed.
    opened: Callable[[Courier | None], None] = lambda _: None
    #: Called at each sign of life: a delivery has a result.
    moved: Callable[[], None] = lambda: None
    #: Whether the round is to end as soon as it can; asked between two deliveries.
    stopping: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRound:
    """The report of a round at a destination. The numbers are of results that are on the disk."""

    destination: str
    #: How many deliveries were taken.
    taken: int = 0
    delivered: int = 0
    #: Put off, and to be tried again.
    waiting: int = 0
    parked: int = 0
    #: The error that ended the round early, and for how many seconds the destination rests after it.
    error: GatewaydError | None = None
    rest: float = 0.0
    #: How many rounds ended early in a row, this one included, without a delivery in between.
    failures: int = 0

    @property
    def tried(self) -> int:
        """How many deliveries have a result; with none, nothing is known of the other side."""
        return self.delivered + self.waiting + self.parked
