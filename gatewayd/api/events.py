"""What observers are told: frozen values, each after the fact. They are told at most once; certainty is the store's."""

from __future__ import annotations

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
    """A mail was filed, and is on the disk. It carries no text of the mail: ask the store, or `gatewayd mail show`."""

    account: str
    #: Where it lies on the server.
    folder: str
    key: str
    mail_id: int
    #: Length of the raw bytes.
    size: int
    #: When it came to the mailbox; None where the server does not say.
    received_at: datetime | None
    #: It was there before: of a folder's first listing, or asked for from the beginning.
    backlog: bool
    #: One for each operator that admits it, with links, rivals and faults.
    filings: tuple[Filing, ...]

    @property
    def operators(self) -> tuple[str, ...]:
        """The operators that it is filed for."""
        return tuple(filing.operator for filing in self.filings)

    @property
    def owner(self) -> str | None:
        """The user whose personal mail it is; None for general mail."""
        return next((filing.owner for filing in self.filings), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFailed:
    """Something went wrong for one filing, and it stands in the error queue; the mail is filed all the same."""

    account: str
    mail_id: int
    operator: str
    #: A matcher's kind, ``directory``, ``parser`` or ``config``.
    by: str
    #: What went wrong, in one line. A matcher's error may quote the mail: don't log it.
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
    """An account is in another condition, or something else is wrong with it."""

    health: AccountHealth
    before: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigLoaded:
    """The config was taken over, at the start or while running."""

    #: Names of what runs now.
    accounts: tuple[str, ...]
    operators: tuple[str, ...]
    #: What is faulty in the folder; such a file runs as last accepted, or not at all.
    faults: tuple[Fault, ...] = ()


#: What an observer can be told.
Event: TypeAlias = MailFiled | MailFailed | DeliverySettled | AccountChanged | ConfigLoaded
