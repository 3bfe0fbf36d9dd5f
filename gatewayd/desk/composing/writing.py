"""Write a draft as bytes: ASCII, lines of at most 998 characters, and the same bytes for the same draft.

``header_writing`` makes the header lines: the standard library loses commas of address lists in encoded words where names are not
ASCII. The standard library makes the bodies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from gatewayd.desk.composing.recipients import strict
from gatewayd.errors import PermanentError
from gatewayd.message import header_writing
from gatewayd.message.control_characters import BREAKS
from gatewayd.message.html_text import html_to_text
from gatewayd.message.message_ids import reference
from gatewayd.outgoing.forward_mime import base64_lines, boundary_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from gatewayd.message.values import Address

__all__ = ["AttachedFile", "Draft", "written"]

#: Without 8BITMIME (RFC 6152) nothing over ASCII may be sent, and this mail is stored before its server is asked.
_BODIES = SMTP.clone(cte_type="7bit", max_line_length=78)
_REFERENCES = 30
#: Printable ASCII in angle brackets; a line of it stays below 998 characters (RFC 5322 sections 2.1.1 and 3.6.4).
_ID = re.compile(r"<[!-;=?-~]{1,900}>")
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
#: The most characters of a header's value; servers refuse headers of some 100 KB.
_LONGEST_LINE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedFile:
    """A file that goes with a mail."""

    name: str
    #: Content-Type without parameters, such as ``application/pdf``.
    type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A mail of our own, before it is written."""

    sender: Address
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    #: They get the mail, and are named nowhere in it.
    bcc: tuple[Address, ...] = ()
    reply_to: Address | None = None
    subject: str = ""
    #: Made of ``html`` if empty.
    text: str = ""
    html: str = ""
    attachments: tuple[AttachedFile, ...] = ()
    #: With its brackets.
    message_id: str
    date: datetime
    in_reply_to: str = ""
    #: Oldest first. Of many the first and the last 30 are written, and only Message-IDs.
    references: tuple[str, ...] = ()

    @property
    def recipients(self) -> tuple[str, ...]:
        """Return the bare addresses of all recipients, each once, as an envelope has them."""
        found: dict[str, str] = {}
        for one in map(strict, (*self.to, *self.cc, *self.bcc)):
            found.setdefault(one.key, one.email)
        return tuple(found.values())


def written(draft: Draft) -> bytes:
    """Return the message (RFC 5322, RFC 2045) with CRLF at its line ends.

    Raises PermanentError for line breaks or control characters in a field, NUL in a text, and addresses that are none.
    """
    body = _body(draft)
    return "\r\n".join((*_heading(draft), "")).encode("ascii") + body


# --- header -----------------------------------------------------------------------------------------------------------


def _heading(draft: Draft) -> Iterator[str]:
    yield _people("From", (draft.sender,))
    if draft.reply_to:
        yield _people("Reply-To", (draft.reply_to,))
    for name, people in (("To", draft.to), ("Cc", draft.cc)):
        if people:
            yield _people(name, people)
    yield header_writing.text("Subject", _line("the subject", draft.subject))
    yield f"Date: {format_datetime(draft.date.astimezone(UTC))}"
    if not _ID.fullmatch(draft.message_id):
        raise PermanentError(f"{draft.message_id!r} is no Message-ID")
    yield header_writing.verbatim("Message-ID", [draft.message_id])
    if _ID.fullmatch(draft.in_reply_to):
        yield header_writing.verbatim("In-Reply-To", [draft.in_reply_to])
    known = [one for one in dict.fromkeys(draft.references) if _ID.fullmatch(one)]
    # A relay may replace our Message-ID; the last reference names this mail itself, and an answer keeps it.
    yield header_writing.verbatim("References", [*known[:1], *known[1:][-_REFERENCES:], reference(draft.message_id)])


def _people(name: str, people: tuple[Address, ...]) -> str:
    for one in people:
        _line("the name of an address", one.name)
    return header_writing.addressed(name, map(strict, people))


def _line(what: str, value: str) -> str:
    """Return a header's value; raises PermanentError if it is more than one line, or too long."""
    if BREAKS.search(value):
        raise PermanentError(f"{what} has line breaks or control characters: {value[:100]!r}")
    if len(value) > _LONGEST_LINE:
        raise PermanentError(f"{what} has {len(value)} characters, expected at most {_LONGEST_LINE}: {value[:100]!r}...")
    return _encodable(what, value)


def _encodable(what: str, value: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise PermanentError(f"{what} has characters that no text has: half of a surrogate pair") from None
    return value


# --- body -------------------------------------------------------------------------------------------------------------


def _body(draft: Draft) -> bytes:
    """Return the body with its MIME header lines and the empty line between them."""
    html = _text("the html", draft.html)
    plain = _text("the text", draft.text or html_to_text(html))
    # No text can contain a digest of itself.
    boundary = boundary_of(f"{draft.message_id}{plain}{html}")
    body = _written_text(plain, "plain")
    if html:
        body = _multipart("alternative", f"{boundary}a", [body, _written_text(html, "html")])
    if draft.attachments:
        body = _multipart("mixed", f"{boundary}m", [body, *map(_attached, draft.attachments)])
    return b"MIME-Version: 1.0\r\n" + body


def _written_text(text: str, subtype: str) -> bytes:
    """Return a text as a part; the standard library chooses its charset and encoding."""
    part = EmailMessage(policy=_BODIES)
    part.set_content(text, subtype=subtype)
    del part["MIME-Version"]
    return part.as_bytes()


def _multipart(subtype: str, boundary: str, parts: Iterable[bytes]) -> bytes:
    inner = b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts)
    return f'Content-Type: multipart/{subtype}; boundary="{boundary}"\r\n\r\n'.encode() + inner + f"--{boundary}--\r\n".encode()


def _attached(attached: AttachedFile) -> bytes:
    """Return a file as a part. Its header is written here: the library would decode a file name that looks like an encoded word."""
    kind = attached.type.lower()
    if not _TYPE.fullmatch(kind):
        raise PermanentError(
            f"{attached.name!r} has no type that mail knows: {attached.type!r}", advice="Expected such as application/pdf."
        )
    if kind.startswith(("message/", "multipart/")):
        # These types may not be base64 (RFC 2045 section 6.4).
        kind = "application/octet-stream"
    name = _line("the name of a file", attached.name).strip() or "attachment"
    lines = (
        f"Content-Type: {kind}",
        "Content-Transfer-Encoding: base64",
        f"Content-Disposition: attachment{header_writing.parameter('filename', name)}",
        "",
        "",
    )
    return "\r\n".join(lines).encode("ascii") + base64_lines(attached.data)


def _text(what: str, value: str) -> str:
    """Return a text with LF at all line ends, also at its end; an empty text stays empty."""
    if "\0" in value:
        raise PermanentError(f"{what} has a NUL character", advice="Give a text file in UTF-8.")
    lines = _encodable(what, value).replace("\r\n", "\n").replace("\r", "\n")
    return lines if lines.endswith("\n") or not lines else f"{lines}\n"
