"""The store's verbs for leases: which process works on an account."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from gatewayd.api.ledger import Held, Lease

__all__ = ["LEASE_SECONDS", "LeaseVerbs"]

#: How long a lease lasts without being renewed, in seconds. Every fenced write renews it.
LEASE_SECONDS = 30.0


class LeaseVerbs(ABC):
    """Take, renew and give back the leases of accounts. Times are the database's."""

    @abstractmethod
    def take_lease(self, account: str, holder: str, *, dead: Callable[[str], bool]) -> Lease | Held:
        """Take the account's lease if it is free or has ended, or if its holder is ``dead``; else return who holds it.

        The time is the database's. ``dead(holder)`` is called outside the transaction; it is true only if that process surely
        ended.
        """

    @abstractmethod
    def renew(self, lease: Lease) -> None:
        """Renew the lease: at least every third of ``LEASE_SECONDS`` while nothing is written. Raises LeaseLost."""

    @abstractmethod
    def release(self, lease: Lease) -> None:
        """Give the lease back. Does nothing if it is lost already."""

    @abstractmethod
    def take_leases(self, accounts: Collection[str], holder: str, *, dead: Callable[[str], bool]) -> Sequence[Lease]:
        """Take the leases of all ``accounts`` that can be taken, in one transaction; see ``take_lease``."""

    @abstractmethod
    def renew_leases(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Renew the leases in one transaction, and return those that are still held. Raises nothing for a lost one."""

    @abstractmethod
    def release_leases(self, leases: Sequence[Lease]) -> None:
        """Give the leases back in one transaction."""
