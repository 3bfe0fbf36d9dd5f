"""Parse the raw bytes of a message into a ``Mail``, which is the view that plugins get.

Parsing never raises, and is bounded in parts, depth and bytes (promises P4, P5, P8).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd.message import containers, header_parsing, mime
from gatewayd.message.addresses import address_list
from gatewayd.message.attachments import attachment
from gatewayd.message.body import arranged
from gatewayd.message.control_characters import clean
from gatewayd.message.dates import date
from gatewayd.message.encoded_words import header_text
from gatewayd.message.reading import Reading
from gatewayd.message.sources import BytesSource, pieces
from gatewayd.message.transfer_encoding import transfer_decoded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.message.body import Text
    from gatewayd.message.reading import ShownText
    from gatewayd.message.values import Address, Attachment, Part, Source

__all__ = ["BytesSource", "Mail", "anchor", "file_of", "message_id", "parse", "unread", "was_read"]

#: The fault of a message that could not be parsed begins with this.
_UNREAD = "it can't be read: "
#: Bounds of a view (promise P8); each one that is exceeded is named in the view's faults.
_MAX_HEADERS = 1000
_MAX_VALUE = 16_384
_MAX_SUBJECT = 4096
_MAX_ADDRESSES = 1000
_MAX_ATTACHMENTS = 500
_MAX_ID = 998


@dataclass(frozen=True, kw_only=True)
class Mail:
    """The view of one message. It contains no raw bytes, and pickles small."""

    #: Id of the mail's ledger entry; 0 for one that is not in the store.
    id: int
    #: The place where the raw bytes can be read.
    source: Source
    #: All headers in their order as (name in lower case, decoded value); long ones are cut.
    headers: tuple[tuple[str, str], ...]
    from_: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    #: ``<…>`` as the mail has it; empty if there is none.
    message_id: str
    #: The ids of References and In-Reply-To, oldest first, each once.
    references: tuple[str, ...]
    #: The Date header in UTC; None if it is missing or can't be read.
    sent_at: datetime | None
    #: When it arrived in the mailbox, in UTC; None if the server does not say.
    received_at: datetime | None
    #: The files that were sent with it.
    attachments: tuple[Attachment, ...]
    #: Parts that are no files for people: those that the text shows, such as pictures in html, signatures, and containers.
    inline: tuple[Attachment, ...] = ()
    #: The parts of the readable text in their order; of several versions, the first that is not blank is read.
    body: Text
    #: Digest by which the message is recognized under a new key, see ``anchor``; empty if it has none of those headers.
    anchor: str
    #: What is wrong with the message, in words for people: it exceeds a bound, or could not be parsed.
    faults: tuple[str, ...] = ()
    #: What people should know of how it was read, for example that a signature was not checked.
    notes: tuple[str, ...] = ()

    @property
    def sender(self) -> Address | None:
        """The first From address; None if there is none."""
        return self.from_[0] if self.from_ else None

    @property
    def text(self) -> str:
        """The readable text, with html reduced to text. It is decoded at each access; at most 1 MiB is read."""
        return Reading(self.source).text(self.body)

    @property
    def shown(self) -> tuple[ShownText, ...]:
        """The text as its writer meant people to see it: html where there is html, as it came. It must be made safe first.

        It is decoded at each access; at most 1 MiB is read, and 100 pieces.
        """
        return Reading(self.source).shown(self.body)

    def raw(self) -> Iterator[bytes]:
        """Yield the raw message, as the server sent it, in pieces of at most 1 MiB."""
        return pieces(self.source, 0, self.source.size)

    def attachment(self, number: int) -> Iterator[bytes]:
        """Yield the decoded bytes of ``attachments[number]``, in pieces of at most 1 MiB; ``inline`` is numbered after them.

        Raises IndexError if there is no such number.
        """
        if number < 0:
            raise IndexError(number)
        return file_of(self.source, (*self.attachments, *self.inline)[number].part)


def file_of(source: Source, part: Part) -> Iterator[bytes]:
    """Yield the decoded bytes of a part of a message, in pieces of at most 1 MiB."""
    held = containers.inside(source, part.within)
    return transfer_decoded(pieces(held, part.offset, part.length), part.encoding)


def anchor(headers: bytes) -> str:
    """Return the digest of Message-ID, Date, From and Subject of a raw header block; empty if all are missing."""
    return header_parsing.anchor_of(header_parsing.head(headers, 0, len(headers)).first)


#: Errors that a defect of the parser can raise. Errors of the source are not caught.
_DEFECTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def parse(source: Source, *, mail_id: int = 0, received_at: datetime | None = None) -> Mail:
    """Return the view of a message, with ``faults`` for whatever is wrong with it. Only errors of the source are raised.

    ``mail_id`` is the id of its ledger entry, and ``received_at`` when it arrived in the mailbox.
    """
    try:
        return _view(source, mail_id, _utc(received_at))
    except _DEFECTS as error:
        why = f"{type(error).__name__}: {clean(str(error))[:200]}"
        return unread(source, why, mail_id=mail_id, received_at=received_at)


def unread(source: Source, why: str, *, mail_id: int = 0, received_at: datetime | None = None) -> Mail:
    """Return the view of a message that can't be parsed, with the fault ``why``: nothing of it is known."""
    empty = _view(BytesSource(b""), mail_id, _utc(received_at))
    return replace(empty, source=source, faults=(f"{_UNREAD}{why}",))


def was_read(mail: Mail) -> bool:
    """Whether the message of this view could be parsed, even if with faults or without headers."""
    return not any(fault.startswith(_UNREAD) for fault in mail.faults)


def _view(source: Source, mail_id: int, received_at: datetime | None) -> Mail:
    faults: list[str] = []
    contents = containers.ContainerContents(source)
    raw = contents.raw(())
    top = header_parsing.head(raw, 0, len(raw))
    first = top.first
    if not first:
        faults.append("it has no headers")
    if top.cut:
        faults.append(f"its headers are longer than {header_parsing.MAX_HEAD} bytes")
    scan = mime.ScanLimits(faults)
    tree = mime.tree(raw, top, scan)
    opener = containers.ContainerOpener(contents, scan)
    body = arranged(opener.node(tree) if scan.containers else tree, contents.raw)
    leaves = [*body.attached, *body.inline, *opener.wrappings]
    if len(leaves) > _MAX_ATTACHMENTS:
        faults.append(f"it has more than {_MAX_ATTACHMENTS} attachments")
    files = tuple([attachment(contents.raw(leaf.part.within), leaf, n) for n, leaf in enumerate(leaves[:_MAX_ATTACHMENTS], 1)])
    headers = _headers(top, faults)
    return Mail(
        id=mail_id,
        source=source,
        headers=headers,
        from_=_addresses("From", first.get("from", ""), faults),
        to=_addresses("To", _joined("to", top), faults),
        cc=_addresses("Cc", _joined("cc", top), faults),
        subject=_subject(next((value for name, value in headers if name == "subject"), ""), faults),
        message_id=message_id(first.get("message-id", "")),
        references=_references(first),
        sent_at=date(first["date"]) if "date" in first else None,
        received_at=received_at,
        attachments=files[: len(body.attached)],
        inline=files[len(body.attached) :],
        body=body.text,
        anchor=header_parsing.anchor_of(first),
        faults=tuple(faults),
        notes=tuple(dict.fromkeys(opener.notes)),
    )


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is UTC:
        return moment
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        return None


def _headers(top: header_parsing.HeaderBlock, faults: list[str]) -> tuple[tuple[str, str], ...]:
    fields = top.fields
    if len(fields) > _MAX_HEADERS:
        faults.append(f"it has more than {_MAX_HEADERS} headers")
        fields = fields[:_MAX_HEADERS]
    if top.body > _MAX_VALUE and max((len(value) for _, value in fields), default=0) > _MAX_VALUE:
        # All addresses of a long To or Cc are read, so that its cut value is no fault.
        long = sorted({clean(name)[:80] for name, value in fields if len(value) > _MAX_VALUE and name not in {"to", "cc"}})
        faults += [f"its header {name!r} is longer than {_MAX_VALUE} bytes" for name in long[:10]]
        fields = [(name, value[:_MAX_VALUE]) for name, value in fields]
    if top.plain:
        return tuple([(name, header_text(value)) if "=?" in value else (name, value) for name, value in fields])
    return tuple([(clean(name), header_text(value)) for name, value in fields])


def _joined(name: str, top: header_parsing.HeaderBlock) -> str:
    return ", ".join([value for known, value in top.fields if known == name and value]) if name in top.first else ""


def _addresses(name: str, value: str, faults: list[str]) -> tuple[Address, ...]:
    if not value:
        return ()
    found, more = address_list(value, _MAX_ADDRESSES)
    if more:
        faults.append(f"its header {name} has more than {_MAX_ADDRESSES} addresses")
    return found


def _subject(text: str, faults: list[str]) -> str:
    if len(text) > _MAX_SUBJECT:
        faults.append(f"its subject is longer than {_MAX_SUBJECT} characters")
    return text[:_MAX_SUBJECT]


def message_id(value: str) -> str:
    """Return the id of a Message-ID header's value, as ``Mail.message_id`` has it; empty if there is none."""
    if not value:
        return ""
    found = header_parsing.ids(value[:_MAX_VALUE])
    return (found[0] if found else "".join(header_text(value[:_MAX_VALUE]).split()))[:_MAX_ID]


def _references(first: dict[str, str]) -> tuple[str, ...]:
    found = [header_parsing.ids(first[name]) for name in ("references", "in-reply-to") if name in first]
    return tuple(dict.fromkeys(one for several in found for one in several))[-_MAX_HEADERS:]
