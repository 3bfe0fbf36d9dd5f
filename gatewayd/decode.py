"""Encoded bytes to bytes, leniently (RFC 2045 section 6), and what is read of text. Nothing here ever raises."""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING

from gatewayd.message.charsets import clean, codec, to_text
from gatewayd.message.parameters import parameter
from gatewayd.message.uuencode import uudecoded
from gatewayd.message.words import header_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["BASE64", "clean", "codec", "header_text", "parameter", "to_text", "transfer_decoded"]

BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(BASE64 + b"="))
_RUNS = re.compile(rb"=++|[^=]++")
#: How many bytes behind a padding tell whether more base64 follows, and what these are then.
_LOOKED = 1024
_ONLY = re.compile(rb"[A-Za-z0-9+/=\r\n]*+")
_LINE = 1024


def transfer_decoded(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the decoded bytes of an encoded stream, piece by piece; what is no known encoding is passed on as it is."""
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
    """Decodes base64 piece by piece, wherever the pieces are cut.

    RFC 2045 section 6.8: a whole padding is the end of the data. But some software encodes a file in several runs and joins
    them. So if nothing but base64 stands behind the first padding, all of it is read. A "=" elsewhere means nothing.
    """

    def __init__(self) -> None:
        self.ended = False
        self._quad = b""
        self._pads = 0
        self._joined = False
        #: What stands behind the first padding, while it is not known whether it is base64.
        self._behind: bytes | None = None

    def read(self, piece: bytes) -> Iterator[bytes]:
        if self._behind is not None:
            yield from self._look(self._behind + piece)
            return
        for run in _RUNS.finditer(piece):
            if run[0].startswith(b"="):
                self._pads += len(run[0])
                if len(self._quad) < 2 or len(self._quad) + self._pads < 4:  # noqa: PLR2004
                    continue
                yield self._whole()
                if not self._joined:
                    yield from self._look(piece[run.end() :])
                    return
            elif data := run[0].translate(None, _NOT_BASE64):
                data = self._quad + data
                whole = len(data) - len(data) % 4
                self._quad, self._pads = data[whole:], 0
                yield binascii.a2b_base64(data[:whole])

    def end(self) -> Iterator[bytes]:
        """Yield what is left when nothing more comes."""
        if self._behind is not None:
            yield from self._look(self._behind, last=True)
        # A single character holds no whole byte.
        if len(self._quad) > 1:
            yield self._whole()

    def _look(self, behind: bytes, *, last: bool = False) -> Iterator[bytes]:
        self._behind = behind = behind.lstrip(b"\r\n")
        if len(behind) < _LOOKED and not last:
            return
        self._behind = None
        self._joined = _ONLY.fullmatch(behind, 0, _LOOKED) is not None
        self.ended = not self._joined
        if self._joined:
            yield from self.read(behind)

    def _whole(self) -> bytes:
        quad, self._quad, self._pads = self._quad, b"", 0
        return binascii.a2b_base64(quad + b"=" * (4 - len(quad)))


# A soft line break with blanks behind it, or before a line end that is a CR alone.
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
    """Return where a line without end can be cut: no "=XX" and no soft line break is split."""
    end = len(data.rstrip(b" \t\r"))
    escape = data.find(b"=", max(cut, end - 2))
    end = escape if escape >= 0 else end
    # A line that is nothing but blanks is no soft line break.
    return end if end > cut or len(data) - cut < 2 * _LINE else len(data)


def _unquoted(data: bytes) -> bytes:
    if b"= " in data or b"=\t" in data or data.count(b"\r") != data.count(b"\r\n"):
        # The standard library knows only soft line breaks that end with LF.
        data = _SOFT.sub(b"=\n", data)
    return binascii.a2b_qp(data)
