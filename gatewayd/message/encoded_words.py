"""Decode header values for people: encoded words (RFC 2047) and raw 8-bit text. Each character of a raw value is one byte."""

from __future__ import annotations

import binascii
import re

from gatewayd.message.charsets import codec, to_text
from gatewayd.message.control_characters import clean
from gatewayd.message.lexing import SPACE

__all__ = ["header_text"]

# Real encoded words contain characters that RFC 2047 forbids: spaces, question marks, 8-bit bytes.
_WORD = re.compile(r"=\?([^? \t\r\n\v\f]{1,75})\?([bBqQ])\?(.*?)\?=", re.DOTALL)
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


def header_text(raw: str) -> str:
    """Return a header value for people, with encoded words and 8-bit text decoded; ``raw`` has its bytes as latin-1."""
    text = _decoded_words(raw) if "=?" in raw else _unencoded(raw)
    return text if text.isprintable() else clean(text)


def _unencoded(raw: str) -> str:
    return raw if raw.isascii() and "\x1b" not in raw else to_text(raw.encode("latin-1", "replace"))


def _decoded_words(raw: str) -> str:
    # No word can end after the last "?=". Without this limit, each of many unfinished words would search to the end.
    last = raw.rfind("?=") + 2
    out: list[str] = []
    pending, charset, end = b"", "", 0
    for match in _WORD.finditer(raw, 0, last):
        label, encoding, data = match.groups()
        label = label.lower()
        between = raw[end : match.start()]
        apart = between.strip(SPACE) != ""
        if pending and (apart or (label != charset and codec(label) != codec(charset))):
            # Adjacent words of one charset are joined before decoding: some mailers split inside a character.
            out.append(to_text(pending, charset))
            pending = b""
        if apart or (between and not end):
            out.append(_unencoded(between))
        charset, end = label, match.end()
        pending += _word(encoding, data.encode("latin-1", "replace"))
    if not end:
        return _unencoded(raw)
    out.append(to_text(pending, charset))
    if end < len(raw):
        out.append(_unencoded(raw[end:]))
    return "".join(out)


def _word(encoding: str, data: bytes) -> bytes:
    if encoding in "qQ":
        return binascii.a2b_qp(data, header=True)
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        data = data.partition(b"=")[0].translate(None, _NOT_BASE64)
        # A single last character is less than a byte.
        data = data[: len(data) - (len(data) % 4 == 1)]
        return binascii.a2b_base64(data + b"=" * (-len(data) % 4))
