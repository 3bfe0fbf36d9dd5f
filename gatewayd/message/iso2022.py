"""Decode charsets that switch sets by escapes: ISO-2022 (RFC 1468, 1554, 1557, 1922), HZ (RFC 1843), and EUC-JP.

Python's codecs for them stop at the first error and lack the characters that Japanese systems added: NEC's row 13, half-width
katakana and IBM's extensions. Here every error is one U+FFFD, and the characters are those of the WHATWG Encoding Standard.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["escaped", "euc_jp", "hz", "iso_2022"]

#: Decodes the bytes of one segment, which contains no escape.
_Set: TypeAlias = "Callable[[bytes], str]"

_ERROR = "\ufffd"
_HIGH = 0x80
_FIRST, _LAST = 0x21, 0x7E
_GRAPHIC = range(_FIRST, _LAST + 1)

# --- sets of two bytes each -------------------------------------------------------------------------------------------

_PAIRS = re.compile(rb"(?P<pairs>(?:[\x21-\x7e]{2})+)|(?P<controls>[\x00-\x20\x7f]+)|(?P<broken>.)", re.DOTALL)


@lru_cache(maxsize=8)
def _table(codec: str, prefix: bytes) -> dict[int, str]:
    """Return the characters of a set of 94 x 94, by the number that two bytes form."""
    return {high << 8 | low: _decoded(codec, prefix, high, low) for high in _GRAPHIC for low in _GRAPHIC}


def _decoded(codec: str, prefix: bytes, high: int, low: int) -> str:
    if codec == "cp932":
        # Two rows of JIS X 0208 share a lead byte of Shift_JIS, the only codec of Python's with the additions.
        lead = (high - _FIRST >> 1) + (0x81 if high < 0x5F else 0xC1)  # noqa: PLR2004
        data = bytes((lead, low + (0x1F + (low > 0x5F) if high & 1 else 0x7E)))  # noqa: PLR2004
    else:
        data = prefix + bytes((high | _HIGH, low | _HIGH))
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return _ERROR


def _pairs_of(codec: str, prefix: bytes = b"") -> _Set:
    def decode(segment: bytes) -> str:
        out = []
        for match in _PAIRS.finditer(segment):
            if match.lastgroup == "pairs":
                # Each pair is one code unit, and no surrogate: one call translates all of them.
                out.append(match[0].decode("utf-16-be").translate(_table(codec, prefix)))
            else:
                out.append(match[0].decode("ascii") if match.lastgroup == "controls" else _ERROR)
        return "".join(out)

    return decode


# --- sets of one byte each --------------------------------------------------------------------------------------------

_KATAKANA = {code: chr(0xFF61 + code - _FIRST) for code in range(_FIRST, 0x60)} | dict.fromkeys(range(0x60, 0x7F), _ERROR)
_ROMAN = {0x5C: "\u00a5", 0x7E: "\u203e"}


def _ascii(segment: bytes) -> str:
    return segment.decode("ascii", "replace")


def _roman(segment: bytes) -> str:
    return _ascii(segment).translate(_ROMAN)


def _katakana(segment: bytes) -> str:
    return _ascii(segment).translate(_KATAKANA)


# --- ISO-2022 ---------------------------------------------------------------------------------------------------------

_JIS_0208, _GB_2312, _KS_C_5601 = _pairs_of("cp932"), _pairs_of("gb18030"), _pairs_of("cp949")
_JIS_0212 = _pairs_of("euc_jp", b"\x8f")
_JIS_0213, _JIS_0213_2 = _pairs_of("euc_jis_2004"), _pairs_of("euc_jis_2004", b"\x8f")
#: Python has no codec for it (ISO-2022-CN's CNS 11643).
_UNKNOWN = _pairs_of("ascii")

_ONE_BYTE = {b"I": _katakana, b"J": _roman, b"H": _roman}
_TWO_BYTES = {
    b"@": _JIS_0208,
    b"B": _JIS_0208,
    b"A": _GB_2312,
    b"C": _KS_C_5601,
    b"D": _JIS_0212,
    b"O": _JIS_0213,
    b"Q": _JIS_0213,
    b"P": _JIS_0213_2,
}
#: The sets that ISO-2022-JP-2 selects by single shifts.
_HALVES = {b"A": "iso8859_1", b"F": "iso8859_7"}

_STEP = re.compile(
    rb"\x1b(?:\$(?P<wide>[()*+]?[@-_])|(?P<narrow>[()][@-_])|\.(?P<half>[AF])|N(?P<single>[\x20-\x7f]))"
    rb"|(?P<shift>[\x0e\x0f])|(?P<end>\n)|(?P<text>[^\x1b\x0e\x0f\n]+)|(?P<stray>\x1b)"
)
_ESCAPED = re.compile(rb"\x1b(?:\$[@B]|\$[()][@-G]|\([IJ])")


def escaped(data: bytes) -> bool:
    """Whether ASCII bytes contain an escape to another set: then they are ISO-2022 text, whatever they are called."""
    return _ESCAPED.search(data) is not None


def iso_2022(data: bytes) -> str:
    """Decode ISO-2022-JP with its extensions, ISO-2022-KR or ISO-2022-CN: escapes select the set that follows."""
    out: list[str] = []
    narrow: _Set = _ascii
    # If no escape has selected a set for the shift, ISO-2022-JP means katakana.
    shifted: _Set = _katakana
    current, half = narrow, ""
    for match in _STEP.finditer(data):
        kind, text = match.lastgroup, match[match.lastgroup or 0]
        if kind == "text":
            out.append(current(text))
        elif kind == "end":
            # Each line begins in ASCII (RFC 1468, RFC 1557), so a missing escape spoils one line only.
            current, narrow = _ascii, _ascii
            out.append("\n")
        elif kind == "wide" and text[:1] in b")*+" and len(text) > 1:
            shifted = _TWO_BYTES.get(text[1:], _UNKNOWN) if text[:1] == b")" else shifted
        elif kind == "wide":
            current = narrow = _TWO_BYTES.get(text[-1:], _UNKNOWN)
        elif kind == "narrow" and text[:1] == b")":
            shifted = _ONE_BYTE.get(text[1:], _ascii)
        elif kind == "narrow":
            current = narrow = _ONE_BYTE.get(text[1:], _ascii)
        elif kind == "shift":
            current = shifted if text == b"\x0e" else narrow
        elif kind == "half":
            half = _HALVES[text]
        else:
            out.append(bytes((text[0] | _HIGH,)).decode(half, "replace") if kind == "single" and half else _ERROR)
    return "".join(out)


# --- its relatives ----------------------------------------------------------------------------------------------------

# A second byte may be a tilde, but a first byte is no brace: after half a pair, "~}" is still the end.
_HZ_CHINESE = re.compile(
    rb"(?P<pairs>(?:[\x21-\x77](?!~\})[\x21-\x7e])+)|(?P<end>~\}|\n)|(?P<text>[\x00-\x20]+?)|(?P<broken>.)", re.DOTALL
)
_HZ_ASCII = re.compile(rb"(?P<text>[^~]+)|(?P<begin>~\{)|(?P<tilde>~~)|(?P<joined>~\r?\n)|(?P<lone>~)")
# Python's own encoder sometimes writes a tilde that is not doubled, when its buffer is full.
_HZ_SAYS = {"tilde": "~", "lone": "~", "joined": "", "begin": "", "broken": _ERROR}


def hz(data: bytes) -> str:
    """Decode HZ: ``~{`` begins Chinese, ``~}`` ends it, and so does the end of a line."""
    out: list[str] = []
    step, at = _HZ_ASCII, 0
    while match := step.match(data, at):
        kind, at = match.lastgroup or "", match.end()
        if kind == "pairs":
            out.append(_GB_2312(match[0]))
        elif kind == "text":
            out.append(_ascii(match[0]))
        elif kind == "end":
            out.append("\n" if match[0] == b"\n" else "")
        else:
            out.append(_HZ_SAYS[kind])
        step = _HZ_CHINESE if kind == "begin" or (step is _HZ_CHINESE and kind != "end") else _HZ_ASCII
    return "".join(out)


_EUC = re.compile(
    rb"(?P<ascii>[\x00-\x7f]+)|(?P<pairs>(?:[\xa1-\xfe]{2})+)|\x8e(?P<kana>[\xa1-\xdf])|\x8f(?P<more>[\xa1-\xfe]{2})|(?P<broken>.)",
    re.DOTALL,
)
_LOW = bytes(code & 0x7F for code in range(256))


def euc_jp(data: bytes) -> str:
    """Decode EUC-JP, including the characters that Japanese systems added."""
    sets: dict[str, _Set] = {"ascii": _ascii, "pairs": _JIS_0208, "kana": _katakana, "more": _JIS_0212}
    out = []
    for match in _EUC.finditer(data):
        kind = match.lastgroup or ""
        out.append(sets[kind](match[kind].translate(_LOW)) if kind in sets else _ERROR)
    return "".join(out)
