"""The values that observers get after something happened; each at most once, and some may be lost. For certainty, ask the store."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

    from gatewayd.api.delivery import DeliveryState
    from gatewayd.api.health import AccountHealth, Condition
    from gatewayd.api.ledger import Filing
    from gatewayd.errors import Fault

__all__ = ["AccountChanged", "ConfigLoaded", "DeliverySettled", "Event", "MailFailed", "MailFiled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFiled:
    """A mail was filed, and is on the disk. It carries no text of the mail: ask the store, or `gatewayd mail show`.

    A mail that is filed later for a further operator is told once more, with that filing alone.
    """

    account: str
    #: Its folder and key on the server.
    folder: str
    key: str
    mail_id: int
    #: Length of the raw bytes.
    size: int
    #: When it came to the mailbox; None if the server does not say.
    received_at: datetime | None
    #: It is old mail: of a folder's first listing, or asked for from the beginning.
    backlog: bool
    #: One for each operator that it is filed for now, with links, rivals and faults.
    filings: tuple[Filing, ...]

    @property
    def operators(self) -> tuple[str, ...]:
        """The operators that it is filed for."""
        return tuple(filing.operator for filing in self.filings)

    @property
    def user(self) -> str | None:
        """The user whose personal mail it is; None for general mail."""
        return next((filing.user for filing in self.filings), None)

    @property
    def owner(self) -> str | None:
        """The old name of ``user``; it works for one release, and warns."""
        warnings.warn("MailFiled.owner is called user now", DeprecationWarning, stacklevel=2)
        return self.user


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFailed:
    """One filing has a fault, and is in the error queue; the mail is filed all the same."""

    account: str
    mail_id: int
    operator: str
    #: A matcher's kind, ``directory``, ``parser`` or ``config``.
    by: str
    #: The fault, in one line. A matcher's error may quote the mail: don't log it.
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettled:
    """A delivery was delivered to all its recipients, or was parked and needs a person."""

    delivery_id: int
    operator: str
    mail_id: int
    #: The target, or the addresses.
    goal: str
    cause: str
    state: DeliveryState
    #: Why it is parked, in the other side's words; empty where it is delivered.
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChanged:
    """An account's condition or its fault changed."""

    health: AccountHealth
    before: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigLoaded:
    """The config was taken over, at the start or while running."""

    #: The names of those that run now.
    accounts: tuple[str, ...]
    operators: tuple[str, ...]
    #: The faults in the folder. A faulty file runs as it was last accepted, or not at all.
    faults: tuple[Fault, ...] = ()


#: The events that an observer can get.
Event: TypeAlias = MailFiled | MailFailed | DeliverySettled | AccountChanged | ConfigLoaded
