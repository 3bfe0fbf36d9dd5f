"""Find and decode files within the text of a mail, as sent before MIME: uuencode and ``uuencode -m`` (POSIX)."""

from __future__ import annotations

import binascii
import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Embedded", "embedded", "uudecoded"]

_LINE = 1024
#: At most this many files are taken out of one text (promise P8).
_MAX_FILES = 100
_BEGIN = re.compile(rb"begin(?P<base64>-base64)? +[0-7]{3,4} +(?P<name>[^\r\n]{1,255}?)[ \t]*(?:\r\n|\n|\r)")
_END = {False: re.compile(rb"end[ \t]*(?:\r\n|\n|\r|\Z)"), True: re.compile(rb"====[ \t]*(?:\r\n|\n|\r|\Z)")}
_ROW = {
    False: re.compile(rb"[ -`]{1,90}(?:\r\n|\n|\r|\Z)|(?:\r\n|\n|\r)"),
    True: re.compile(rb"[A-Za-z0-9+/]{1,76}={0,2}[ \t]*(?:\r\n|\n|\r|\Z)"),
}


class Embedded(NamedTuple):
    """A file within a text."""

    #: Where the file begins and ends, its first and last line included.
    start: int
    end: int
    #: Where its encoded data begins and ends.
    data: tuple[int, int]
    name: bytes
    encoding: str


def embedded(text: bytes) -> list[Embedded]:
    """Return the files within a text, in their order. Anything without a valid first and last line is text."""
    found: list[Embedded] = []
    at = 0
    while len(found) < _MAX_FILES and (at := text.find(b"begin", at)) >= 0:
        begin = _BEGIN.match(text, at) if text[at - 1 : at] in {b"\n", b"\r", b""} else None
        one = _file(text, begin) if begin else None
        if one:
            found.append(one)
        at = one.end if one else at + len(b"begin")
    return found


def _file(text: bytes, begin: re.Match[bytes]) -> Embedded | None:
    base64 = begin["base64"] is not None
    at = begin.end()
    rows = 0
    while (row := _ROW[base64].match(text, at)) and row.end() > at and (base64 or _is_row(row[0].rstrip(b"\r\n"))):
        rows += 1
        at = row.end()
    end = _END[base64].match(text, at)
    if not rows or end is None:
        return None
    if base64:
        return Embedded(begin.start(), end.end(), (begin.end(), at), begin["name"], "base64")
    return Embedded(begin.start(), end.end(), (begin.start(), end.end()), begin["name"], "x-uuencode")


def _is_row(line: bytes) -> bool:
    """Whether a line can be uuencoded: it is no longer than its first character says.

    It may be shorter, since relays remove spaces at the end of a line.
    """
    count = (line[0] - 32) & 63 if line else 0
    # Some encoders add a character or two as a check.
    return len(line) - 1 <= (count + 2) // 3 * 4 + 2


def uudecoded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of uuencoded lines, piece by piece; lines before ``begin`` and after ``end`` are skipped."""
    left, inside = b"", False
    for piece in chain(pieces, (b"\n",)):
        *lines, left = (left + piece).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        left = left[:_LINE]
        out = []
        for line in lines:
            inside = (inside or line.startswith(b"begin ")) and line.rstrip() != b"end"
            out.append(_row(line) if inside and not line.startswith(b"begin ") else b"")
        yield b"".join(out)


def _row(line: bytes) -> bytes:
    if not line:
        return b""
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        # Some encoders append characters: take as many as the first one announces.
        promised = (((line[0] - 32) & 63) * 4 + 5) // 3
        try:
            return binascii.a2b_uu(line[:promised])
        except binascii.Error:
            return b""
