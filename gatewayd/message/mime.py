"""Find the MIME tree of a message by offsets (RFC 2046): bodies are only searched for their boundaries, and not copied."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from gatewayd.message import mime_fields
from gatewayd.message.encoded_words import header_text
from gatewayd.message.header_parsing import MAX_HEAD, HeaderBlock, first_of, split_head
from gatewayd.message.transfer_encoding import transfer_decoded
from gatewayd.message.values import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.message.mime_fields import ContentType, Disposition
    from gatewayd.message.sources import Raw
    from gatewayd.message.values import Container

__all__ = ["CONTAINERS", "TEXTS", "Leaf", "Multipart", "Node", "ScanLimits", "tree"]

#: The types of part that are read as the text of a mail.
TEXTS = frozenset({"text/plain", "text/html"})
#: The types of part that may contain other parts in a format that is not MIME.
CONTAINERS = frozenset(
    {
        *("application/pkcs7-mime", "application/x-pkcs7-mime", "application/ms-tnef", "application/vnd.ms-tnef"),
        "application/octet-stream",
    }
)

#: Bounds of what is read of one message (promise P8).
MAX_PARTS = 1000
MAX_DEPTH = 50
MAX_MISSES = 100_000
_PEEK = 16_384
#: How many characters of a Content-Transfer-Encoding are read.
_USUAL = 80
_TAIL = 256
#: How many bytes after a delimiter are mostly headers.
_NEAR = 1024
#: The longest delimiter that RFC 2046 section 5.1.1 allows.
_LONGEST = 72


_END = re.compile(rb"(--)?[ \t]*(?:\r{0,2}\n|\r|\Z)")


class Leaf(NamedTuple):
    """A part without parts of its own, or whose parts are not read."""

    part: Part
    #: The file name in the mail; empty if there is none.
    name: str
    #: As in the mail (RFC 2183); empty if there is none. ``spare`` is a text that is only read if there is no other.
    disposition: Literal["", "inline", "attachment", "spare"] = ""
    #: Content-ID with its brackets; not set for a text.
    content_id: str = ""


@dataclass(slots=True)
class Multipart:
    """A part with parts of its own."""

    #: Its type, such as ``multipart/mixed``; for a container that was opened, ``container/`` and its kind.
    kind: str
    parts: list[Leaf | Multipart] = field(default_factory=list)


Node: TypeAlias = Leaf | Multipart


@dataclass(slots=True)
class ScanLimits:
    """The bounds of scanning one message, over all its trees (promise P8)."""

    faults: list[str]
    parts: int = 0
    misses: int = 0
    #: Bytes of header blocks that may still be read.
    heads: int = MAX_HEAD
    #: Whether a part may be a container.
    containers: bool = False

    def fault(self, what: str) -> None:
        """Note a bound that the message exceeds, or something that can't be recognized in it."""
        if what not in self.faults:
            self.faults.append(what)


#: Start and end of a part of a multipart, and whether the delimiter after it ends the multipart.
_Span: TypeAlias = tuple[int, int, bool]
#: A part that is still to be read: span, depth, type if it has no Content-Type, the multipart around it, and that one's boundary.
_Waiting: TypeAlias = tuple[_Span, int, str, "Multipart", str]


def tree(raw: Raw, top: HeaderBlock, scan: ScanLimits, *, depth: int = 0, within: tuple[Container, ...] = ()) -> Node:
    """Return the tree of a message with the header block ``top``; exceeded bounds are noted in ``scan.faults``."""
    fields: Mapping[str, str] = top.first
    media = mime_fields.content_type(fields, "text/plain")
    if not media.kind.startswith("multipart/"):
        return _leaf(raw, fields, media, (top.body, len(raw)), scan, within=within)
    root = parent = Multipart("")
    # With recursion instead of a stack, the message would choose the depth of our calls.
    todo: list[_Waiting] = []
    span, default, around = (top.body, len(raw), True), "text/plain", ""
    while True:
        kind = media.kind
        inner = _children(raw, scan, media.boundary, span, depth) if kind.startswith("multipart/") else None
        if inner:
            node = Multipart(kind)
            scan.containers = scan.containers or kind == "multipart/encrypted"
            parent.parts.append(node)
            default = "message/rfc822" if kind == "multipart/digest" else "text/plain"
            todo += [(one, depth + 1, default, node, media.boundary) for one in reversed(inner)]
        elif inner is None or media.boundary != around or span[2] or not _adopted(todo, parent, kind):
            # A multipart without any part is text.
            media = media if inner is None else media._replace(kind="text/plain")
            parent.parts.append(_leaf(raw, fields, media, span[:2], scan, within=within))
        if not todo:
            return root.parts[0]
        span, depth, default, parent, around = todo.pop()
        start, end, last = span
        found, body = split_head(raw, start, end, scan.heads)
        if body - start > scan.heads:
            scan.fault(f"its headers are longer than {MAX_HEAD} bytes")
        scan.heads = max(0, scan.heads - (body - start))
        fields, span = first_of(found), (body, end, last)
        media = mime_fields.content_type(fields, default)


def _adopted(todo: list[_Waiting], parent: Multipart, kind: str) -> bool:
    """Give a multipart with the boundary of its parent the parts after it, up to the first end; return whether it has any."""
    if not todo or todo[-1][3] is not parent:
        return False
    node = Multipart(kind)
    parent.parts.append(node)
    for place in range(len(todo) - 1, -1, -1):
        span, depth, default, holder, around = todo[place]
        if holder is not parent:
            break
        todo[place] = (span, depth, default, node, around)
        if span[2]:
            break
    return True


def _children(raw: Raw, scan: ScanLimits, boundary: str, span: _Span, depth: int) -> list[_Span] | None:
    """Return the spans of a multipart's parts; an empty list if it has none, None if it exceeds a bound and is not read."""
    if not boundary:
        return []
    if depth >= MAX_DEPTH:
        scan.fault(f"its parts are nested deeper than {MAX_DEPTH}")
        return None
    if scan.parts >= MAX_PARTS:
        scan.fault(f"it has more than {MAX_PARTS} parts")
        return None
    found = _split(raw, scan, boundary, span)
    if not found and not boundary.isalnum():
        # The boundary may be in single quotes, or followed by a comment without a space before it.
        bare = boundary.strip("'").partition("(")[0]
        return _split(raw, scan, bare, span) if bare and bare != boundary else found
    return found


def _split(raw: Raw, scan: ScanLimits, boundary: str, around: _Span) -> list[_Span]:
    delimiter = b"--" + boundary.encode("latin-1", "replace")
    start, end, _ = around
    spans: list[_Span] = []
    opens, at, ended = -1, start, False
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
        last = tail[1] is not None
        if opens >= 0:
            # The line end before a delimiter belongs to the delimiter (RFC 2046 section 5.1.1).
            spans.append((opens, max(opens, found - (2 if before == b"\r\n" else 1)), last))
            scan.parts += 1
        elif ended and not last:
            # Programs that stop at the first end do not show these parts.
            scan.fault("it has parts behind the end of its parts")
        opens = -1 if last else at + tail.end()
        ended = ended or last
        if scan.parts >= MAX_PARTS and opens >= 0:
            scan.fault(f"it has more than {MAX_PARTS} parts")
            return spans
    if opens >= 0:
        scan.parts += 1
        spans.append((opens, end, True))
    return spans


def _next(raw: Raw, delimiter: bytes, start: int, end: int) -> int:
    """Return the offset of the next ``delimiter``; -1 if there is none."""
    far = start + _NEAR
    if len(delimiter) > _LONGEST:
        # A long delimiter is searched in one go: in short pieces, hostile mail could make each byte cost its length.
        far = end
    found = raw.find(delimiter, start, min(far, end))
    if found >= 0 or far >= end:
        return found
    # After its headers, a base64 part has no "-", and a single byte is found ten times faster than several.
    dash = raw.find(b"-", max(start, far - len(delimiter) + 1), end)
    return raw.find(delimiter, dash, end) if dash >= 0 else -1


def _leaf(
    raw: Raw,
    fields: Mapping[str, str],
    media: ContentType,
    span: tuple[int, int],
    scan: ScanLimits,
    *,
    within: tuple[Container, ...],
) -> Leaf:
    start, end = span
    encoding = fields.get("content-transfer-encoding")
    encoding = mime_fields.encoding(encoding[:_USUAL]) if encoding else "7bit"
    kind, name = media.kind, media.name
    part = Part(offset=start, length=end - start, type=kind, encoding=encoding, charset=media.charset, within=within)
    disposition = fields.get("content-disposition")
    shown: Disposition = ""
    if disposition:
        shown, given = mime_fields.disposition(disposition)
        name = given or name
    if kind in TEXTS:
        return Leaf(part, name, shown)
    if kind in CONTAINERS:
        scan.containers = True
    if not name and kind in {"message/rfc822", "message/global"}:
        name = _subject(raw, part) + ".eml"
    return Leaf(part, name, shown, fields.get("content-id", ""))


def _subject(raw: Raw, part: Part) -> str:
    piece = raw[part.offset : part.offset + min(part.length, _PEEK)]
    piece = b"".join(transfer_decoded([piece], part.encoding))
    fields, _ = split_head(piece, 0, len(piece), _PEEK)
    return header_text(first_of(fields).get("subject", ""))[:200] or "message"
