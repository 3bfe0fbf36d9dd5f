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
        """Say that a daemon lives, for ``LEASE_SECONDS`` from now; return how many do, this one included."""

    @abstractmethod
    def retire(self, holder: str) -> None:
        """Say that a daemon ends."""

    @abstractmethod
    def daemons(self) -> Sequence[DaemonHealth]:
        """Return the daemons that live, longest first."""

    @abstractmethod
    def tell(self, healths: Sequence[AccountHealth]) -> None:
        """Keep how accounts are, in place of what was told before; a time that is None stays as it was, but for ``due_at`` and
        ``working_since``.
        """

    @abstractmethod
    def healths(self) -> Sequence[AccountHealth]:
        """Return how every account is that was ever told of, by name."""

    @abstractmethod
    def lengths(self) -> Lengths:
        """Return how much waits."""

    @abstractmethod
    def tell_directories(self, healths: Sequence[DirectoryHealth]) -> None:
        """Keep how directories are, in place of what was told of them before."""

    @abstractmethod
    def directories(self) -> Sequence[DirectoryHealth]:
        """Return how every directory is that was ever told of, by operator."""


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
        """Say how far a request is, in keys."""

    @abstractmethod
    def answer(self, request_ids: Collection[int], answer: Answer) -> None:
        """Answer requests."""
