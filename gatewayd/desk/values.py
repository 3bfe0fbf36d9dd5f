"""What people hand to the desk to be sent, and what it makes of it before anything is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewayd.api.delivery import Delivery, Outgoing
    from gatewayd.api.queries import Viewer
    from gatewayd.desk.composing import AttachedFile

__all__ = ["NewMail", "PlannedDelivery", "PreparedMail", "RuleCheck", "SentMail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMail:
    """A mail as a person wrote it. Addresses are as they were typed."""

    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    #: Of an answer it may be empty: then it is that of the mail that is answered.
    subject: str = ""
    text: str = ""
    html: str = ""
    attachments: tuple[AttachedFile, ...] = ()
    #: From whom, where that is not the account's ``from``.
    sender: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCheck:
    """One rule of a sending account, and what it says of a mail."""

    account: str
    #: The field of its ``send:``.
    rule: str
    #: As file:line.
    where: str
    allowed: bool
    #: What was found.
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDelivery:
    """A delivery that will be entered, and from whom it is."""

    delivery: Delivery
    #: What its From says; empty where that stays the original's, or no mail goes out.
    sender: str
    #: The envelope's sender, who gets bounces; empty where no mail goes out.
    envelope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedMail:
    """What is ready to be sent, or will be refused. Nothing of it is in the store yet."""

    viewer: Viewer
    #: The mail that is new; None where a stored one is forwarded.
    outgoing: Outgoing | None = None
    #: The stored mail that is forwarded; None for a new one.
    mail_id: int | None = None
    #: One for a new mail.
    planned: tuple[PlannedDelivery, ...]
    #: Of the mail, in bytes; what is put around an original comes on top.
    size: int
    checks: tuple[RuleCheck, ...]
    #: What a person should know before it is sent.
    notes: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether no rule refuses it."""
        return all(one.allowed for one in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMail:
    """What is in the outbox now."""

    #: The new mail, or the one that is forwarded.
    mail_id: int
    delivery_ids: tuple[int, ...]
