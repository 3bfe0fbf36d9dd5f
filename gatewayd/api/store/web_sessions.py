"""The store's verbs for people who use the pages: their web sessions, and the activity log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.web_sessions import Activity, WebSession

__all__ = ["ACTIVITY_DAYS", "MOST_ACTIVITIES", "MOST_WEB_SESSIONS", "TOUCH_SECONDS", "ActivityVerbs", "WebSessionVerbs"]

#: As many web sessions a user may have; who logs in once more ends the one that was unused for longest.
MOST_WEB_SESSIONS = 50
#: So often the last use of a web session is written at most.
TOUCH_SECONDS = 60.0
#: How long the activity log is kept, and how many rows of each operator.
ACTIVITY_DAYS, MOST_ACTIVITIES = 400, 200_000


class WebSessionVerbs(ABC):
    """Keep web sessions, each found by the SHA-256 digest of its token, which the store never has.

    ``idle`` and ``longest`` are the seconds after the last use and after the log-in at which a web session ends: what has ended
    by them is not there for any verb. All web sessions of a user who leaves are gone with the same commit: see ``UserVerbs``.
    """

    @abstractmethod
    def add_web_session(self, user_id: int, digest: bytes, *, address: str, agent: str, idle: float, longest: float) -> WebSession:
        """Commit a new web session of a user; return it.

        Raises PermanentError where the user has left. Of more than ``MOST_WEB_SESSIONS`` those that were unused for longest end.
        """

    @abstractmethod
    def web_session(self, digest: bytes, *, idle: float, longest: float) -> WebSession | None:
        """Return the web session of a token, by one query; None if there is none, or it has ended."""

    @abstractmethod
    def web_sessions(self, operator: str, user: str | None = None, *, idle: float, longest: float) -> Sequence[WebSession]:
        """Return the web sessions of a user, or of all users of an operator; what was used last comes first."""

    @abstractmethod
    def touch_web_session(self, digest: bytes) -> None:
        """Commit that a web session is used, if that was not committed within ``TOUCH_SECONDS``; else only read."""

    @abstractmethod
    def end_web_session(self, operator: str, number: int, *, user: str | None = None) -> bool:
        """End a web session of an operator, and with ``user`` only one of that user; return whether there was one."""

    @abstractmethod
    def end_web_sessions(self, operator: str, user: str, *, but: int | None = None) -> int:
        """End all web sessions of a user, or all but one, by its number; return how many."""


class ActivityVerbs(ABC):
    """Keep what people did, for ``ACTIVITY_DAYS`` and at most ``MOST_ACTIVITIES`` of each operator, the newest.

    It stays when users leave: it says who did it, as they were called then.
    """

    @abstractmethod
    def note_activities(self, activities: Sequence[Activity]) -> None:
        """Commit what people did, in this order, and remove what is older or more than is kept."""

    @abstractmethod
    def activities(
        self, operator: str, *, who: str | None = None, mail_id: int | None = None, before: int | None = None, limit: int = 50
    ) -> Sequence[Activity]:
        """Return what people of an operator did, the newest first: all, or what a user did, or what was done to a mail.

        ``before``: only ids below this one: the next page.
        """
