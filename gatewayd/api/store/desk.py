"""The store's verbs for what people do with filings, and for the retries of what stands in error queues."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gatewayd.api.health import Cause
    from gatewayd.api.ledger import Filing
    from gatewayd.api.queries import FilingView, LastFiled, Query, Viewer
    from gatewayd.api.values import Record
    from gatewayd.message.values import Source

__all__ = ["DeskVerbs"]


class DeskVerbs(ABC):
    """List, link, mark and match filings again. Each question is asked for one operator (promise P6)."""

    @abstractmethod
    def filings(self, viewer: Viewer, query: Query) -> Sequence[FilingView]:
        """Return the filings that the viewer may see and that fit the query, newest first."""

    @abstractmethod
    def last_filed(self, *, seconds: float) -> Sequence[LastFiled]:
        """Return where mail was filed within the last so many seconds, for whomever: a row for each account, operator and user.

        It is for who tells open pages that there is new mail, and asks often: it must not read more than what is new.
        """

    @abstractmethod
    def count_filings(self, viewer: Viewer, query: Query) -> int:
        """Return how many filings fit that the viewer may see, counted up to ``query.limit``."""

    @abstractmethod
    def source(self, viewer: Viewer, mail_id: int) -> Source | None:
        """Return where the raw bytes of a mail can be read; None if this viewer has no such filing."""

    @abstractmethod
    def link(self, viewer: Viewer, mail_id: int, records: Sequence[Record], *, who: str, because: str) -> int:
        """Link a filing by hand, which removes the rivals that it was chosen from. Return how many links are new."""

    @abstractmethod
    def unlink(self, viewer: Viewer, mail_id: int, records: Sequence[tuple[str, str]], *, who: str) -> int:
        """Remove links, given as (kind, id), whoever made them; no matcher makes them again. Return how many there were."""

    @abstractmethod
    def mark(self, viewer: Viewer, mail_ids: Collection[int], *, unread: bool) -> int:
        """Mark filings read or unread, here and not on the server; return how many changed."""

    @abstractmethod
    def causes(self, viewer: Viewer) -> Sequence[Cause]:
        """Return the causes of what is in the viewer's error queues, grouped by queue, source and error; most filings first."""

    @abstractmethod
    def refile(self, viewer: Viewer, filings: Sequence[tuple[int, Filing]]) -> None:
        """Replace the links, rivals and faults of these filings by those of ``filings``, given as (mail id, filing).

        Links made by hand stay, and links that a person removed stay removed.
        """

    @abstractmethod
    def discard(self, viewer: Viewer, mail_ids: Collection[int]) -> int:
        """Remove filings from their error queue without a retry; return how many were in one. The mail itself stays."""

    @abstractmethod
    def fingerprints(self, operator: str) -> Mapping[str, str]:
        """Return the fingerprints of an operator's matchers as last remembered, by kind."""

    @abstractmethod
    def remember_fingerprints(self, operator: str, fingerprints: Mapping[str, str]) -> None:
        """Replace all fingerprints of the operator's matchers."""
