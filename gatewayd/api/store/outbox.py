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

        A delivery that was taken is due when its taker's time ends; now, if the taker is ``dead``. Deliveries to a suspended target
        are never due.
        """

    @abstractmethod
    def take(self, destination: str, taker: str, *, limit: int, dead: Callable[[str], bool]) -> Sequence[Taken]:
        """Take what is due of a destination for ``DELIVERY_SECONDS``, oldest due first; what a dead taker had is due at once.

        ``dead(taker)`` is called outside the transaction; it is true only if that process surely ended.
        """

    @abstractmethod
    def write_note(self, taker: str, delivery_id: int, text: str) -> bool:
        """Keep a forwarder's note with a delivery; return whether ``taker`` has it still, else nothing changes.

        The next who takes it finds the text in ``Taken.note``, until ``settle`` tells that each recipient who was tried has the
        mail or is refused.
        """

    @abstractmethod
    def settle(self, taker: str, settled: Sequence[Settled]) -> frozenset[int]:
        """Commit the results of tries; return the ids of the deliveries whose results were accepted.

        If another process has taken or tried a delivery since, nothing of it changes, nor of its recipients. Servers' ids are kept
        with the delivery.
        """

    @abstractmethod
    def give_back(self, taker: str, delivery_ids: Collection[int]) -> None:
        """Give back deliveries that were taken and not tried: they are due as they were before."""

    @abstractmethod
    def hurry(self, destinations: Collection[str]) -> None:
        """Make all deliveries due now that wait for these destinations, except those that are being tried."""

    @abstractmethod
    def overdue(self, seconds: float) -> Sequence[DeliveryView]:
        """Return up to 100 deliveries that have waited for more than ``seconds`` and were not returned by this verb before."""


class DeliveryVerbs(ABC):
    """Enter, list, repeat and cancel deliveries, and keep which targets get nothing."""

    @abstractmethod
    def deliver(self, viewer: Viewer, mail_id: int, deliveries: Sequence[Delivery]) -> Sequence[int]:
        """Enter deliveries of a filing; return their ids. If one with the same filing, goal and cause exists, its id is returned.

        Raises PermanentError if the viewer has no such filing.
        """

    @abstractmethod
    def deliveries(self, viewer: Viewer, query: DeliveryQuery) -> Sequence[DeliveryView]:
        """Return the deliveries of the viewer's filings that fit the query, newest first."""

    @abstractmethod
    def redeliver(self, viewer: Viewer, delivery_ids: Collection[int]) -> int:
        """Make deliveries due at once that are parked, withheld, bounced, cancelled or waiting; their age is counted anew.

        Recipients that were refused or bounced wait again; those that have the mail don't get it twice. Delivered ones stay
        delivered. Returns how many are due now.
        """

    @abstractmethod
    def cancel(self, viewer: Viewer, delivery_ids: Collection[int], *, who: str) -> int:
        """Cancel deliveries that wait, are parked or withheld, and are not being tried; return how many were cancelled."""

    @abstractmethod
    def suspensions(self) -> Sequence[Suspension]:
        """Return the suspended targets, by operator and name."""

    @abstractmethod
    def resume(self, operator: str, target: str) -> bool:
        """Let a target get deliveries again; return whether it was suspended."""

    @abstractmethod
    def inheritable(
        self, wanted: Collection[tuple[str, str | None, str]]
    ) -> Mapping[tuple[str, str | None, str], Sequence[Record]]:
        """Return the records that filings would inherit now, given as (operator, user, Message-ID that they follow).

        They are the records that the operator's own outgoing mail of that Message-ID is linked to, without links that were removed:
        of general mail, and for a personal filing also of its user's. Filings that inherit nothing are left out. Called once for
        each batch that rules fire for.
        """

    @abstractmethod
    def origins(self, message_ids: Collection[str], server_ids: Collection[str]) -> Sequence[Origin]:
        """Return whose deliveries have these Message-IDs, or were accepted by servers under these ids, for all operators.

        For the kernel, which files a mail that comes back for its sender alone (promise P6). Called once for each batch.
        """
