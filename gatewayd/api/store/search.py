"""The store's verbs for finding mail by its words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd.message.values import Source

__all__ = ["SearchVerbs", "Unindexed"]


@dataclass(frozen=True, slots=True)
class Unindexed:
    """A mail whose words are not in the index yet."""

    mail_id: int
    source: Source


class SearchVerbs(ABC):
    """Keep an index of the words of all mail, by which ``DeskVerbs.filings`` finds ``Query.words``.

    A mail waits for the index from the transaction on that files it, and so does each mail of a database that had no index. Mail
    that is deleted leaves the index in the same transaction.
    """

    @abstractmethod
    def unindexed(self, limit: int, *, size: int) -> Sequence[Unindexed]:
        """Return mails that wait for the index, the newest first: at most ``limit``, and none behind ``size`` raw bytes."""

    @abstractmethod
    def index(self, words: Mapping[int, Sequence[Sequence[str]]]) -> int:
        """Commit the words of mails, by mail id, in place of what the index had of them; return how many still waited.

        A mail's words stand in sections, such as subject and text: no phrase goes from one into the next. They are as
        ``gatewayd.words`` cuts them. A mail that is gone is left out.
        """
