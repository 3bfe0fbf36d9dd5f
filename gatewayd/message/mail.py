"""``Mail``: what plugins see of a message; raw bytes are parsed into it, and its text is chosen among the parts.

It can't raise, and it is bounded in parts, depth and bytes (promises P4, P5, P8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd.message import containers, header_parsing, mime
from gatewayd.message.addresses import address_list
from gatewayd.message.attachments import attachment
from gatewayd.message.body import Alternatives, Body, arranged
from gatewayd.message.charsets import to_text
from gatewayd.message.control_characters import clean
from gatewayd.message.dates import date
from gatewayd.message.encoded_words import header_text
from gatewayd.message.html_text import declared, html_to_text
from gatewayd.message.rtf import rtf_to_text
from gatewayd.message.sources import BytesSource, opened, pieces
from gatewayd.message.transfer_encoding import transfer_decoded
from gatewayd.message.values import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.message.body import Text
    from gatewayd.message.mime import Leaf
    from gatewayd.message.sources import Raw
    from gatewayd.message.values import Address, Attachment, Container, Part, Source

__all__ = ["BytesSource", "Mail", "anchor", "file_of", "parse", "unread", "was_read"]

#: What the fault of a message that no parser can bear begins with.
_UNREAD = "it can't be read: "
#: Bounds of a view (promise P8); what exceeds one is named in the view's faults.
_MAX_HEADERS = 1000
_MAX_VALUE = 16_384
_MAX_SUBJECT = 4096
_MAX_ADDRESSES = 1000
_MAX_ATTACHMENTS = 500
_MAX_TEXT = CHUNK
_MAX_ID = 998


@dataclass(frozen=True, kw_only=True)
class Mail:
    """The view of one message. It has an id, carries no raw bytes, and pickles small."""

    #: Id of the mail's ledger entry; 0 for one that is not in the store.
    id: int
    #: Where the raw bytes can be read.
    source: Source
    #: All headers in their order as (name in lower case, decoded value); long ones are cut.
    headers: tuple[tuple[str, str], ...]
    from_: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    #: ``<…>`` as it stands, empty where there is none.
    message_id: str
    #: The ids of References and In-Reply-To, oldest first, each once.
    references: tuple[str, ...]
    #: The Date header in UTC; None where there is none that can be read.
    sent_at: datetime | None
    #: When it came to the mailbox, in UTC; None where the server does not say.
    received_at: datetime | None
    #: The files that were sent with it.
    attachments: tuple[Attachment, ...]
    #: What the text shows, such as the pictures of its html, and what it is signed by or wrapped in: no files for people.
    inline: tuple[Attachment, ...] = ()
    #: The parts that make up the readable text, in turn; of several versions the first that says anything.
    body: Text
    #: Digest by which the message is known again under a new key, see ``anchor``; empty where it has no such headers.
    anchor: str
    #: What of the message no parser can bear.
    faults: tuple[str, ...] = ()
    #: What people should know of how it was read, such as that a signature was not checked.
    notes: tuple[str, ...] = ()

    @property
    def sender(self) -> Address | None:
        """The first From address; None where there is none."""
        return self.from_[0] if self.from_ else None

    @property
    def text(self) -> str:
        """The readable text, decoded when asked for; at most 1 MiB is read, and html is taken without its tags."""
        return _Reading(self.source).text(self.body)

    def raw(self) -> Iterator[bytes]:
        """Yield the message as the server had it, in pieces of at most 1 MiB."""
        return pieces(self.source, 0, self.source.size)

    def attachment(self, number: int) -> Iterator[bytes]:
        """Yield the decoded bytes of ``attachments[number]``, in pieces of at most 1 MiB; behind them count those of ``inline``.

        Raises IndexError.
        """
        if number < 0:
            raise IndexError(number)
        return file_of(self.source, (*self.attachments, *self.inline)[number].part)


def file_of(source: Source, part: Part) -> Iterator[bytes]:
    """Yield the decoded bytes of a part of a message, in pieces of at most 1 MiB."""
    held = containers.inside(source, part.within)
    return transfer_decoded(pieces(held, part.offset, part.length), part.encoding)


#: What can be seen: neither white space nor characters of no width, of which some programs make their plain text.
_SAYS = re.compile(
    "[^\\s\u00ad\u034f\u061c\u115f\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe0f\ufeff]"
)


class _Reading:
    """Reads the text of one mail, 1 MiB of it."""

    def __init__(self, source: Source) -> None:
        self._insides = containers.ContainerContents(source)
        self._room = _MAX_TEXT

    def text(self, body: Text) -> str:
        """Return what the parts say, in turn."""
        return "\n".join([self._best(one) if isinstance(one, Alternatives) else self._part(one) for one in body])

    def _best(self, alternatives: Alternatives) -> str:
        """Return the first version that says anything, else the first."""
        first = ""
        for version in alternatives.versions:
            text = self.text(version)
            if _SAYS.search(text):
                return text
            first = first or text
        return first

    def _part(self, part: Part) -> str:
        data = self._insides(part.within).read(part.offset, min(part.length, self._room))
        self._room -= len(data)
        data = b"".join(transfer_decoded([data], part.encoding))
        if part.type == "text/rtf":
            return clean(rtf_to_text(data), line=False)
        charset = declared(data, part.charset) if part.type == "text/html" else part.charset
        text = to_text(data, charset).removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        text = clean(text, line=False)
        return html_to_text(text) if part.type == "text/html" else text


def anchor(headers: bytes) -> str:
    """Return the digest of Message-ID, Date, From and Subject of a raw header block; empty where all are missing."""
    return header_parsing.anchor_of(header_parsing.head(headers, 0, len(headers)).first)


#: What a defect of the parser can raise. The source's own errors are no matter of the message: they pass.
_DEFECTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def parse(source: Source, *, mail_id: int = 0, received_at: datetime | None = None) -> Mail:
    """Return the view of a message. Never raises, whatever the bytes are; what it can't bear stands in ``faults``."""
    try:
        return _view(source, mail_id, _utc(received_at))
    except _DEFECTS as error:
        why = f"{type(error).__name__}: {clean(str(error))[:200]}"
        return unread(source, why, mail_id=mail_id, received_at=received_at)


def unread(source: Source, why: str, *, mail_id: int = 0, received_at: datetime | None = None) -> Mail:
    """Return the view of a message that no parser can bear: of what it says, nothing is known."""
    empty = _view(BytesSource(b""), mail_id, _utc(received_at))
    return replace(empty, source=source, faults=(f"{_UNREAD}{why}",))


def was_read(mail: Mail) -> bool:
    """Whether this is the view of a message that could be read, be it with faults and without headers."""
    return not any(fault.startswith(_UNREAD) for fault in mail.faults)


def _view(source: Source, mail_id: int, received_at: datetime | None) -> Mail:
    faults: list[str] = []
    raw = opened(source)
    top = header_parsing.head(raw, 0, len(raw))
    first = top.first
    if not first:
        faults.append("it has no headers")
    if top.cut:
        faults.append(f"its headers are longer than {header_parsing.MAX_HEAD} bytes")
    body, notes, held = _body(source, raw, top, faults)
    leaves = body.attached + body.inline
    files = _files(leaves, held, faults) if leaves else ()
    headers = _headers(top, faults)
    return Mail(
        id=mail_id,
        source=source,
        headers=headers,
        from_=_addresses("From", first.get("from", ""), faults),
        to=_addresses("To", _joined("to", top), faults),
        cc=_addresses("Cc", _joined("cc", top), faults),
        subject=_subject(next((value for name, value in headers if name == "subject"), ""), faults),
        message_id=_message_id(first.get("message-id", "")),
        references=_references(first),
        sent_at=date(first["date"]) if "date" in first else None,
        received_at=received_at,
        attachments=files[: len(body.attached)],
        inline=files[len(body.attached) :],
        body=body.text,
        anchor=header_parsing.anchor_of(first),
        faults=tuple(faults),
        notes=tuple(notes),
    )


def _body(source: Source, raw: Raw, top: header_parsing.HeaderBlock, faults: list[str]) -> tuple[Body, Sequence[str], _Held]:
    """Return how the mail is to be read, what there is to say of it, and what its containers hold."""
    scan = mime.ScanLimits(faults)
    insides = containers.ContainerContents(source)
    held = _Held(insides, raw)
    found = containers.opened(insides, mime.tree(raw, top, scan), scan)
    body = arranged(found.tree, held)
    body.inline += found.wrappings
    return body, found.notes, held


class _Held:
    """The bytes of a message, and what its containers hold."""

    def __init__(self, insides: containers.ContainerContents, raw: Raw) -> None:
        self._insides = insides
        self._raw = raw

    def __call__(self, within: tuple[Container, ...]) -> Raw:
        if not within:
            return self._raw
        return opened(self._insides(within), whole=containers.MAX_HELD)


def _files(leaves: Sequence[Leaf], held: _Held, faults: list[str]) -> tuple[Attachment, ...]:
    if len(leaves) > _MAX_ATTACHMENTS:
        faults.append(f"it has more than {_MAX_ATTACHMENTS} attachments")
    return tuple([attachment(held(leaf.part.within), leaf, number) for number, leaf in enumerate(leaves[:_MAX_ATTACHMENTS], 1)])


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
        # Addresses are read from the whole value: nothing of a long To is lost.
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


def _message_id(value: str) -> str:
    if not value:
        return ""
    found = header_parsing.ids(value[:_MAX_VALUE])
    return (found[0] if found else "".join(header_text(value[:_MAX_VALUE]).split()))[:_MAX_ID]


def _references(first: dict[str, str]) -> tuple[str, ...]:
    found = [header_parsing.ids(first[name]) for name in ("references", "in-reply-to") if name in first]
    return tuple(dict.fromkeys(one for several in found for one in several))[-_MAX_HEADERS:]
