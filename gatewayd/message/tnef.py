"""Find the files and texts in TNEF (MS-OXTNEF), which Outlook and Exchange send as winmail.dat, by their offsets."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.message.charsets import to_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TnefFile", "TnefText", "begins_tnef", "tnef"]

_SIGNATURE = b"\x78\x9f\x3e\x22"
_ATTRIBUTE = struct.Struct("<BII")
_LONG = struct.Struct("<I")
#: The most attributes, properties of one attribute, and files that are read (promise P8).
_MAX_ATTRIBUTES, _MAX_PROPERTIES, _MAX_FILES = 10_000, 5_000, 500

# Attributes (MS-OXTNEF section 2.1.3.2).
_CODEPAGE, _BODY, _PROPERTIES = 0x00069007, 0x0002800C, 0x00069003
_RENDERING, _TITLE, _DATA, _FILE_PROPERTIES = 0x00069002, 0x00018010, 0x0006800F, 0x00069005

# Properties (MS-OXPROPS).
_PLAIN, _HTML, _RTF, _INTERNET_CODEPAGE = 0x1000, 0x1013, 0x1009, 0x3FDE
_LONG_NAME, _SHORT_NAME, _SHOWN_NAME, _MIME_TYPE, _CONTENT_ID, _OBJECT = 0x3707, 0x3704, 0x3001, 0x370E, 0x3712, 0x3701

#: Sizes of fixed-size properties in bytes, by type; each is padded to a multiple of four.
_FIXED = {2: 2, 0xB: 2, 3: 4, 4: 4, 0xA: 4, 5: 8, 6: 8, 7: 8, 0x14: 8, 0x40: 8, 0x48: 16, 1: 0}
_STRING, _UNICODE, _BINARY, _OLE = 0x1E, 0x1F, 0x102, 0xD
_MULTIPLE = 0x1000
#: An embedded message is preceded by a GUID of this many bytes (MS-OXTNEF section 2.1.3.4).
_INTERFACE = 16


@dataclass(slots=True)
class TnefFile:
    """A file in TNEF."""

    name: str = ""
    type: str = ""
    content_id: str = ""
    start: int = 0
    end: int = 0
    #: Whether it is a message, which is in TNEF, too.
    message: bool = False


@dataclass(frozen=True, slots=True)
class TnefText:
    """The text of the message, in one of its forms: ``text/plain``, ``text/html`` or ``text/rtf`` (compressed)."""

    type: str
    charset: str
    start: int
    end: int


@dataclass(slots=True)
class _Read:
    data: bytes
    codepage: str = "windows-1252"
    files: list[TnefFile] = field(default_factory=list)
    texts: dict[str, TnefText] = field(default_factory=dict)


def begins_tnef(data: bytes) -> bool:
    """Whether bytes begin as a TNEF stream does."""
    return data.startswith(_SIGNATURE)


def tnef(data: bytes) -> tuple[list[TnefFile], list[TnefText]] | None:
    """Return the files and the texts of a TNEF stream, the best text first; None if it is no TNEF.

    A truncated stream is read as far as it goes.
    """
    if not begins_tnef(data):
        return None
    read = _Read(data)
    for attribute, start, end in _attributes(data):
        _take(read, attribute, start, end)
    texts = [read.texts[kind] for kind in ("text/plain", "text/html", "text/rtf") if kind in read.texts]
    return [file for file in read.files if file.end > file.start], texts


def _attributes(data: bytes) -> Iterator[tuple[int, int, int]]:
    at = len(_SIGNATURE) + 2
    for _ in range(_MAX_ATTRIBUTES):
        if at + _ATTRIBUTE.size > len(data):
            return
        _, attribute, size = _ATTRIBUTE.unpack_from(data, at)
        start = at + _ATTRIBUTE.size
        if start + size > len(data):
            return
        yield attribute, start, start + size
        # A checksum of two bytes follows.
        at = start + size + 2


def _take(read: _Read, attribute: int, start: int, end: int) -> None:
    file = read.files[-1] if read.files else None
    if attribute == _CODEPAGE and end - start >= _LONG.size:
        read.codepage = f"cp{_LONG.unpack_from(read.data, start)[0]}"
    elif attribute == _BODY:
        read.texts.setdefault("text/plain", TnefText("text/plain", read.codepage, start, _ended(read.data, start, end)))
    elif attribute == _PROPERTIES:
        _message(read, start, end)
    elif attribute == _RENDERING and len(read.files) < _MAX_FILES:
        read.files.append(TnefFile())
    elif file and attribute == _TITLE and not file.name:
        file.name = _string(read, _STRING, start, end)
    elif file and attribute == _DATA:
        file.start, file.end = start, end
    elif file and attribute == _FILE_PROPERTIES:
        _file(read, file, start, end)


def _message(read: _Read, start: int, end: int) -> None:
    charset = read.codepage
    for tag, kind, first, last in _properties(read.data, start, end):
        if tag == _INTERNET_CODEPAGE and last - first >= _LONG.size:
            charset = f"cp{_LONG.unpack_from(read.data, first)[0]}"
        elif tag == _PLAIN and kind in {_STRING, _UNICODE}:
            name = "utf-16le" if kind == _UNICODE else read.codepage
            ended = _ended(read.data, first, last, width=1 + (kind == _UNICODE))
            read.texts["text/plain"] = TnefText("text/plain", name, first, ended)
        elif tag == _HTML:
            name = "utf-16le" if kind == _UNICODE else charset
            read.texts["text/html"] = TnefText("text/html", name, first, last)
        elif tag == _RTF and kind == _BINARY:
            read.texts["text/rtf"] = TnefText("text/rtf", read.codepage, first, last)


def _file(read: _Read, file: TnefFile, start: int, end: int) -> None:
    names: dict[int, str] = {}
    for tag, kind, first, last in _properties(read.data, start, end):
        if tag in {_LONG_NAME, _SHORT_NAME, _SHOWN_NAME}:
            names[tag] = _string(read, kind, first, last)
        elif tag == _MIME_TYPE:
            file.type = _string(read, kind, first, last).lower()
        elif tag == _CONTENT_ID:
            file.content_id = _string(read, kind, first, last)
        elif tag == _OBJECT and kind == _OLE and last - first > _INTERFACE:
            file.start, file.end, file.message = first + _INTERFACE, last, True
        elif tag == _OBJECT and not file.end:
            file.start, file.end = first, last
    file.name = names.get(_LONG_NAME) or file.name or names.get(_SHORT_NAME) or names.get(_SHOWN_NAME) or ""


def _properties(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield tag, type, start and end of each property with a single value."""
    if end - at < _LONG.size:
        return
    count = min(_LONG.unpack_from(data, at)[0], _MAX_PROPERTIES)
    at += _LONG.size
    for _ in range(count):
        if at + _LONG.size > end:
            return
        number = _LONG.unpack_from(data, at)[0]
        kind, tag = number & 0xFFFF, number >> 16
        # Tags from 0x8000 on are followed by a name.
        at = _named(data, at + _LONG.size) if tag >= 0x8000 else at + _LONG.size  # noqa: PLR2004
        spans = _values(data, at, end, kind)
        if not spans:
            return
        if not kind & _MULTIPLE:
            yield tag, kind, *spans[0]
        at = spans[-1][1]
        at += -(at - spans[-1][0]) % 4


def _values(data: bytes, at: int, end: int, kind: int) -> list[tuple[int, int]]:
    """Return start and end of each value of a property; an empty list if it is broken, or of an unknown type."""
    single = kind & ~_MULTIPLE
    varying = single in {_STRING, _UNICODE, _BINARY, _OLE}
    if at + _LONG.size > end or not (varying or single in _FIXED):
        return []
    count = 1
    if varying or kind & _MULTIPLE:
        count = _LONG.unpack_from(data, at)[0]
        at += _LONG.size
    spans: list[tuple[int, int]] = []
    for _ in range(min(count, _MAX_PROPERTIES)):
        size = _FIXED.get(single, 0)
        if varying:
            size = _LONG.unpack_from(data, at)[0] if at + _LONG.size <= end else end
            at += _LONG.size
        if at + size > end:
            return []
        spans.append((at, at + size))
        at += size + -size % 4
    # A property without values ends where it begins.
    return spans or [(at, at)]


def _named(data: bytes, at: int) -> int:
    """Return where the value of a named property begins, after its name: a GUID, and a number or a text."""
    at += 16
    if at + 2 * _LONG.size > len(data):
        return len(data)
    is_text = _LONG.unpack_from(data, at)[0]
    size = _LONG.unpack_from(data, at + _LONG.size)[0] if is_text else 0
    return at + 2 * _LONG.size + size + -size % 4


def _ended(data: bytes, start: int, end: int, *, width: int = 1) -> int:
    """Return where a text ends, without the NULs of ``width`` bytes at its end."""
    while end - start >= width and data[end - width : end] == b"\0" * width:
        end -= width
    return end


def _string(read: _Read, kind: int, start: int, end: int) -> str:
    data = read.data[start : min(end, start + 2000)]
    return to_text(data, "utf-16le" if kind == _UNICODE else read.codepage).partition("\0")[0]
