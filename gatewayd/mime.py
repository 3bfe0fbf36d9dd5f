"""The MIME tree of a message by offsets: headers are split once, bodies are only searched for their boundaries (RFC 2046)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from gatewayd.decode import clean, header_text, parameter, parameters, transfer_decoded
from gatewayd.header import MAX_HEAD, SPACE, Head, Raw, first_of, split_head
from gatewayd.model import CHUNK, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.model import Source

__all__ = ["Leaf", "Window", "leaves", "opened", "white_space"]

#: Bounds of what is read of one message (promise P8).
MAX_PARTS = 1000
MAX_DEPTH = 50
MAX_MISSES = 100_000
_PEEK = 16_384
_TAIL = 256
#: How many bytes behind a delimiter are mostly a header.
_NEAR = 1024
#: A delimiter that a well-meaning program made is no longer (RFC 2046 section 5.1.1).
_LONGEST = 72


class Window:
    """A message that is too large for the memory, searched through a window that slides over its source."""

    def __init__(self, source: Source, size: int = CHUNK) -> None:
        self._source = source
        self._size = size
        self._start = 0
        self._seen = b""

    def __len__(self) -> int:
        return self._source.size

    def __getitem__(self, span: slice, /) -> bytes:
        start, end, _ = span.indices(len(self))
        if self._start <= start and end <= self._start + len(self._seen):
            return self._seen[start - self._start : end - self._start]
        return self._source.read(start, end - start) if start < end else b""

    def _at(self, start: int, end: int, least: int) -> bytes:
        """Move the window unless it holds at least ``least`` bytes from ``start`` on, or all to ``end``."""
        if not self._start <= start <= self._start + len(self._seen) - min(least, end - start):
            self._seen = self._source.read(start, max(self._size, least))
            self._start = start
        return self._seen

    def find(self, needle: bytes, start: int, end: int, /) -> int:
        """Return the offset of the first ``needle`` that lies whole between ``start`` and ``end``; -1 where there is none."""
        end = min(end, len(self))
        while end - start >= len(needle):
            seen = self._at(start, end, len(needle))
            found = seen.find(needle, start - self._start, end - self._start)
            if found >= 0:
                return self._start + found
            searched, start = start, self._start + len(seen) - len(needle) + 1
            if start <= searched:
                # The source has less than its size promised.
                break
        return -1

    def count(self, needle: bytes, start: int, end: int, /) -> int:
        """Return how often the single byte ``needle`` occurs between ``start`` and ``end``."""
        total = 0
        while start < end and (seen := self._at(start, end, 1)):
            total += seen.count(needle, start - self._start, end - self._start)
            start = self._start + len(seen)
        return total


def opened(source: Source, *, whole: int = CHUNK) -> Raw:
    """Return the message to scan: its bytes if there are at most ``whole`` of them, else a window of that size on them."""
    return source.read(0, source.size) if source.size <= whole else Window(source, whole)


def white_space(raw: Raw, start: int, end: int) -> int:
    """Return how many bytes of a base64 body are white space."""
    # Looking for a byte that is not there is many times faster than counting it.
    blanks = sum(raw.count(blank, start, end) for blank in (b" ", b"\t") if raw.find(blank, start, end) >= 0)
    first = raw.find(b"\n", start, end)
    if isinstance(raw, bytes) and start < first:
        # Encoders write lines of one length. Where a line end stands at each such step, only the last line need be counted.
        ends = raw[first : end : first + 1 - start]
        if ends == b"\n" * len(ends):
            blanks += len(ends) * (2 if raw[first - 1 : first] == b"\r" else 1)
            start = first + 1 + (len(ends) - 1) * (first + 1 - start)
    return blanks + raw.count(b"\n", start, end) + raw.count(b"\r", start, end)


# --- the tree ---------------------------------------------------------------------------------------------------------

_END = re.compile(rb"(--)?[ \t]*(?:\r?\n|\r|\Z)")
_TYPE = re.compile(r"[!#-'*+.0-9A-Z^-~-]{1,127}/[!#-'*+.0-9A-Z^-~-]{1,127}", re.IGNORECASE)


class Leaf(NamedTuple):
    """A part without parts of its own, or one that stays closed."""

    part: Part
    #: The file name as the mail gives it; empty where it gives none.
    name: str
    #: It says that it is an attachment, or it can't be read as the mail's text.
    attached: bool


@dataclass(slots=True)
class _Scan:
    """One walk through a tree."""

    raw: Raw
    faults: list[str]
    parts: int = 0
    misses: int = 0
    #: Bytes of header blocks that may still be read.
    heads: int = MAX_HEAD

    def fault(self, what: str) -> None:
        if what not in self.faults:
            self.faults.append(what)


def leaves(raw: Raw, top: Head, faults: list[str]) -> list[Leaf]:
    """Return the leaves of the tree below ``top`` in their order; what exceeds a bound is named in ``faults``."""
    scan = _Scan(raw, faults)
    found: list[Leaf] = []
    # An explicit stack of (start, end, depth, type where a part names none): recursion would let the message choose our depth.
    todo: list[tuple[int, int, int, str]] = []
    fields: Mapping[str, str] = top.first
    start, end, depth, default = top.body, len(raw), 0, "text/plain"
    while True:
        media = _content_type(fields, default)
        inner = _children(scan, media.boundary, start, end, depth) if media.kind.startswith("multipart/") else None
        if inner:
            default = "message/rfc822" if media.kind == "multipart/digest" else "text/plain"
            todo += [(first, last, depth + 1, default) for first, last in reversed(inner)]
        else:
            if inner is not None:
                media = media._replace(kind="text/plain")
            found.append(_leaf(raw, fields, media, (start, end), root=depth == 0))
        if not todo:
            return found
        start, end, depth, default = todo.pop()
        fields, start = _part_head(scan, start, end)


def _part_head(scan: _Scan, start: int, end: int) -> tuple[Mapping[str, str], int]:
    fields, body = split_head(scan.raw, start, end, scan.heads)
    read = body - start
    if read > scan.heads:
        scan.fault(f"its headers are longer than {MAX_HEAD} bytes")
    scan.heads = max(0, scan.heads - read)
    return first_of(fields), body


class _Type(NamedTuple):
    """A Content-Type value that was read (RFC 2045 section 5)."""

    kind: str
    charset: str = ""
    name: str = ""
    boundary: str = ""


def _content_type(fields: Mapping[str, str], default: str) -> _Type:
    value = fields.get("content-type")
    if value is None:
        return _Type(default)
    return _usual_type(value) if len(value) < _USUAL else _read_type(value)


def _read_type(value: str) -> _Type:
    kind = value.partition(";")[0].strip(SPACE).lower()
    extra = parameters(value)
    charset = clean(extra.get("charset") or parameter(extra, "charset"))[:64].lower()
    boundary = extra.get("boundary") or parameter(extra, "boundary")
    # RFC 2045 section 5.2: what is no media type is read as plain text.
    return _Type(kind if _TYPE.fullmatch(kind) else "text/plain", charset, parameter(extra, "name"), boundary.rstrip(" \t"))


def _read_encoding(value: str) -> str:
    return clean(value.partition(";")[0].strip(SPACE).lower())[:64] or "7bit"


#: Most parts of most mails have one of a few types and encodings; only short values are remembered.
_USUAL = 80
_usual_type = lru_cache(maxsize=256)(_read_type)
_usual_encoding = lru_cache(maxsize=64)(_read_encoding)


def _children(scan: _Scan, boundary: str, start: int, end: int, depth: int) -> list[tuple[int, int]] | None:
    """Return the spans of a multipart's parts, an empty list where it shows none, None where it stays closed."""
    if not boundary:
        return []
    if depth >= MAX_DEPTH:
        scan.fault(f"its parts are nested deeper than {MAX_DEPTH}")
        return None
    if scan.parts >= MAX_PARTS:
        scan.fault(f"it has more than {MAX_PARTS} parts")
        return None
    return _split(scan, b"--" + boundary.encode("latin-1", "replace"), start, end)


def _split(scan: _Scan, delimiter: bytes, start: int, end: int) -> list[tuple[int, int]]:
    raw, spans, opens, at = scan.raw, [], -1, start
    while (at := _next(raw, delimiter, at, end)) >= 0:
        found, at = at, at + len(delimiter)
        tail = _END.match(raw[at : min(end, at + _TAIL)])
        before = raw[max(start, found - 2) : found]
        if (
            tail is None
            or before[-1:] not in {b"\n", b"\r", b""}
            or (at + tail.end() < end and not tail[0].endswith((b"\r", b"\n")))
        ):
            scan.misses += 1
            if scan.misses > MAX_MISSES:
                scan.fault("its boundaries can't be told from its text")
                break
            continue
        if opens >= 0:
            # The line end before a delimiter is the delimiter's (RFC 2046 section 5.1.1).
            spans.append((opens, max(opens, found - (2 if before == b"\r\n" else 1))))
            scan.parts += 1
        opens = -1 if tail[1] else at + tail.end()
        if opens < 0:
            break
        if scan.parts >= MAX_PARTS:
            scan.fault(f"it has more than {MAX_PARTS} parts")
            return spans
    if opens >= 0:
        scan.parts += 1
        spans.append((opens, end))
    return spans


def _next(raw: Raw, delimiter: bytes, start: int, end: int) -> int:
    """Return the offset of the next ``delimiter``, -1 where there is none."""
    far = start + _NEAR
    if len(delimiter) > _LONGEST:
        # In short pieces a long one could be made to cost its length for each byte.
        far = end
    found = raw.find(delimiter, start, min(far, end))
    if found >= 0 or far >= end:
        return found
    # Behind a part's own header base64 has no "-", and one byte is found ten times faster than several.
    dash = raw.find(b"-", max(start, far - len(delimiter) + 1), end)
    return raw.find(delimiter, dash, end) if dash >= 0 else -1


def _leaf(raw: Raw, fields: Mapping[str, str], media: _Type, span: tuple[int, int], *, root: bool) -> Leaf:
    encoding = fields.get("content-transfer-encoding", "7bit")
    encoding = _usual_encoding(encoding) if len(encoding) < _USUAL else _read_encoding(encoding)
    part = Part(offset=span[0], length=span[1] - span[0], type=media.kind, encoding=encoding, charset=media.charset)
    name, attached = media.name, False
    disposition = fields.get("content-disposition")
    if disposition:
        attached = disposition[:10].lower() == "attachment"
        name = parameter(parameters(disposition), "filename") or name
    if part.type in {"text/plain", "text/html"}:
        return Leaf(part, name, attached or bool(name and not root))
    if not name and part.type in {"message/rfc822", "message/global"}:
        name = _subject(raw, part) + ".eml"
    return Leaf(part, name, attached=True)


def _subject(raw: Raw, part: Part) -> str:
    piece = raw[part.offset : part.offset + min(part.length, _PEEK)]
    piece = b"".join(transfer_decoded([piece], part.encoding))
    fields, _ = split_head(piece, 0, len(piece), _PEEK)
    return header_text(first_of(fields).get("subject", ""))[:200] or "message"
