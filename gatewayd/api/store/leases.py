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
        """Take the account's lease if it is free, ended, or its holder is ``dead``; else say who holds it.

        Time is the database's. ``dead(holder)`` is asked outside the transaction and true only for one that surely is.
        """

    @abstractmethod
    def renew(self, lease: Lease) -> None:
        """Renew the lease, at least every third of ``LEASE_SECONDS`` while nothing is written."""

    @abstractmethod
    def release(self, lease: Lease) -> None:
        """Give the lease back; says nothing where it is lost already."""

    @abstractmethod
    def take_leases(self, accounts: Collection[str], holder: str, *, dead: Callable[[str], bool]) -> Sequence[Lease]:
        """Take at once the leases of those of ``accounts`` that are free, ended or of a dead holder; see ``take_lease``."""

    @abstractmethod
    def renew_leases(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Renew them at once, and return those that still stand; raises nothing for one that is lost."""

    @abstractmethod
    def release_leases(self, leases: Sequence[Lease]) -> None:
        """Give them back at once."""
