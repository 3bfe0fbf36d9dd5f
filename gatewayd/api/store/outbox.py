"""The store's verbs for deliveries. Each is one short transaction; times are the database's."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from gatewayd.api.delivery import Delivery, DeliveryQuery, DeliveryView, Origin, Settled, Suspension, Taken
    from gatewayd.api.queries import Viewer
    from gatewayd.api.values import Record

__all__ = ["DELIVERY_SECONDS", "DeliveryVerbs", "OutboxVerbs"]

#: How long a delivery that was taken stays with its taker, in seconds; what was not settled by then may be taken by others.
DELIVERY_SECONDS = 900.0


class OutboxVerbs(ABC):
    """Give out the deliveries that are due, and take in what became of them."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Take ``lanes`` of a store that was written for the release before as its ``destinations``."""
        super().__init_subclass__(**kwargs)
        if "lanes" in vars(cls) and "destinations" not in vars(cls):
            warnings.warn(f"{cls.__qualname__}.lanes is called destinations now", DeprecationWarning, stacklevel=2)
            cls.destinations = vars(cls)["lanes"]  # type: ignore[method-assign]

    @abstractmethod
    def destinations(self, *, dead: Callable[[str], bool] = lambda _: False) -> Mapping[str, float]:
        """Return for every destination in how many seconds a delivery to it is due; 0 or less: now.

        What a living taker has taken is due when its time with that taker ends, what a ``dead`` one had is due now; what is
        for a suspended target never is.
        """

    @abstractmethod
    def take(self, destination: str, taker: str, *, limit: int, dead: Callable[[str], bool]) -> Sequence[Taken]:
        """Take what is due of a destination for ``DELIVERY_SECONDS``, oldest due first; what a dead taker had is due at once.

        ``dead(taker)`` is asked outside the transaction and true only for one that surely is.
        """

    @abstractmethod
    def settle(self, taker: str, settled: Sequence[Settled]) -> frozenset[int]:
        """Commit what became of tries; return the ids for which it was taken.

        Where another process has taken a delivery since, or has tried it, nothing changes: not even what the recipients said.
        Servers' ids are kept with the delivery.
        """

    @abstractmethod
    def give_back(self, taker: str, delivery_ids: Collection[int]) -> None:
        """Let what was taken and not tried be due as it was."""

    @abstractmethod
    def hurry(self, destinations: Collection[str]) -> None:
        """Let all that waits in these destinations be due now, but for what is being tried."""

    @abstractmethod
    def overdue(self, seconds: float) -> Sequence[DeliveryView]:
        """Return what waits for longer than that and was not returned by this verb before; at most 100 at a time."""


class DeliveryVerbs(ABC):
    """Enter, list, repeat and cancel deliveries, and keep which targets get nothing."""

    @abstractmethod
    def deliver(self, viewer: Viewer, mail_id: int, deliveries: Sequence[Delivery]) -> Sequence[int]:
        """Enter deliveries of a filing; return their ids. One that the same filing, goal and cause had already is its id.

        Raises PermanentError where the viewer has no such filing.
        """

    @abstractmethod
    def deliveries(self, viewer: Viewer, query: DeliveryQuery) -> Sequence[DeliveryView]:
        """Return deliveries of the viewer's filings that fit, newest first."""

    @abstractmethod
    def redeliver(self, viewer: Viewer, delivery_ids: Collection[int]) -> int:
        """Let what is parked, withheld, bounced, cancelled or waits be due at once, with its age counted anew.

        Recipients that were refused or came back wait again; those that have it don't get it twice. What is delivered
        stays so. Return how many are due now.
        """

    @abstractmethod
    def cancel(self, viewer: Viewer, delivery_ids: Collection[int], *, who: str) -> int:
        """Cancel what waits, is parked or withheld, and is not being tried; return how many were."""

    @abstractmethod
    def suspensions(self) -> Sequence[Suspension]:
        """Return the targets that get nothing, by operator and name."""

    @abstractmethod
    def resume(self, operator: str, target: str) -> bool:
        """Let a target get deliveries again; return whether it was suspended."""

    @abstractmethod
    def inheritable(
        self, wanted: Collection[tuple[str, str | None, str]]
    ) -> Mapping[tuple[str, str | None, str], Sequence[Record]]:
        """Return the records that filings would inherit now, given as (operator, owner, Message-ID that they follow).

        They are those of the links, but those taken away, of the operator's own outgoing mail of that Message-ID: of general mail,
        and for a personal filing of its owner's. What inherits nothing is left out. Asked once for each batch that rules fire for.
        """

    @abstractmethod
    def origins(self, message_ids: Collection[str], server_ids: Collection[str]) -> Sequence[Origin]:
        """Return whose deliveries have these Message-IDs, or went out under these ids of servers, whoever's they are.

        For the kernel itself, which files what comes back for them alone (promise P6). Asked once for each batch.
        """
