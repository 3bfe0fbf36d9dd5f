"""The store's verbs by which daemons and people hear of each other: how all is, and what is asked of whichever daemon."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gatewayd.api.directory import DirectoryHealth
    from gatewayd.api.health import AccountHealth, Answer, DaemonHealth, Lengths, Request, Task

__all__ = ["HealthVerbs", "RequestVerbs"]


class HealthVerbs(ABC):
    """Keep how daemons, accounts and directories are, and count what waits."""

    @abstractmethod
    def beat(self, daemon: DaemonHealth) -> int:
        """Record that a daemon is alive, for ``LEASE_SECONDS`` from now; return how many are, this one included."""

    @abstractmethod
    def retire(self, holder: str) -> None:
        """Record that a daemon ends."""

    @abstractmethod
    def daemons(self) -> Sequence[DaemonHealth]:
        """Return the daemons that are alive, the one that started first at the top."""

    @abstractmethod
    def tell(self, healths: Sequence[AccountHealth]) -> None:
        """Replace the health of these accounts.

        A time that is None keeps its stored value, except ``due_at`` and ``working_since``.
        """

    @abstractmethod
    def healths(self) -> Sequence[AccountHealth]:
        """Return the health of every account that was ever reported, by name."""

    @abstractmethod
    def lengths(self) -> Lengths:
        """Count what waits: keys, filings in error queues, deliveries, and messages that are to be fetched once more."""

    @abstractmethod
    def tell_directories(self, healths: Sequence[DirectoryHealth]) -> None:
        """Replace the health of these directories. A time that is None keeps its stored value."""

    @abstractmethod
    def directories(self) -> Sequence[DirectoryHealth]:
        """Return the health of every directory that was ever reported, by operator."""


class RequestVerbs(ABC):
    """Keep what people ask of the daemon that holds an account, and its answers."""

    @abstractmethod
    def ask(self, account: str, task: Task) -> int:
        """Ask for a visit by whichever daemon holds the account; return the request's id. Forgets answers older than a day."""

    @abstractmethod
    def requests(self, accounts: Collection[str] | None = None, *, ids: Collection[int] | None = None) -> Sequence[Request]:
        """Return requests by id: those of ``ids``, answered or not, else the unanswered ones, of ``accounts`` if given."""

    @abstractmethod
    def progress(self, request_id: int, *, done: int, total: int) -> None:
        """Record how far a request is, in keys."""

    @abstractmethod
    def answer(self, request_ids: Collection[int], answer: Answer) -> None:
        """Answer these requests, if they have no answer yet."""
