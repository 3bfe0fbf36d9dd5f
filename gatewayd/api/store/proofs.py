"""The store's verbs for finished listings of folders and for audits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from gatewayd.api.ledger import Lease, State
    from gatewayd.api.queries import Audit, DatabaseCheck, Listing
    from gatewayd.api.sizes import Reread, Sizes

__all__ = ["ProofVerbs"]


class ProofVerbs(ABC):
    """What is proven of a folder, of what is stored, and of the database itself."""

    @abstractmethod
    def standing(self, account: str, folder: str) -> Mapping[State, int]:
        """Return how many keys of the folder the server still had when it was last listed, by state; none are vanished."""

    @abstractmethod
    def sizes(self, account: str, folder: str) -> Sizes:
        """Return of the last 100 messages that were filed from the folder how many have the length that the server lists."""

    @abstractmethod
    def prove(self, lease: Lease, folder: str, *, checked_at: datetime | None, compared_at: datetime | None, doubt: str) -> None:
        """Commit what a listing that came to its end has proven of the folder; see ``FolderState``.

        ``checked_at`` None leaves it as it was. ``doubt`` takes the place of what was in doubt before; one without ``compared_at``
        wants the whole folder to be compared at the next visit. Nothing happens where the folder was never listed.
        """

    @abstractmethod
    def rereads(self, account: str, folder: str, *, limit: int) -> Sequence[Reread]:
        """Return what was filed from the folder with a ``reread_after``, still stands and did not come again, soonest due first."""

    @abstractmethod
    def reread(
        self, lease: Lease, *, proven: Mapping[int, int | None], later: Mapping[int, float], undone: Collection[int]
    ) -> None:
        """Commit what came when entries of ``rereads`` were fetched once more, by their ids.

        ``proven``: the same bytes came; what was to be owed is owed now, and the entry takes the size that the server lists by now.
        ``later``: they are due in so many seconds, with one more try counted. ``undone``: nothing is ever owed for them. What is no
        entry of ``rereads`` any more, or of another account, is left alone.
        """

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
