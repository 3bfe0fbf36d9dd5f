"""Decide whether a file is or contains a Word document, by its bytes, whatever its name is.

It reads only, and within bounds: a file with more in it than may be searched counts as a document, since it may be one.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from gatewayd.message.mail import BytesSource, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatewayd.desk.composing.writing import AttachedFile

__all__ = ["is_word"]

#: Files within files that are looked into, members of all archives, and bytes that are unpacked.
_DEPTH, _MEMBERS, _UNPACKED = 4, 10_000, 64 << 20
_PIECE = 1 << 20
#: Read at once while unpacking: a KB can unpack to a MB at most.
_READ = 1 << 14

_NAME = re.compile(r"\.(?:docx?|docm|dot|dotx|dotm)\s*\Z", re.IGNORECASE)
#: A member of a ZIP archive, in front of its bytes, and in the directory at the end (APPNOTE.TXT 4.3.7 and 4.3.12).
_LOCAL = b"PK\x03\x04"
_HEADER = re.compile(rb"PK(?:\x03\x04|\x01\x02)")
_DEFLATED = 8
#: A compound file (MS-CFB 2.2), whose directory names its streams in UTF-16: Word's, or that of any encrypted package.
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STREAMS = tuple(name.encode("utf-16-le") for name in ("WordDocument", "EncryptedPackage"))
#: A package as one XML file (flat OPC), or Word's own older XML.
_FLAT = re.compile(rb"progid=[\"']word\.document|/word/document\.xml|schemas\.microsoft\.com/office/word/", re.IGNORECASE)
#: Types of a package's parts (ECMA-376 part 1, 15.2), and Microsoft's own for documents with macros.
_PARTS = re.compile(rb"wordprocessingml|ms-word\.", re.IGNORECASE)
_PACKED: tuple[tuple[bytes, Callable[[], _Unpack]], ...] = (
    (b"\x1f\x8b", lambda: zlib.decompressobj(zlib.MAX_WBITS | 16)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(memlimit=_UNPACKED)),
)


class _Unpack(Protocol):
    """The common interface of the three libraries' decompressors."""

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: memoryview, /) -> bytes: ...


class _TooMuch(Exception):
    """More than the bounds allow."""


def is_word(attached: AttachedFile) -> bool:
    """Whether the file is a Word document, or holds one: in an archive, in a mail, or behind other bytes."""
    try:
        return _Look().document(attached.name, attached.data, _DEPTH)
    except _TooMuch:
        return True


class _Look:
    """One look through a file, with what it may still unpack."""

    def __init__(self) -> None:
        self._members = _MEMBERS
        self._bytes = _UNPACKED

    def document(self, name: str, data: bytes, depth: int) -> bool:
        if _NAME.search(name):
            return True
        if data.startswith(_COMPOUND) and any(stream in data for stream in _STREAMS):
            return True
        # UTF-16 has a NUL in each of these letters.
        if _FLAT.search(data[:_PIECE].replace(b"\0", b"")):
            return True
        if depth == 0:
            if _HEADER.search(data):
                raise _TooMuch
            return False
        return any(self.document(inner, held, depth - 1) for inner, held in self._held(name, data))

    def _held(self, name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield what the file holds, as name and bytes; members that aren't compressed lie in the file's own bytes."""
        yield from self._zipped(data)
        for magic, unpack in _PACKED:
            if data.startswith(magic):
                yield "", self._unpacked(unpack(), data)
        if name.lower().endswith((".eml", ".mht", ".mhtml")) or re.match(rb"[!-9;-~]+:[ \t]", data):
            mail = parse(BytesSource(data))
            for number, one in enumerate(mail.attachments):
                yield one.name, self._bounded(mail.attachment(number))

    def _zipped(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield the members of all archives in the data, wherever they begin: readers differ in where they look."""
        package = words = False
        for found in _HEADER.finditer(data):
            self._members -= 1
            if self._members < 0:
                raise _TooMuch
            name, held = self._member(data, found.start(), local=found[0] == _LOCAL)
            plain = name.replace("\\", "/").lstrip("/").lower()
            package |= plain == "[content_types].xml"
            words |= plain.startswith("word/") or (plain == "[content_types].xml" and bool(_PARTS.search(held)))
            if package and words:
                yield "word.docx", b""
            yield name, held

    def _member(self, data: bytes, at: int, *, local: bool) -> tuple[str, bytes]:
        """Return a member's name and, where they begin behind it, its bytes; not those that lie there as they are."""
        method, name_size, extra_size, size = (
            int.from_bytes(data[at + offset : at + offset + 2], "little")
            for offset in ((8, 26, 28, 30) if local else (10, 28, 30, 46))
        )
        begin = at + size if not local else at + 30
        name = data[begin : begin + name_size].decode("latin-1")
        if not local:
            return name, b""
        start = begin + name_size + extra_size
        if method == _DEFLATED:
            return name, self._unpacked(zlib.decompressobj(-zlib.MAX_WBITS), data, start)
        # Uncompressed members are searched with the whole file; only the types of a package's parts matter here.
        return name, data[start : start + _PIECE] if name.lower().endswith("[content_types].xml") else b""

    def _unpacked(self, unpack: _Unpack, data: bytes, start: int = 0) -> bytes:
        """Return what is packed from ``start`` on, as far as it can be had."""
        found = bytearray()
        with suppress(zlib.error, lzma.LZMAError, OSError, EOFError, ValueError), memoryview(data) as view:
            for at in range(start, len(data), _READ):
                found += unpack.decompress(view[at : at + _READ])
                if len(found) > self._bytes:
                    raise _TooMuch
                if unpack.eof:
                    break
        self._bytes -= len(found)
        return bytes(found)

    def _bounded(self, pieces: Iterator[bytes]) -> bytes:
        found = bytearray()
        for piece in pieces:
            found += piece
            self._bytes -= len(piece)
            if self._bytes < 0:
                raise _TooMuch
        return bytes(found)
