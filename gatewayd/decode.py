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
_PADDING = re.compile(rb"=+")
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
    left, ended = b"", False
    for piece in pieces:
        data = left + piece.translate(None, _NOT_BASE64)
        data, kept, ended = _unpadded(data) if b"=" in data else (data, b"", False)
        whole = len(data) - len(data) % 4
        left = data[whole:] + kept
        if whole:
            yield binascii.a2b_base64(data[:whole])
        if ended:
            break
    left = left.replace(b"=", b"")
    # A single last character holds no whole byte.
    if len(left) > 1:
        yield binascii.a2b_base64(left + b"=" * (4 - len(left)))


def _unpadded(data: bytes) -> tuple[bytes, bytes, bool]:
    """Return base64 without its "=", the half of a padding that stands at its end, and whether it ends there.

    RFC 2045 section 6.8: a whole padding is the end of the data. A "=" elsewhere means nothing, as to the standard library.
    """
    odd = place = 0
    for match in _PADDING.finditer(data):
        place = (match.start() - odd) % 4
        if place >= 2 and place + len(match[0]) >= 4:  # noqa: PLR2004
            return data[: match.start()].replace(b"=", b""), b"", True
        odd += len(match[0])
    half = place == 2 and data.endswith(b"=")  # noqa: PLR2004
    return data.replace(b"=", b""), b"=" if half else b"", False


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
