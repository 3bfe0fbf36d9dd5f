"""Bytes to text and encoded bytes to bytes, leniently: nothing here ever raises, whatever the bytes are."""

from __future__ import annotations

import binascii
import re
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["clean", "codec", "header_text", "parameter", "parameters", "to_text", "transfer_decoded"]

# --- charsets ---------------------------------------------------------------------------------------------------------

#: Names that mail uses for more than they say, as the WHATWG Encoding standard (section 4.2) reads them, and common slips.
_MEANT = {
    "ascii": "utf-8",
    "latin_1": "cp1252",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "tis_620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "iso2022_jp": "iso2022_jp_2",
    "big5": "big5hkscs",
    "windows_874": "cp874",
    "dos_874": "cp874",
    "iso_8859_8_i": "iso8859_8",
    "iso_8859_8_e": "iso8859_8",
    "ks_c_5601_1987": "cp949",
    "ks_c_5601_1989": "cp949",
    "ksc5601": "cp949",
    "ksc_5601": "cp949",
    "windows_949": "cp949",
    "korean": "cp949",
    "x_gbk": "gb18030",
    "gb_2312_80": "gb18030",
    "x_sjis": "cp932",
    "windows_31j": "cp932",
    "x_euc_jp": "euc_jp",
    "x_x_big5": "big5hkscs",
    "cn_big5": "big5hkscs",
    "big5_hkscs": "big5hkscs",
    "x_mac_cyrillic": "mac_cyrillic",
    "x_mac_ukrainian": "mac_cyrillic",
    "x_mac_roman": "mac_roman",
    "macintosh": "mac_roman",
    "koi": "koi8_r",
    "koi8": "koi8_r",
    "koi8_ru": "koi8_u",
    "unicode_1_1_utf_8": "utf-8",
    "unicode11utf8": "utf-8",
    "unicode20utf8": "utf-8",
    "x_unicode20utf8": "utf-8",
    "uft_8": "utf-8",
    "utf": "utf-8",
    "utf_8_sig": "utf-8",
    "x_user_defined": "cp1252",
}

# Some codecs of the standard library are no charsets (rot13, zlib), and some take quadratic time (idna, punycode).
_CHARSET = re.compile(r"(?:cp|iso|mac_|koi8_|utf_|big5|euc_|gb|hz|johab|shift_jis|tis_|kz1048|ptcp154|hp_roman8|latin_1|ascii)")
_CODECS = frozenset(_MEANT.values()) | {name for name in aliases.values() if _CHARSET.match(name)} | {"cp720", "cp874", "koi8_u"}

_CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), " ")
_UNSTORABLE = {0: "\ufffd"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_IN_TEXT = _UNSTORABLE
_IN_LINE = _CONTROLS | _UNSTORABLE


@lru_cache(maxsize=512)
def codec(charset: str) -> str | None:
    """Return the name of Python's codec for a charset as mail names it; None for one that is not known."""
    if not charset.isascii() or len(charset) > 64:  # noqa: PLR2004  no charset's name is longer
        return None
    name = normalize_encoding(charset.strip(" \t\"'").partition("*")[0].lower().replace(":", "_"))
    for spelt in (name, name.replace("_", "")):
        found = aliases.get(spelt, spelt)
        found = _MEANT.get(spelt) or _MEANT.get(found) or found
        if found in _CODECS:
            return found
    return None


def to_text(data: bytes, charset: str = "") -> str:
    """Return ``data`` as text: by its charset, else as UTF-8, else as the charset or cp1252 with U+FFFD for what does not fit."""
    named = codec(charset) if charset else None
    for name in (named, "utf-8"):
        if name:
            try:
                return data.decode(name)
            except UnicodeError:
                pass
    # A multi-byte text with a few broken bytes is still that text; one that mostly fails was never of that charset.
    text = data.decode(named or "utf-8", "replace")
    broken = text.count("\ufffd")
    if named is None or broken * 2 > len(text) - len(text.encode("ascii", "ignore")):
        return data.decode("cp1252", "replace")
    return text


def clean(text: str, *, line: bool = True) -> str:
    """Return ``text`` as databases and JSON can keep it: U+FFFD for NULs and lone surrogates; ``line``: no controls either."""
    if text.isprintable():
        return text
    return text.translate(_IN_LINE if line else _IN_TEXT)


# --- header values ----------------------------------------------------------------------------------------------------

_WORD = re.compile(r"=\?([^?\s]{1,75})\?([bBqQ])\?(.*?)\?=", re.DOTALL)
_PARAMETER = re.compile(r';\s*+([^\s=;"]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^;]*))', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SECTIONS = 100


def header_text(raw: str) -> str:
    """Return a header value for people: ``raw`` holds its bytes as latin-1; encoded words (RFC 2047) and 8-bit text are decoded."""
    text = raw if raw.isascii() else to_text(raw.encode("latin-1", "replace"))
    if "=?" in text:
        text = _decoded_words(text)
    return clean(text)


def _decoded_words(text: str) -> str:
    # Behind the last "?=" no word can end: without this cut, hostile beginnings would each look for one to the end.
    last = text.rfind("?=") + 2
    out: list[str] = []
    pending, charset, end = b"", "", 0
    for match in _WORD.finditer(text, 0, last):
        between = text[end : match.start()]
        if pending and (between.strip() or match[1].lower() != charset):
            # Neighbours of one charset are joined before decoding: some mailers split inside a character.
            out.append(to_text(pending, charset))
            pending = b""
        if between.strip() or not end:
            out.append(between)
        charset, end = match[1].lower(), match.end()
        pending += _word(match[2], match[3])
    return "".join((*out, to_text(pending, charset), text[end:])) if end else text


def _word(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(data, header=True)
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        return b"".join(_base64([data]))


def parameters(raw: str) -> dict[str, str]:
    """Return the parameters of a Content-Type or Content-Disposition value, names in lower case, values as they stand."""
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(raw):
        value = match[3].strip(' \t"') if match[2] is None else _ESCAPED.sub(r"\1", match[2])
        found.setdefault(match[1].lower(), value)
    return found


def parameter(found: Mapping[str, str], name: str) -> str:
    """Return one parameter as text: whole, in sections, with a charset (RFC 2231), or with encoded words; else ""."""
    data, charset, extended = b"", "", False
    for key, first in _sections(found, name):
        value = found[key].encode("latin-1", "replace")
        if key.endswith("*"):
            extended = True
            if first and value.count(b"'") > 1:
                label, _, value = value.split(b"'", 2)
                charset = label.decode("latin-1")
            value = _percent(value)
        data += value
    if extended:
        return clean(to_text(data, charset))
    return header_text(data.decode("latin-1") or found.get(name, ""))


def _sections(found: Mapping[str, str], name: str) -> Iterator[tuple[str, bool]]:
    if f"{name}*" in found:
        yield f"{name}*", True
        return
    for number in range(_SECTIONS):
        key = f"{name}*{number}"
        key = key if key in found else key + "*"
        if key not in found:
            return
        yield key, number == 0


def _percent(data: bytes) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes.fromhex(match[1].decode()), data)


# --- transfer encodings (RFC 2045 section 6) --------------------------------------------------------------------------

_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_LINE = 1024


def transfer_decoded(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the decoded bytes of an encoded stream, piece by piece; what is no known encoding is passed on as it is."""
    if encoding == "base64":
        return _base64(pieces)
    if encoding == "quoted-printable":
        return _quoted_printable(pieces)
    if encoding in {"x-uuencode", "uuencode", "x-uue", "uue"}:
        return _uuencode(pieces)
    return iter(pieces)


def _base64(pieces: Iterable[bytes]) -> Iterator[bytes]:
    left = b""
    for piece in pieces:
        data = left + piece.translate(None, _NOT_BASE64)
        padding = data.find(b"=")
        if padding >= 0:
            # RFC 2045 section 6.8: a "=" can only be the end of the data.
            left = data[:padding]
            break
        whole = len(data) - len(data) % 4
        left = data[whole:]
        if whole:
            yield binascii.a2b_base64(data[:whole])
    rest = len(left) % 4
    left = left[:-1] if rest == 1 else left + b"=" * (-rest % 4)
    if left:
        yield binascii.a2b_base64(left)


def _quoted_printable(pieces: Iterable[bytes]) -> Iterator[bytes]:
    left = b""
    for piece in pieces:
        data = left + piece
        cut = data.rfind(b"\n") + 1
        if len(data) - cut > _LINE:
            # A line without end is cut where no "=XX" or soft line break can be split.
            escape = data.find(b"=", len(data) - 2)
            cut = escape if escape >= 0 else len(data)
        left = data[cut:]
        if cut:
            yield binascii.a2b_qp(data[:cut])
    if left:
        yield binascii.a2b_qp(left)


def _uuencode(pieces: Iterable[bytes]) -> Iterator[bytes]:
    left, inside = b"", False
    for piece in (*pieces, b"\n"):
        *lines, left = (left + piece).split(b"\n")
        left = left[:_LINE]
        out = []
        for line in lines:
            inside = (inside or line.startswith(b"begin ")) and line.rstrip() != b"end"
            out.append(_uu_line(line) if inside and not line.startswith(b"begin ") else b"")
        yield b"".join(out)


def _uu_line(line: bytes) -> bytes:
    line = line.rstrip(b"\r")
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        # Some encoders leave a wrong count of trailing characters: take as many as the line's first one promises.
        promised = (((line[0] - 32) & 63) * 4 + 5) // 3
        try:
            return binascii.a2b_uu(line[:promised])
        except binascii.Error:
            return b""
