"""Define the values of the desk: an explained mail, and mail that a person writes, as typed, prepared with its checks, and sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gatewayd.api.delivery import Delivery, Outgoing
    from gatewayd.api.queries import Viewer
    from gatewayd.desk.composing.writing import AttachedFile
    from gatewayd.matching import OperatorResult
    from gatewayd.message.mail import Mail
    from gatewayd.outgoing.routing import RuleVerdict

__all__ = ["Explained", "NewMail", "PlannedDelivery", "PreparedMail", "RuleCheck", "SentMail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """The findings on a mail, and why."""

    mail: Mail
    findings: OperatorResult
    #: Message-IDs of our own mail that it answers.
    ours: Collection[str]
    #: The verdict of each of the operator's forward rules, as if the mail were new.
    rulings: Sequence[RuleVerdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMail:
    """A mail as a person wrote it. Addresses are as they were typed."""

    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    #: Empty in an answer: the subject of the mail that it answers.
    subject: str = ""
    text: str = ""
    html: str = ""
    attachments: tuple[AttachedFile, ...] = ()
    #: The From, if it is not the account's ``from``.
    sender: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCheck:
    """The verdict of one rule of a sending account on a mail."""

    account: str
    #: The field of its ``send:``.
    rule: str
    #: As file:line.
    where: str
    allowed: bool
    #: What was checked, or why it is refused.
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDelivery:
    """A delivery that will be entered, and its senders."""

    delivery: Delivery
    #: Its From; empty if it is the original's, or no mail goes out.
    sender: str
    #: The envelope's sender, who gets bounces; empty if no mail goes out.
    envelope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedMail:
    """A mail that is ready to be sent or will be refused. Nothing of it is in the store yet."""

    viewer: Viewer
    #: The new mail; None if a stored one is forwarded.
    outgoing: Outgoing | None = None
    #: The stored mail that is forwarded; None for a new one.
    mail_id: int | None = None
    #: One for a new mail.
    planned: tuple[PlannedDelivery, ...]
    #: Of the mail, in bytes, without our lines around an original.
    size: int
    checks: tuple[RuleCheck, ...]
    #: Remarks for the person before it is sent.
    notes: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether no rule refuses it."""
        return all(one.allowed for one in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMail:
    """A mail that is in the outbox."""

    #: The new mail, or the one that is forwarded.
    mail_id: int
    delivery_ids: tuple[int, ...]
