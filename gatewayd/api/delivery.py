"""The frozen values of the outbox: what is to go out, what was tried, and what became of it (promise P7)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from gatewayd.api.renamed_fields import HasUser

if TYPE_CHECKING:
    from datetime import datetime

    from gatewayd.message.mail import Mail
    from gatewayd.message.values import Source

__all__ = [
    "Bounce",
    "Bounced",
    "Delivery",
    "DeliveryQuery",
    "DeliveryState",
    "DeliveryView",
    "Evidence",
    "Mode",
    "Origin",
    "Outgoing",
    "Posted",
    "Recipient",
    "RecipientState",
    "Settled",
    "Suspension",
    "Taken",
]

#: How a mail goes out: within a new message of our own as message/rfc822; with our headers before it and else as it is
#: (RFC 5322 section 3.6.6, Resent-*); exactly as it is stored, which is how our own replies go.
Mode: TypeAlias = Literal["attached", "inline", "as is"]

#: ``waiting`` for its time; ``delivered`` to all recipients; ``parked``: it needs a person, with the reason; ``withheld``: it
#: was never tried, since it would go round in a circle; ``bounced``: delivered, and came back; ``cancelled`` by a person.
DeliveryState: TypeAlias = Literal["waiting", "delivered", "parked", "withheld", "bounced", "cancelled"]

#: On what a bounce rests: fields that are made for programs, or the words of a letter, which prove less: they end nothing that is
#: still tried, and suspend nothing.
Evidence: TypeAlias = Literal["report", "text"]

#: What became of one recipient: not decided yet, taken over by the next server, refused for good, come back.
RecipientState: TypeAlias = Literal["waiting", "delivered", "refused", "bounced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One outgoing item, as it is entered. The same filing, goal and cause never make two."""

    #: The forwarder's kind.
    forwarder: str
    #: The account that sends; empty for a forwarder that needs none.
    account: str = ""
    #: The operator's target; empty for what goes to addresses that a person chose.
    target: str = ""
    #: Bare addresses; for a forwarder that sends no mail the one name of the target.
    to: tuple[str, ...]
    mode: Mode = "attached"
    #: ``rule 2``, or ``person:anna``.
    cause: str
    #: The stable idempotency key, by which a receiver drops a repeat: a Message-ID of ours with its brackets.
    message_id: str
    #: Why it is withheld; empty where it is to go.
    withheld: str = ""

    @property
    def goal(self) -> str:
        """The target, or the addresses."""
        return self.target or ", ".join(self.to)

    def destination(self, operator: str) -> str:
        """Return the account or target that it goes through: deliveries that share a server share a connection."""
        return f"account {self.account}" if self.account else f"target {operator}/{self.target}"

    def lane(self, operator: str) -> str:
        """Return ``destination``; deprecated, and gone in the next release."""
        warnings.warn("Delivery.lane is called destination now", DeprecationWarning, stacklevel=2)
        return self.destination(operator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One recipient of a delivery."""

    address: str
    state: RecipientState = "waiting"
    #: What its server said last; empty where it has not said anything.
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken(HasUser):
    """A delivery that its taker may try now."""

    id: int
    operator: str
    #: The user, for a personal filing; None for a general one.
    user: str | None
    mail_id: int
    delivery: Delivery
    #: All recipients; those that wait are to be tried.
    recipients: tuple[Recipient, ...]
    source: Source
    entered_at: datetime
    #: How often it was tried before.
    tries: int
    #: What the forwarder wrote down at an earlier try; see ``DeliveryNote``.
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of one try."""

    id: int
    #: ``Taken.tries``: a late word about an earlier try changes nothing.
    tries: int
    state: DeliveryState
    #: Those that were tried, as they stand now.
    recipients: tuple[Recipient, ...] = ()
    #: Why it waits or is parked; empty where it is delivered.
    words: str = ""
    #: Seconds until it is due again, where it waits.
    due_in: float = 0.0
    #: Ids that servers named when they took it, under which they may pass it on.
    server_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing(HasUser):
    """A mail that we wrote ourselves: it is filed with direction ``out``, and goes out as it is."""

    #: Its view, with the raw bytes as its source. The id is given by the store.
    mail: Mail
    digest: bytes
    #: The sending account.
    account: str
    #: The user whose personal mail it is; None for general mail.
    user: str | None = None
    #: Id of the mail that it answers, whose links it inherits; None where it answers none.
    answers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What a mail of our own became."""

    mail_id: int
    delivery_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin(HasUser):
    """Whose delivery something comes back from."""

    #: The delivery's, as we wrote it.
    message_id: str
    operator: str
    #: The user, for a personal filing; None for a general one.
    user: str | None
    #: The server's id that was asked for, where the delivery is known by that; else empty.
    server_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounced:
    """What a bounce says of one recipient (RFC 3464 section 2.3)."""

    #: Empty where a letter names nobody: then it is the one to whom the mail went, if there was but one.
    address: str
    #: Given up for good: action ``failed`` with a status of class 5.
    hard: bool
    #: Status and diagnostic in one line.
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """A bounce of one of our own deliveries, told by the Message-ID that we gave it."""

    #: Ours, and proven to be.
    message_id: str
    recipients: tuple[Bounced, ...]
    #: On what it rests.
    evidence: Evidence = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """A target that gets nothing until a person says so: what is for it waits."""

    operator: str
    target: str
    since: datetime
    #: Whose words, and which.
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView(HasUser):
    """A delivery as it is shown."""

    id: int
    operator: str
    user: str | None
    mail_id: int
    #: Of the mail that is delivered.
    subject: str
    delivery: Delivery
    recipients: tuple[Recipient, ...]
    state: DeliveryState
    #: Why it waits, is parked or withheld.
    words: str
    tries: int
    entered_at: datetime
    #: When it is tried next; None where it does not wait.
    due_at: datetime | None
    #: When it came to its end; None where it waits.
    ended_at: datetime | None
    #: Why its target is suspended; empty where it is not.
    suspended: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryQuery:
    """Which deliveries to list, newest first; what is None does not restrict."""

    ids: tuple[int, ...] | None = None
    mail_id: int | None = None
    states: tuple[DeliveryState, ...] | None = None
    target: str | None = None
    #: Only ids below this one: the next page.
    before: int | None = None
    limit: int = 50
