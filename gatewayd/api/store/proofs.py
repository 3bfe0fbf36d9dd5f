"""The store's verbs for audits: is all that was filed still there, and is the database sound?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd.api.queries import Audit, DatabaseCheck, Listing

__all__ = ["ProofVerbs"]


class ProofVerbs(ABC):
    """Prove what is stored of an account, and the database itself."""

    @abstractmethod
    def audit(self, account: str, listings: Mapping[str, Listing]) -> Sequence[Audit]:
        """Compare the ledger with what the server lists now, folder by folder, and prove all that is stored.

        Of every key that is filed, also of those that are gone: the raw bytes by their digest and their length, and the filings
        by what was written down when they were made: for which operators and users, and what was said in each.
        Folders of the ledger that ``listings`` does not name come last; nothing is unknown there.
        """

    @abstractmethod
    def check(self) -> DatabaseCheck:
        """Let the database check itself: its pages, indexes and references. Reads all of it; raises nothing for a damaged one.

        Raises TransientError where it is away: that says nothing of what is in it.
        """
