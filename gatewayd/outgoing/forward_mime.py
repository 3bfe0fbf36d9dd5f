"""Write a forward for SMTP: the original's bytes as they are, and our lines around or before them (promise P5)."""

from __future__ import annotations

import hashlib
import re
from base64 import encodebytes
from dataclasses import dataclass, field
from email.utils import format_datetime
from itertools import chain
from quopri import encodestring
from typing import TYPE_CHECKING

from gatewayd.errors import PermanentError
from gatewayd.message import header_writing
from gatewayd.message.control_characters import clean
from gatewayd.message.message_ids import reference
from gatewayd.message.values import Address
from gatewayd.outgoing.original_scan import LONGEST_LINE, OriginalScan, pieces, raw_heads, without_return_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gatewayd.api.forwarder import Parcel
    from gatewayd.message.values import Source

__all__ = [
    "Written",
    "as_it_is",
    "base64_lines",
    "boundary_of",
    "forward_subject",
    "forward_text",
    "forwarded",
    "required",
    "text_part",
]

_LINE = 57
_FIELD = re.compile(rb"[!-9;-~]{1,256}[ \t]*:")
#: A repeated forward has a counter after the person's name; recipients need not see it.
_AGAIN = re.compile(r" \([0-9]+\)\Z")
_HOP = re.compile(r"[!-9;-~]+: [\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Written:
    """A message ready for SMTP: all lines end with CRLF, no line is over 998 bytes, and there are no NULs."""

    #: In bytes, as SIZE counts them (RFC 1870 section 3).
    size: int
    #: It has bytes over 127, so only a server that offers 8BITMIME takes it (RFC 6152).
    eight_bit: bool
    #: Our bytes before the original and behind it.
    _head: bytes = field(repr=False)
    _tail: bytes = field(repr=False)
    _original: Source = field(repr=False)
    _base64: bool
    #: Where the original's bytes begin that are sent.
    _start: int = 0

    def pieces(self) -> Iterator[bytes]:
        """Yield the message in pieces of some 100 KB; can be called again. Raises what the source raises."""
        original = pieces(self._original, self._start)
        yield from chain((self._head,), map(base64_lines, original) if self._base64 else original, (self._tail,))


def forwarded(parcel: Parcel, *, eight_bit: bool, smtputf8: bool = False, as_file: bool = False) -> Written:
    """Return a parcel as it goes over the wire, the same for the same parcel.

    ``eight_bit`` and ``smtputf8``: whether the server offers 8BITMIME and SMTPUTF8. The original is read once in pieces before. If
    SMTP can't carry it, or a server would rewrite it, the mode ``attached`` sends it as base64; the other modes, which send the
    bytes as they are, raise PermanentError with the reason. ``as_file``: the mode ``attached`` sends any original as base64, for a
    server that would make a message/rfc822 anew.
    """
    sender, boundary = required(parcel.sender), boundary_of(parcel.message_id)
    seen = OriginalScan.of(parcel.source, boundary.encode())
    if parcel.mode == "attached":
        # What would divide our own message is sent as a file.
        seen.divided |= as_file
        return _attached(parcel, sender, boundary, seen, eight_bit=eight_bit, smtputf8=smtputf8)
    if reason := seen.why_not(eight_bit=eight_bit) or ("" if seen.ended else "its last line is not ended"):
        raise PermanentError(f"the original can't be sent as it is: {reason}", advice="`mode: attached` carries any mail.")
    if parcel.mode == "as is":
        return _written(b"", parcel.source, b"", eight_bit=seen.eight_bit)
    if not _FIELD.match(parcel.source.read(0, 300)):
        advice = "`mode: attached` carries any mail."
        raise PermanentError("the original can't be resent: it does not begin with a header", advice=advice)
    head, start = without_return_path(parcel.source)
    head = _lines(_resent(parcel, sender)) + head
    return Written(len(head) + parcel.source.size - start, seen.eight_bit, head, b"", parcel.source, _base64=False, _start=start)


def as_it_is(message: Source) -> Written:
    """Return a message of ours that is ASCII and has its lines as SMTP wants them."""
    return _written(b"", message, b"", eight_bit=False)


def _written(head: bytes, original: Source, tail: bytes, *, eight_bit: bool, base64: bool = False) -> Written:
    size = original.size
    if base64:
        size = 4 * -(-size // 3) + len("\r\n") * -(-size // _LINE)
    return Written(len(head) + size + len(tail), eight_bit, head, tail, original, base64)


# --- headers of ours --------------------------------------------------------------------------------------------------


def _lines(fields: Iterable[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in fields).encode("ascii")


def _resent(parcel: Parcel, sender: Address) -> Iterator[str]:
    """Yield the lines before an original that goes on as it is (RFC 5322 section 3.6.6)."""
    yield header_writing.addressed("Resent-From", [sender])
    yield header_writing.addressed("Resent-To", [Address(name="", email=email) for email in parcel.addressed])
    yield f"Resent-Date: {format_datetime(parcel.entered_at)}"
    yield f"Resent-Message-ID: {parcel.message_id}"
    yield from _hops(parcel)


def _heading(parcel: Parcel, sender: Address) -> Iterator[str]:
    """Yield the header lines of a new message of ours, all but those of its body."""
    yield header_writing.addressed("From", [sender])
    yield header_writing.addressed("To", [Address(name="", email=email) for email in parcel.addressed])
    yield header_writing.text("Subject", forward_subject(parcel))
    yield f"Date: {format_datetime(parcel.entered_at)}"
    yield f"Message-ID: {parcel.message_id}"
    # A relay may replace the line above.
    yield f"References: {reference(parcel.message_id)}"
    if parcel.cause.startswith("rule"):
        # RFC 3834 section 5. Exchange heeds the line below in its place.
        yield "Auto-Submitted: auto-generated"
    yield "X-Auto-Response-Suppress: All"
    yield from _hops(parcel)
    yield "MIME-Version: 1.0"


def _hops(parcel: Parcel) -> Iterator[str]:
    """Yield the hop lines, without those of the original that could be more than one line."""
    return (hop for hop in parcel.hops if len(hop) <= LONGEST_LINE and _HOP.fullmatch(hop))


# --- attached ---------------------------------------------------------------------------------------------------------


def _attached(parcel: Parcel, sender: Address, boundary: str, seen: OriginalScan, *, eight_bit: bool, smtputf8: bool) -> Written:
    """Return a new message of ours with the original in it (RFC 2046 section 5.2.1).

    A message/rfc822 has no 8-bit headers: servers rewrite one that has. In UTF-8 it is a message/global (RFC 6532 section 3.7).
    """
    asis = not seen.divided and not seen.why_not(eight_bit=eight_bit)
    high = asis and seen.eight_bit
    eight_bit_heads = raw_heads(parcel.source) if high else set[str]()
    kind = "message/global" if eight_bit_heads else "message/rfc822"
    asis = asis and eight_bit_heads <= ({"utf-8"} if smtputf8 else set())
    high = high and asis
    original = [f"Content-Type: {kind}", f"Content-Transfer-Encoding: {'8bit' if high else '7bit'}"]
    if not asis:
        # A message/rfc822 may not be encoded.
        original = [
            'Content-Type: application/octet-stream; name="original.eml"',
            "Content-Transfer-Encoding: base64",
            'Content-Disposition: attachment; filename="original.eml"',
        ]
    head = [
        *_heading(parcel, sender),
        f'Content-Type: multipart/mixed; boundary="{boundary}"',
        f"Content-Transfer-Encoding: {'8bit' if high else '7bit'}",
        "",
        f"--{boundary}",
        *text_part(forward_text(parcel)),
        f"--{boundary}",
        *original,
        "",
    ]
    return _written(_lines(head), parcel.source, f"\r\n--{boundary}--\r\n".encode(), eight_bit=high, base64=not asis)


def forward_subject(parcel: Parcel) -> str:
    """Return the subject of the mode ``attached``."""
    return f"Fwd: {parcel.filing.subject}"


def forward_text(parcel: Parcel) -> str:
    """Return the text of the mode ``attached`` before the original: who forwarded it, and its main headers."""
    filing = parcel.filing
    lines = [
        f"Forwarded by {_AGAIN.sub('', parcel.cause.removeprefix('person:'))} of {filing.operator}.",
        "",
        f"From: {Address(name=filing.sender_name, email=filing.sender)}",
        f"To: {', '.join(filing.to)}",
        f"Subject: {filing.subject}",
        f"Received: {format_datetime(filing.received_at)}, account {filing.account}",
    ]
    return "".join(f"{clean(line)}\n" for line in lines)


# --- shared with other mail of ours -----------------------------------------------------------------------------------


def required(sender: Address | None) -> Address:
    """Return the sender; raises PermanentError if there is none."""
    if sender is None:
        raise PermanentError("there is nobody that it could be from", advice="Give the account a `from` in its `send:`.")
    return sender


def boundary_of(text: str) -> str:
    """Return the boundary of a multipart message of ours, the same for the same text."""
    return f"=_gw_{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def text_part(text: str) -> list[str]:
    """Return the lines of a text as the body of a message or part, with its Content headers."""
    body = encodestring(text.encode()).decode("ascii").splitlines()
    return ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "", *body]


def base64_lines(data: bytes) -> bytes:
    """Return bytes as base64 in lines (RFC 2045 section 6.8)."""
    return encodebytes(data).replace(b"\n", b"\r\n")
