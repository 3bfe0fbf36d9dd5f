"""Decode base64, quoted-printable (RFC 2045 section 6) and uuencode leniently, piece by piece. Never raises."""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING

from gatewayd.message.lexing import end_of_run
from gatewayd.message.uuencode import uudecoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["BASE64", "transfer_decoded"]

BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(BASE64 + b"="))
_RUNS = re.compile(rb"=++|[^=]++")
#: How many bytes after a padding are examined to decide whether more base64 follows.
_LOOKED = 1024
#: A surplus "=" is skipped like white space, so that the result does not depend on where the pieces are cut.
_BEHIND_PADDING = re.compile(rb"[= \t\r\n]*+")
_LINES = re.compile(rb"[A-Za-z0-9+/=\r\n]*+(?:[ \t]++(?=[\r\n]|\Z))?")
_LINE = 1024


def transfer_decoded(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the decoded bytes of an encoded stream, piece by piece; with an unknown ``encoding`` they pass unchanged."""
    if encoding == "base64":
        return _base64(pieces)
    if encoding == "quoted-printable":
        return _quoted_printable(pieces)
    if encoding in {"x-uuencode", "uuencode", "x-uue", "uue"}:
        return uudecoded(pieces)
    return iter(pieces)


def _base64(pieces: Iterable[bytes]) -> Iterator[bytes]:
    decoder = _Base64()
    for piece in pieces:
        yield from decoder.read(piece)
        if decoder.ended:
            return
    yield from decoder.end()


class _Base64:
    """Decodes base64 piece by piece; the result does not depend on where the pieces are cut.

    A complete padding ends the data (RFC 2045 section 6.8). But some software encodes a file in several runs and joins them. So
    if only lines of base64 follow a padding, they are decoded, too. A "=" anywhere else is ignored.
    """

    def __init__(self) -> None:
        self.ended = False
        self._quad = b""
        self._pads = 0
        #: The bytes after a padding that are still too few to decide whether they are base64.
        self._held: bytes | None = None
        #: The data being decoded is known to be base64 up to here.
        self._known = 0

    def read(self, piece: bytes, *, last: bool = False) -> Iterator[bytes]:
        """Yield the bytes that can be decoded so far; ``last``: no more pieces follow."""
        data, self._known = piece if self._held is None else self._held + piece, 0
        if self._held is not None:
            self._held = None
            if not self._goes_on(data, 0, last=last):
                return
        for run in _RUNS.finditer(data):
            if run[0].startswith(b"="):
                self._pads += len(run[0])
                if len(self._quad) < 2 or len(self._quad) + self._pads < 4:  # noqa: PLR2004
                    continue
                yield self._whole()
                if not self._goes_on(data, run.end(), last=last):
                    return
            elif found := run[0].translate(None, _NOT_BASE64):
                found = self._quad + found
                whole = len(found) - len(found) % 4
                self._quad, self._pads = found[whole:], 0
                yield binascii.a2b_base64(found[:whole])

    def end(self) -> Iterator[bytes]:
        """Yield the remaining bytes after the last piece."""
        if self._held is not None:
            yield from self.read(b"", last=True)
        # A single character is less than a byte.
        if len(self._quad) > 1:
            yield self._whole()

    def _goes_on(self, data: bytes, at: int, *, last: bool) -> bool:
        """Whether base64 continues after a padding at ``at``. If not, the data has ended, or is held until more of it is known."""
        if at + _LOOKED <= self._known:
            return True
        at = end_of_run(_BEHIND_PADDING, data, at)
        end = end_of_run(_LINES, data, at)
        quads = len(data[at:end].translate(None, _NOT_BASE64)) % 4 == 0
        if end - at >= _LOOKED or (last and end == len(data) and quads):
            self._known = end
            return True
        self.ended = last or end < len(data)
        self._held = None if self.ended else data[at:]
        return False

    def _whole(self) -> bytes:
        quad, self._quad, self._pads = self._quad, b"", 0
        return binascii.a2b_base64(quad + b"=" * (4 - len(quad)))


# A soft line break followed by white space, or before a line end that is a single CR.
_SOFT = re.compile(rb"=(?:[ \t]++(?:\r\n?|\n|\Z)|\r(?!\n))")


def _quoted_printable(pieces: Iterable[bytes]) -> Iterator[bytes]:
    left = b""
    for piece in pieces:
        data = left + piece
        cut = data.rfind(b"\n") + 1
        if len(data) - cut > _LINE:
            cut = _unbroken(data, cut)
        left = data[cut:]
        if cut:
            yield _unquoted(data[:cut])
    if left:
        yield _unquoted(left)


def _unbroken(data: bytes, cut: int) -> int:
    """Return where a very long line can be cut without splitting an "=XX" or a soft line break."""
    end = len(data.rstrip(b" \t\r"))
    escape = data.find(b"=", max(cut, end - 2))
    end = escape if escape >= 0 else end
    # A line of white space alone is no soft line break.
    return end if end > cut or len(data) - cut < 2 * _LINE else len(data)


def _unquoted(data: bytes) -> bytes:
    if b"= " in data or b"=\t" in data or data.count(b"\r") != data.count(b"\r\n"):
        # The standard library only knows soft line breaks that end with LF.
        data = _SOFT.sub(b"=\n", data)
    return binascii.a2b_qp(data)
