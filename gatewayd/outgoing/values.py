"""The frozen values of the outbox' work: what it works with, and what it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from gatewayd.api.delivery import Settled, Taken
    from gatewayd.api.forwarder import Courier
    from gatewayd.api.health import Alarm, AlarmKind
    from gatewayd.api.store import Store
    from gatewayd.errors import GatewaydError
    from gatewayd.runtime.instance import Instance

__all__ = ["DeliveryListener", "DeliveryRound", "DeliveryTools"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryListener:
    """Who hears of deliveries, besides the log. Must not wait."""

    #: What became of one try of a delivery, by destination, is committed. In the outbox' settling thread.
    settled: Callable[[str, Taken, Settled], None] = lambda _, __, ___: None
    #: Something is wrong that a person must see to, still or for the first time; and it is not, still or any more. By kind
    #: and name, see ``Alarm``. From any thread.
    alarm: Callable[[Alarm], None] = lambda _: None
    over: Callable[[AlarmKind, str], None] = lambda _, __: None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryTools:
    """What the work on a destination works with; handed in, so that the command line and the daemon each bring their own."""

    store: Store
    owner: Instance
    #: One thread, which commits what became of deliveries.
    settler: Executor
    #: Told of each destination's tries, once they are committed. In the settler's thread; must not wait.
    settled: Callable[[str, Taken, Settled], None] = lambda _, __, ___: None
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
