"""The frozen values of the outbox' work: what it works with, and what it did."""

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
    """What the work on a destination works with; handed in, so that the command line and the daemon each bring their own."""

    store: Store
    instance: Instance
    #: One thread, which commits what became of deliveries.
    settler: Executor
    #: Hears of each try, once it is committed.
    events: Events = field(default_factory=Events)
    #: Told the courier as soon as it is open, so that another thread can abort it, and None before it is closed.
    opened: Callable[[Courier | None], None] = lambda _: None
    #: Told whenever there is a word about a delivery.
    moved: Callable[[], None] = lambda: None
    #: Whether the work is to end as soon as it can; asked between two deliveries.
    stopping: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRound:
    """What was done on a destination. The numbers are of tries that are on the disk."""

    destination: str
    #: How many deliveries were taken.
    taken: int = 0
    delivered: int = 0
    #: Tried, or found without a way, and to be tried again.
    waiting: int = 0
    parked: int = 0
    #: What ended it early, and for how many seconds the destination is to be left alone for it.
    error: GatewaydError | None = None
    rest: float = 0.0
    #: How many rounds ended early in a row, this one included, without a delivery in between.
    failures: int = 0

    @property
    def tried(self) -> int:
        """How many deliveries there is a word of; without one, nothing is known of the other side."""
        return self.delivered + self.waiting + self.parked
