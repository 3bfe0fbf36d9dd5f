"""Scan the original of a forward: whether SMTP can carry it, and whether a server would rewrite some of its lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.message.values import Source

__all__ = ["LONGEST_LINE", "OriginalScan", "pieces", "raw_heads", "without_return_path"]

#: Bytes that are read at once: a multiple of the 57 bytes of a base64 line, so that only the last piece ends within a line.
_PIECE = 57 * 4096
#: Without its CRLF (RFC 5321 section 4.5.3.1.6).
LONGEST_LINE = 998
_MESSAGE = re.compile(rb"message/(?:rfc822|global)\b", re.IGNORECASE)
_BOUNDARY = re.compile(rb'boundary[ \t]*=[ \t]*"?([^";\r\n]{1,200}+)', re.IGNORECASE)
_RETURN_PATH = re.compile(rb"^Return-Path[ \t]*:[^\r\n]*+\r\n(?:[ \t][^\r\n]*+\r\n)*", re.IGNORECASE | re.MULTILINE)
#: A longer header is sent on unchanged.
_LONGEST_HEAD = 1 << 20


@dataclass(slots=True)
class OriginalScan:
    """The properties of an original's bytes that matter to SMTP."""

    nul: bool = False
    #: A CR or LF that is no part of a CRLF.
    bare: bool = False
    long: bool = False
    eight_bit: bool = False
    #: It contains the boundary of our own message.
    divided: bool = False
    #: It ends with CRLF.
    ended: bool = False

    @classmethod
    def of(cls, source: Source, boundary: bytes) -> OriginalScan:
        """Read a source once."""
        seen, line, before, lone = cls(), 0, b"", 0
        for piece in pieces(source):
            seen.nul |= b"\0" in piece
            seen.eight_bit |= not piece.isascii()
            seen.divided |= boundary in before + piece
            # A CRLF over the border of two pieces is counted with its LF; until then its CR counts as lone.
            crlf = piece.count(b"\r\n") + (before[-1:] == b"\r" and piece[:1] == b"\n")
            lone += piece.count(b"\r") - crlf
            seen.bare |= piece.count(b"\n") != crlf
            first, *others = map(len, piece.split(b"\n"))
            line = max(line + first, *others[:-1], 0) if others else line + first
            seen.long |= line > LONGEST_LINE + len(b"\r")
            line = others[-1] if others else line
            before = (before + piece)[-len(boundary) :]
        seen.bare |= lone != 0
        seen.long |= line > LONGEST_LINE
        seen.ended = before.endswith(b"\r\n")
        return seen

    def why_not(self, *, eight_bit: bool) -> str:
        """Return why SMTP can't carry it; empty if it can."""
        if self.nul:
            return "it has NULs"
        if self.bare:
            return "it has a CR or LF that is no part of a line end"
        if self.long:
            return f"it has a line of more than {LONGEST_LINE} bytes"
        return "it has 8-bit bytes, and the server does not offer 8BITMIME" if self.eight_bit and not eight_bit else ""


def raw_heads(source: Source) -> set[str]:
    """Return the kinds of raw 8-bit bytes in headers of an original and its parts: ``utf-8``, ``other``, both or neither.

    The original's lines must end with CRLF and be no longer than SMTP allows.
    """
    found, boundaries = set[str](), set[bytes]()
    within, message = True, False
    for line in _lines(source):
        if within and not line:
            # The body of a message within a message begins with a header.
            within, message = message, False
        elif not within:
            within = line[:2] == b"--" and line[2:].rstrip() in boundaries
        else:
            message |= bool(_MESSAGE.search(line))
            boundaries.update(one[1] for one in _BOUNDARY.finditer(line))
            if not line.isascii():
                found.add("utf-8" if _is_utf_8(line) else "other")
    return found


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _lines(source: Source) -> Iterator[bytes]:
    rest = b""
    for piece in pieces(source):
        *lines, rest = (rest + piece).split(b"\r\n")
        yield from lines
    yield rest


def without_return_path(source: Source) -> tuple[bytes, int]:
    """Return an original's header without Return-Path, and where the rest of the original begins.

    The server that delivered the original wrote that field; whoever sends it on removes it (RFC 5321 section 4.4).
    """
    head = source.read(0, _LONGEST_HEAD)
    end = head.find(b"\r\n\r\n") + len(b"\r\n")
    if end < len(b"\r\n"):
        end = len(head) if source.size == len(head) else 0
    return _RETURN_PATH.sub(b"", head[:end]), end


def pieces(source: Source, start: int = 0) -> Iterator[bytes]:
    """Yield a source from ``start`` on in pieces of some 230 KB."""
    for offset in range(start, source.size, _PIECE):
        yield source.read(offset, min(_PIECE, source.size - offset))
