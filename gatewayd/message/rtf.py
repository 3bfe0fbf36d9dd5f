"""Decompress the RTF that Outlook stores as a message's text (MS-OXRTFCP), and extract its words."""

from __future__ import annotations

import re
import struct

from gatewayd.message.charsets import to_text

__all__ = ["rtf_bytes", "rtf_to_text"]

_HEADER = struct.Struct("<IIII")
_COMPRESSED, _PLAIN = 0x75465A4C, 0x414C454D
#: The initial contents of the window of 4096 bytes (MS-OXRTFCP section 2.1.3.1).
_FIRST = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbolArialTimes "
    rb"New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n" + rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
_WINDOW = 4096


def rtf_bytes(data: bytes, most: int) -> bytes:
    """Return decompressed RTF, at most ``most`` bytes; a broken one as far as it can be read."""
    if len(data) < _HEADER.size:
        return b""
    _, size, kind, _ = _HEADER.unpack_from(data)
    if kind == _PLAIN:
        return data[_HEADER.size :][: min(size, most)]
    return _inflated(data, min(size, most)) if kind == _COMPRESSED else b""


def _inflated(data: bytes, most: int) -> bytes:
    # The output begins with the window's initial contents: references are positions in a ring buffer that begins there.
    out = bytearray(_FIRST)
    base = len(out)
    at = _HEADER.size
    while at < len(data) and len(out) - base < most:
        flags = data[at]
        at += 1
        for bit in range(8):
            if not flags >> bit & 1:
                out += data[at : at + 1]
                at += 1
                continue
            if at + 1 >= len(data):
                return bytes(out[base : base + most])
            reference = data[at] << 8 | data[at + 1]
            at += 2
            place, length = reference >> 4, (reference & 15) + 2
            back = (len(out) - place) % _WINDOW
            if not back or back > len(out):
                # A reference to the position of the next byte marks the end.
                return bytes(out[base : base + most])
            for _ in range(length):
                out.append(out[-back])
    return bytes(out[base : base + most])


_TOKEN = re.compile(
    rb"\\u(?P<unicode>-?[0-9]{1,6}) ?|\\'(?P<hex>[0-9A-Fa-f]{2})|\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?[0-9]{1,9})? ?"
    rb"|\\(?P<symbol>[^a-zA-Z\r\n])|(?P<group>[{}])|(?P<break>[\r\n]+)|(?P<text>[^\\{}\r\n]+)|(?P<stray>\\)",
    re.DOTALL,
)
#: Groups that contain no text.
_SILENT = {
    *(b"fonttbl", b"colortbl", b"stylesheet", b"info", b"pict", b"object", b"header", b"footer", b"generator", b"listtable"),
    *(b"listoverridetable", b"rsidtbl", b"themedata", b"datastore", b"latentstyles", b"xmlnstbl", b"fldinst", b"bkmkstart"),
}
_SIGNS = {
    b"par": "\n",
    b"line": "\n",
    b"row": "\n",
    b"sect": "\n",
    b"page": "\n",
    b"tab": "\t",
    b"cell": "\t",
    b"emdash": "\u2014",
    b"endash": "\u2013",
    b"lquote": "\u2018",
    b"rquote": "\u2019",
    b"ldblquote": "\u201c",
    b"rdblquote": "\u201d",
    b"bullet": "\u2022",
}
_SYMBOLS = {b"~": "\u00a0", b"_": "-", b"{": "{", b"}": "}", b"\\": "\\"}
_MAX_DEPTH = 1000


class _State:
    """The state of the current group."""

    __slots__ = ("hidden", "silent", "skip")

    def __init__(self, *, silent: bool = False, hidden: bool = False, skip: int = 1) -> None:
        self.silent = silent
        #: RTF that only repeats the html from which it was made (MS-OXRTFEX).
        self.hidden = hidden
        #: How many replacement characters follow ``\\u`` for programs that do not know it.
        self.skip = skip


def rtf_to_text(data: bytes) -> str:
    """Return the text of RTF, a line for each paragraph."""
    reader = _Reader()
    for match in _TOKEN.finditer(data):
        reader.take(match)
    return reader.text()


class _Reader:
    """One pass over RTF."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._bytes = bytearray()
        self._charset = "windows-1252"
        self._states = [_State()]
        self._left = 0

    def text(self) -> str:
        """Return the text that was read so far."""
        self._decode()
        # Characters above U+FFFF are written as two surrogates.
        return "".join(self._out).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def take(self, match: re.Match[bytes]) -> None:
        """Process the next token."""
        kind, state = match.lastgroup, self._states[-1]
        if match["word"]:
            self._word(match["word"], match["number"])
        elif kind == "group":
            self._group(match[0])
        elif state.silent or state.hidden:
            if match["symbol"] == b"*":
                state.silent = True
        elif kind == "unicode":
            self._say(chr(int(match["unicode"]) % 0x10000))
            self._left = state.skip
        elif kind == "hex":
            self._byte(bytes.fromhex(match["hex"].decode()))
        elif kind == "text":
            self._byte(match["text"])
        elif kind == "symbol":
            state.silent = state.silent or match["symbol"] == b"*"
            self._say(_SYMBOLS.get(match["symbol"], ""))

    def _group(self, sign: bytes) -> None:
        self._left = 0
        last = self._states[-1]
        if sign == b"{" and len(self._states) < _MAX_DEPTH:
            self._states.append(_State(silent=last.silent, hidden=last.hidden, skip=last.skip))
        elif sign == b"}" and len(self._states) > 1:
            self._states.pop()

    def _word(self, word: bytes, number: bytes | None) -> None:
        state = self._states[-1]
        if word in _SILENT:
            state.silent = True
        elif word == b"htmlrtf":
            state.hidden = number != b"0"
        elif word == b"uc":
            state.skip = min(int(number or 1), 10)
        elif word == b"ansicpg" and number:
            self._decode()
            self._charset = f"cp{number.decode()}"
        elif not state.silent and not state.hidden:
            self._say(_SIGNS.get(word, ""))

    def _byte(self, data: bytes) -> None:
        skipped = min(self._left, len(data))
        self._left -= skipped
        self._bytes += data[skipped:]

    def _say(self, text: str) -> None:
        self._decode()
        self._out.append(text)

    def _decode(self) -> None:
        if self._bytes:
            self._out.append(to_text(bytes(self._bytes), self._charset))
            self._bytes.clear()
