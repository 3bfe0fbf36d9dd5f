"""The values of offers: mail on a server that people choose from, and what each operator decided about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gatewayd.api.ledger import State
    from gatewayd.message.mail import Mail

__all__ = ["Chosen", "Decision", "Offer", "OfferQuery", "OfferView", "Seen", "Summary"]

#: What an operator decided about a message, or what was decided for it: its admission refuses the message, or can't decide yet.
Decision: TypeAlias = Literal["offered", "refused", "undecided", "chosen", "filed", "dismissed"]

#: The types of a whole message that has no files, and of one that has: what else there is, headers alone can't tell.
_BARE = frozenset({"", "text/plain", "text/html", "multipart/alternative"})
_FILES = frozenset({"multipart/mixed", "application/pdf", "application/octet-stream", "application/zip"})

#: How many addresses are kept of a header, and how many characters of a text.
_MOST, _LONG = 50, 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a person chooses a message by, as its headers say."""

    key: str
    #: The first From address, bare, and the name beside it.
    sender: str = ""
    sender_name: str = ""
    #: All From addresses in lower case, by which operators admit it.
    senders: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    subject: str = ""
    sent_at: datetime | None = None
    #: Whether it has files; None where headers alone don't say.
    attachments: bool | None = None
    #: See ``Anchor``; empty without Message-ID or Date.
    anchor: str = ""

    @classmethod
    def of(cls, key: str, block: bytes) -> Summary:
        """Read a header block."""
        from gatewayd.message.mail import BytesSource, parse  # noqa: PLC0415  imported late: who lists offers parses none

        view = parse(BytesSource(block))
        has = {name for name, value in view.headers if value.strip()}
        return cls(
            key=key,
            sender=view.sender.email if view.sender else "",
            sender_name=view.sender.name[:_LONG] if view.sender else "",
            senders=tuple(dict.fromkeys(one.key[:_LONG] for one in view.from_ if one.email))[:_MOST],
            to=tuple(one.email for one in view.to)[:_MOST],
            subject=view.subject[:_LONG],
            sent_at=view.sent_at,
            attachments=_has_files(view),
            anchor=view.anchor if {"message-id", "date"} <= has else "",
        )


def _has_files(view: Mail) -> bool | None:
    """Whether a message has files, by its Content-Type (RFC 2045 section 5)."""
    value = next((value for name, value in view.headers if name == "content-type"), "")
    kind = value.partition(";")[0].strip().lower()
    return False if kind in _BARE else True if kind in _FILES else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A key that is offered, with what its headers say."""

    entry_id: int
    summary: Summary
    #: The user whose personal account it came to; None for a general account.
    user: str | None
    #: By operator, what its admission said: ``offered``, ``refused`` or ``undecided``.
    decisions: Mapping[str, Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferQuery:
    """Which offers of an account to list, newest entry first; what is None does not restrict."""

    account: str
    ids: tuple[int, ...] | None = None
    keys: tuple[str, ...] | None = None
    #: Only what the viewer's operator has not decided about.
    open: bool = False
    #: A word that subject, sender or recipients contain, compared without case.
    text: str | None = None
    #: Only what arrived since then, or was sent where the server gives no arrival.
    since: datetime | None = None
    #: Only entries above and below these ids.
    after: int = 0
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferView:
    """An offer as a viewer is shown it. ``sender`` and ``to`` are bare addresses."""

    #: That of its entry in the ledger.
    id: int
    account: str
    folder: str
    key: str
    #: What the viewer's operator decided.
    decision: Decision
    #: The state of the key.
    state: State
    #: Why it could not be had the last time; empty where it was not tried.
    cause: str
    size: int | None
    arrival: datetime | None
    sender: str
    sender_name: str
    to: tuple[str, ...]
    subject: str
    sent_at: datetime | None
    attachments: bool | None
    #: The mail that it is for the viewer's operator; None where that has not filed it.
    mail_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A message that an operator chose, and whose bytes are here already."""

    entry_id: int
    mail_id: int
    backlog: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How much of an account's list a viewer has seen, as ids of ledger entries."""

    #: The newest entry of the list that was chosen from last: what came after it is new.
    mark: int = 0
    #: The newest entry that was ever shown; the mark comes to it when a download is confirmed.
    shown: int = 0
