"""A forward as it goes out: the original's bytes as they are, and what stands around or before them (promise P5)."""

from __future__ import annotations

import hashlib
import re
from base64 import encodebytes
from dataclasses import dataclass, field
from email.utils import format_datetime
from itertools import chain
from quopri import encodestring
from typing import TYPE_CHECKING

from gatewayd import heading
from gatewayd.decode import clean
from gatewayd.errors import PermanentError
from gatewayd.model import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gatewayd.forwarder import Parcel
    from gatewayd.model import Source

__all__ = ["Written", "forwarded"]

#: Read at once. A line of base64 stands for 57 bytes: only the last piece may end within one.
_LINE = 57
_PIECE = _LINE * 4096
#: Without its CRLF (RFC 5321 section 4.5.3.1.6).
_LONGEST_LINE = 998
_FIELD = re.compile(rb"[!-9;-~]{1,256}[ \t]*:")
#: Behind a person who forwards a mail again stands the how-manieth time it is: no matter of its receiver's.
_AGAIN = re.compile(r" \([0-9]+\)\Z")
_HOP = re.compile(r"[!-9;-~]+: [\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Written:
    """A message ready for SMTP: lines end with CRLF, none is over 998 bytes, the last one is ended, and there are no NULs."""

    #: In bytes, as SIZE counts them (RFC 1870 section 3).
    size: int
    #: It has bytes over 127: only for a server that offers 8BITMIME (RFC 6152).
    eight_bit: bool
    #: What stands before the original and behind it.
    _head: bytes = field(repr=False)
    _tail: bytes = field(repr=False)
    _original: Source = field(repr=False)
    _base64: bool

    def pieces(self) -> Iterator[bytes]:
        """Yield it in pieces of some 100 KB, as often as it is asked for; raises what the source raises."""
        original = _pieces(self._original)
        yield from chain((self._head,), map(_encoded, original) if self._base64 else original, (self._tail,))


def forwarded(parcel: Parcel, *, eight_bit: bool) -> Written:
    """Return what a parcel looks like on the wire, the same for the same parcel; ``eight_bit``: the server offers 8BITMIME.

    The original is read once, in pieces, to see what it is made of. What SMTP can't carry goes as base64 where the mode is
    ``attached``. Raises PermanentError with the reason where the mode wants the bytes as they are and they can't be.
    """
    sender = parcel.sender
    if sender is None:
        raise PermanentError("there is nobody that it could be from", advice="Give the account a `from` in its `send:`.")
    boundary = f"=_gw_{hashlib.sha256(parcel.message_id.encode()).hexdigest()[:40]}"
    seen = _Seen.of(parcel.source, boundary.encode())
    if parcel.mode == "attached":
        return _attached(parcel, sender, boundary, seen, eight_bit=eight_bit)
    if reason := seen.why_not(eight_bit=eight_bit) or ("" if seen.ended else "its last line is not ended"):
        raise PermanentError(f"the original can't be sent as it is: {reason}", advice="`mode: attached` carries any mail.")
    if parcel.mode == "as is":
        return _written(b"", parcel.source, b"", eight_bit=seen.eight_bit)
    if not _FIELD.match(parcel.source.read(0, 300)):
        advice = "`mode: attached` carries any mail."
        raise PermanentError("the original can't be resent: it does not begin with a header", advice=advice)
    return _written(_lines(_resent(parcel, sender)), parcel.source, b"", eight_bit=seen.eight_bit)


def _written(head: bytes, original: Source, tail: bytes, *, eight_bit: bool, base64: bool = False) -> Written:
    size = original.size
    if base64:
        size = 4 * -(-size // 3) + len("\r\n") * -(-size // _LINE)
    return Written(len(head) + size + len(tail), eight_bit, head, tail, original, base64)


# --- what an original is made of --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Seen:
    """What was seen of an original's bytes."""

    nul: bool = False
    #: A CR or LF that is no part of a CRLF.
    bare: bool = False
    long: bool = False
    eight_bit: bool = False
    #: It holds the line by which ours would be divided.
    divided: bool = False
    ended: bool = False

    @classmethod
    def of(cls, source: Source, boundary: bytes) -> _Seen:
        """Read a source once."""
        seen, line, before, lone = cls(), 0, b"", 0
        for piece in _pieces(source):
            seen.nul |= b"\0" in piece
            seen.eight_bit |= not piece.isascii()
            seen.divided |= boundary in before + piece
            # A CRLF over the border of two pieces is counted with its LF: the CR before it is alone until then.
            crlf = piece.count(b"\r\n") + (before[-1:] == b"\r" and piece[:1] == b"\n")
            lone += piece.count(b"\r") - crlf
            seen.bare |= piece.count(b"\n") != crlf
            first, *others = map(len, piece.split(b"\n"))
            line = max(line + first, *others[:-1], 0) if others else line + first
            seen.long |= line > _LONGEST_LINE + len(b"\r")
            line = others[-1] if others else line
            before = (before + piece)[-len(boundary) :]
        seen.bare |= lone != 0
        seen.long |= line > _LONGEST_LINE
        seen.ended = before.endswith(b"\r\n")
        return seen

    def why_not(self, *, eight_bit: bool) -> str:
        """Return why SMTP can't carry it; empty where it can."""
        if self.nul:
            return "it has NULs"
        if self.bare:
            return "it has a CR or LF that is no part of a line end"
        if self.long:
            return f"it has a line of more than {_LONGEST_LINE} bytes"
        return "it has 8-bit bytes, and the server does not offer 8BITMIME" if self.eight_bit and not eight_bit else ""


def _pieces(source: Source) -> Iterator[bytes]:
    for offset in range(0, source.size, _PIECE):
        yield source.read(offset, min(_PIECE, source.size - offset))


# --- headers of ours --------------------------------------------------------------------------------------------------


def _lines(fields: Iterable[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in fields).encode("ascii")


def _resent(parcel: Parcel, sender: Address) -> Iterator[str]:
    """Yield the lines before an original that goes on as it is (RFC 5322 section 3.6.6)."""
    yield heading.addressed("Resent-From", [sender])
    yield heading.addressed("Resent-To", [Address(name="", email=email) for email in parcel.addressed])
    yield f"Resent-Date: {format_datetime(parcel.entered_at)}"
    yield f"Resent-Message-ID: {parcel.message_id}"
    yield from _hops(parcel)


def _heading(parcel: Parcel, sender: Address) -> Iterator[str]:
    """Yield the header lines of a new message of ours, but for what says how its body is built."""
    yield heading.addressed("From", [sender])
    yield heading.addressed("To", [Address(name="", email=email) for email in parcel.addressed])
    yield heading.text("Subject", f"Fwd: {parcel.filing.subject}")
    yield f"Date: {format_datetime(parcel.entered_at)}"
    yield f"Message-ID: {parcel.message_id}"
    if parcel.cause.startswith("rule"):
        # RFC 3834 section 5; the other is what Exchange asks for.
        yield "Auto-Submitted: auto-generated"
    yield "X-Auto-Response-Suppress: All"
    yield from _hops(parcel)
    yield "MIME-Version: 1.0"


def _hops(parcel: Parcel) -> Iterator[str]:
    """Yield the hop lines; one that came with the mail and could be more than one line is left out."""
    return (hop for hop in parcel.hops if len(hop) <= _LONGEST_LINE and _HOP.fullmatch(hop))


# --- attached ---------------------------------------------------------------------------------------------------------


def _attached(parcel: Parcel, sender: Address, boundary: str, seen: _Seen, *, eight_bit: bool) -> Written:
    """Return a new message of ours with the original in it (RFC 2046 section 5.2.1)."""
    asis = not seen.divided and not seen.why_not(eight_bit=eight_bit)
    high = asis and seen.eight_bit
    original = ["Content-Type: message/rfc822", f"Content-Transfer-Encoding: {'8bit' if high else '7bit'}"]
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
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        *encodestring(_said(parcel).encode()).decode("ascii").splitlines(),
        f"--{boundary}",
        *original,
        "",
    ]
    return _written(_lines(head), parcel.source, f"\r\n--{boundary}--\r\n".encode(), eight_bit=high, base64=not asis)


def _said(parcel: Parcel) -> str:
    """Return the text before the original: who forwarded what, and because of what."""
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


def _encoded(piece: bytes) -> bytes:
    return encodebytes(piece).replace(b"\n", b"\r\n")
