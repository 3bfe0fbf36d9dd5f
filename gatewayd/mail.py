"""Raw bytes to a mail's view. It can't raise, and it is bounded in parts, depth and bytes (promises P4, P5, P8)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd import header, mime
from gatewayd.decode import clean, header_text, to_text, transfer_decoded
from gatewayd.htmltext import html_to_text
from gatewayd.model import CHUNK, Attachment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.model import Address, Part, Source

__all__ = ["BytesSource", "Mail", "anchor", "parse"]

#: Bounds of a view (promise P8); what exceeds one is named in the view's faults.
_MAX_HEADERS = 1000
_MAX_VALUE = 16_384
_MAX_SUBJECT = 4096
_MAX_ADDRESSES = 1000
_MAX_ATTACHMENTS = 500
_MAX_TEXT = CHUNK
_MAX_ID = 998
_MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class BytesSource:
    """A message in memory: for tests, and for a file that ``explain`` is given."""

    raw: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """Length of the message in bytes."""
        return len(self.raw)

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset`` on, fewer at the end."""
        return self.raw[offset : offset + size]


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
    attachments: tuple[Attachment, ...]
    #: The parts that make up the readable text; plain where there is any, else html.
    plain: tuple[Part, ...]
    html: tuple[Part, ...]
    #: Digest by which the message is known again under a new key, see ``anchor``; empty where it has no such headers.
    anchor: str
    #: What of the message no parser can bear.
    faults: tuple[str, ...] = ()

    @property
    def sender(self) -> Address | None:
        """The first From address; None where there is none."""
        return self.from_[0] if self.from_ else None

    @property
    def text(self) -> str:
        """The readable text, decoded when asked for; at most 1 MiB is read, and html is taken without its tags."""
        text = "\n".join(self._texts(self.plain))
        if not self.html or text.strip():
            return text
        return "\n".join(html_to_text(part) for part in self._texts(self.html))

    def _texts(self, parts: Sequence[Part]) -> Iterator[str]:
        room = _MAX_TEXT
        for part in parts:
            data = self.source.read(part.offset, min(part.length, room))
            room -= len(data)
            text = to_text(b"".join(transfer_decoded([data], part.encoding)), part.charset).removeprefix("\ufeff")
            yield clean(text.replace("\r\n", "\n").replace("\r", "\n"), line=False)

    def raw(self) -> Iterator[bytes]:
        """Yield the message as the server had it, in pieces of at most 1 MiB."""
        return _pieces(self.source, 0, self.source.size)

    def attachment(self, number: int) -> Iterator[bytes]:
        """Yield the decoded bytes of ``attachments[number]``, in pieces of at most 1 MiB; raises IndexError."""
        if number < 0:
            raise IndexError(number)
        part = self.attachments[number].part
        return transfer_decoded(_pieces(self.source, part.offset, part.length), part.encoding)


def _pieces(source: Source, start: int, length: int) -> Iterator[bytes]:
    for offset in range(start, start + length, CHUNK):
        yield source.read(offset, min(CHUNK, start + length - offset))


def anchor(headers: bytes) -> str:
    """Return the digest of Message-ID, Date, From and Subject of a raw header block; empty where all are missing."""
    return header.anchor_of(header.head(headers, 0, len(headers)).first)


#: What a defect of the parser can raise. The source's own errors are no matter of the message: they pass.
_DEFECTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def parse(source: Source, *, mail_id: int = 0, received_at: datetime | None = None) -> Mail:
    """Return the view of a message. Never raises, whatever the bytes are; what it can't bear stands in ``faults``."""
    try:
        return _view(source, mail_id, _utc(received_at))
    except _DEFECTS as error:
        empty = _view(BytesSource(b""), mail_id, _utc(received_at))
        return replace(empty, source=source, faults=(f"it can't be read: {type(error).__name__}: {clean(str(error))[:200]}",))


def _view(source: Source, mail_id: int, received_at: datetime | None) -> Mail:
    faults: list[str] = []
    raw = mime.opened(source)
    top = header.head(raw, 0, len(raw))
    first = top.first
    if not first:
        faults.append("it has no headers")
    if top.cut:
        faults.append(f"its headers are longer than {header.MAX_HEAD} bytes")
    leaves = mime.leaves(raw, top, faults)
    headers = _headers(top, faults)
    texts = [leaf.part for leaf in leaves if not leaf.attached]
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
        sent_at=header.date(first["date"]) if "date" in first else None,
        received_at=received_at,
        attachments=_attachments(raw, leaves, faults),
        plain=tuple([part for part in texts if part.type == "text/plain"]),
        html=tuple([part for part in texts if part.type == "text/html"]),
        anchor=header.anchor_of(first),
        faults=tuple(faults),
    )


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is UTC:
        return moment
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        return None


def _headers(top: header.Head, faults: list[str]) -> tuple[tuple[str, str], ...]:
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


def _joined(name: str, top: header.Head) -> str:
    return ", ".join([value for known, value in top.fields if known == name and value]) if name in top.first else ""


def _addresses(name: str, value: str, faults: list[str]) -> tuple[Address, ...]:
    if not value:
        return ()
    found, more = header.addresses(value, _MAX_ADDRESSES)
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
    found = header.ids(value[:_MAX_VALUE])
    return (found[0] if found else "".join(header_text(value[:_MAX_VALUE]).split()))[:_MAX_ID]


def _references(first: dict[str, str]) -> tuple[str, ...]:
    found = [header.ids(first[name]) for name in ("references", "in-reply-to") if name in first]
    return tuple(dict.fromkeys(one for several in found for one in several))[-_MAX_HEADERS:]


# --- attachments ------------------------------------------------------------------------------------------------------

_UNSAFE = re.compile(r"[/\\\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_EXTENSIONS = {
    "text/plain": "txt",
    "text/html": "html",
    "text/calendar": "ics",
    "text/csv": "csv",
    "text/vcard": "vcf",
    "text/x-vcard": "vcf",
    "text/rfc822-headers": "txt",
    "message/delivery-status": "txt",
    "message/disposition-notification": "txt",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "application/json": "json",
    "application/xml": "xml",
    "text/xml": "xml",
    "application/rtf": "rtf",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/pkcs7-signature": "p7s",
    "application/x-pkcs7-signature": "p7s",
    "application/pkcs7-mime": "p7m",
    "application/x-pkcs7-mime": "p7m",
    "application/pgp-signature": "asc",
    "application/pgp-encrypted": "asc",
    "application/ms-tnef": "dat",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/svg+xml": "svg",
    "image/tiff": "tif",
    "image/webp": "webp",
    "audio/mpeg": "mp3",
    "video/mp4": "mp4",
}


def _attachments(raw: header.Raw, leaves: list[mime.Leaf], faults: list[str]) -> tuple[Attachment, ...]:
    attached = [leaf for leaf in leaves if leaf.attached]
    if len(attached) > _MAX_ATTACHMENTS:
        faults.append(f"it has more than {_MAX_ATTACHMENTS} attachments")
    return tuple(
        [
            Attachment(name=_name(leaf, number), type=leaf.part.type, size=_size(raw, leaf.part), part=leaf.part)
            for number, leaf in enumerate(attached[:_MAX_ATTACHMENTS], 1)
        ]
    )


def _name(leaf: mime.Leaf, number: int) -> str:
    name = _UNSAFE.sub("_", leaf.name).strip()
    if not name.strip("._ "):
        return f"attachment-{number}.{_EXTENSIONS.get(leaf.part.type, 'bin')}"
    if len(name) <= _MAX_NAME:
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > 16:  # noqa: PLR2004  a longer one is none
        return name[:_MAX_NAME]
    return stem[: _MAX_NAME - len(extension) - 1] + dot + extension


def _size(raw: header.Raw, part: Part) -> int:
    if part.encoding != "base64":
        return part.length
    start, end = part.offset, part.offset + part.length
    padding = raw.find(b"=", start, end)
    end = padding if padding >= 0 else end
    return (end - start - mime.white_space(raw, start, end)) * 3 // 4
