"""The verbs of what listings and audits prove, as the store ``sql`` has them. This module is light, as ``store`` is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import ProofVerbs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from gatewayd import Audit, DatabaseCheck, Lease, Listing, Reread, Sizes, State
    from gatewayd_sql.verbs import Verbs

__all__ = ["ProofsOfSql"]


class ProofsOfSql(ProofVerbs):
    """See ``ProofVerbs``."""

    _verbs: Verbs

    def standing(self, account: str, folder: str) -> Mapping[State, int]:
        """Return how many keys of the folder still stand, by state."""
        return self._verbs.proving.standing(account, folder)

    def sizes(self, account: str, folder: str) -> Sizes:
        """Return how many of the last messages had the length that the server lists."""
        return self._verbs.proving.sizes(account, folder)

    def prove(self, lease: Lease, folder: str, *, checked_at: datetime | None, compared_at: datetime | None, doubt: str) -> None:
        """Commit what a listing has proven of the folder."""
        self._verbs.proving.prove(lease, folder, checked_at=checked_at, compared_at=compared_at, doubt=doubt)

    def rereads(self, account: str, folder: str, *, limit: int) -> Sequence[Reread]:
        """Return what must come again before anything is owed for it."""
        return self._verbs.owing.rereads(account, folder, limit=limit)

    def reread(
        self, lease: Lease, *, proven: Mapping[int, int | None], later: Mapping[int, float], undone: Collection[int]
    ) -> None:
        """Commit what came of it."""
        self._verbs.owing.reread(lease, proven=proven, later=later, undone=undone)

    def audit(self, account: str, listings: Mapping[str, Listing]) -> Sequence[Audit]:
        """Compare the ledger with the server, and prove all that is stored."""
        return self._verbs.auditor.audit(account, listings)

    def check(self) -> DatabaseCheck:
        """Let the database check itself."""
        return self._verbs.auditor.check()
