"""The values of people who use the pages: their roles, their web sessions, and what they did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["ROLES", "Activity", "Deed", "Role", "WebSession"]

#: What a user may do on the pages: see; also mark, link, choose and write; also look after the operator's queues and people.
Role: TypeAlias = Literal["reader", "agent", "manager"]
#: From the least to the most: each may what those before it may.
ROLES: tuple[Role, ...] = ("reader", "agent", "manager")

#: What the activity log tells of.
Deed: TypeAlias = Literal["logged in", "log-in refused", "logged out", "opened", "downloaded", "linked", "unlinked", "changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSession:
    """A browser in which a user is logged in. The token that proves it is the browser's: nothing here gives access."""

    #: Names it in lists; never used again.
    number: int
    #: See ``KnownUser.id``.
    user_id: int
    operator: str
    user: str
    created_at: datetime
    #: When it was used last, to the minute.
    last_at: datetime
    #: When it ends if it is not used until then.
    expires_at: datetime
    #: The address from which the person logged in, and what the browser calls itself.
    address: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """Something that a person did."""

    #: Its number, and when the store was told; 0 and None in one that is yet to be kept.
    id: int = 0
    at: datetime | None = None
    operator: str
    #: The user, as it was called then; empty where somebody tried to log in as a user that there is not.
    who: str
    what: Deed
    #: The mail that it was done to.
    mail_id: int | None = None
    #: A few words that no deed says: the record, the file, the setting. Never a secret.
    detail: str = ""
    #: The address that the person's browser has.
    address: str = ""
