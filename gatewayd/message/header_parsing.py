"""Split header blocks into fields (RFC 5322 section 2.2), and read the Message-IDs in them. Never raises."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from gatewayd.message.encoded_words import header_text
from gatewayd.message.lexing import SPACE, comments, cut
from gatewayd.message.mime_fields import field

if TYPE_CHECKING:
    from gatewayd.message.sources import Raw

__all__ = ["MAX_HEAD", "Fields", "HeaderBlock", "anchor_of", "first_of", "head", "ids", "split_head"]

#: At most this many bytes of the header blocks of one message are read (promise P8).
MAX_HEAD = 1 << 20

#: Header fields as (name in lower case, unfolded value); each character of a value is one byte.
Fields: TypeAlias = list[tuple[str, str]]


# --- header blocks (RFC 5322 section 2.2) -----------------------------------------------------------------------------

_LONGEST_NAME = 256
_FOLD = re.compile(r"\n[ \t]+")
#: More CRs than these before one LF are several lines: searching for the LF from each CR would be quadratic.
_LINE = re.compile(rb"[^\r\n]*+(?:\r{0,16}\n|\r|\Z)")
_BOM = "\xef\xbb\xbf"


class HeaderBlock(NamedTuple):
    """A header block, split into fields."""

    #: All fields in their order.
    fields: Fields
    #: The first value of each name.
    first: dict[str, str]
    #: Offset of the body.
    body: int
    #: Whether all of it is printable ASCII, so that only encoded words need decoding.
    plain: bool
    #: How many bytes of the block were not read.
    cut: int = 0


_PLAIN = bytes((9, 10, 13, *range(32, 127)))


def head(raw: Raw, start: int, end: int) -> HeaderBlock:
    """Split the header block of a message, which begins at ``start``."""
    fields, body = split_head(raw, start, end, MAX_HEAD)
    block = raw[start : min(body, start + MAX_HEAD)]
    return HeaderBlock(fields, first_of(fields), body, not block.translate(None, _PLAIN), max(0, body - start - MAX_HEAD))


def first_of(fields: Fields) -> dict[str, str]:
    """Return the first value of each name."""
    return dict(reversed(fields))


def split_head(raw: Raw, start: int, end: int, limit: int) -> tuple[Fields, int]:
    """Return the header fields that begin at ``start``, and the offset of the body; at most ``limit`` bytes are read.

    Invalid lines are skipped. But if text, or the first MIME delimiter, follows the last valid line, the empty line between is
    missing, and the body begins there. A block without any valid line is body as a whole.
    """
    newline = raw.find(b"\n", start, end)
    first = raw.find(b"\r", start, end if newline < 0 else newline)
    ends = b"\r\n" if 0 <= first == newline - 1 else b"\n" if first < 0 else _odd_line_end(raw, start, end, newline)
    if newline == start or start == first == newline - 1:
        # The first line is empty.
        return [], newline + 1
    body = _body(raw, start, end, ends)
    block = raw[start : min(body, start + limit)]
    fields, whole = _fields(block, ends)
    if fields and not whole and body <= start + limit:
        body = start + _unparted(block, fields)
        fields, _ = _fields(raw[start:body], ends)
    if not fields and body - start > 2:  # noqa: PLR2004  more than an empty line
        return fields, start
    return fields, body


def _odd_line_end(raw: Raw, start: int, end: int, newline: int) -> bytes:
    """Return the line end of a block whose first line, up to ``newline``, has a CR that is not part of a CRLF.

    In mail with CRLF a single CR is no line end, so that it can't hide a header.
    """
    # Servers end the last line of a message with CRLF, whatever the others end with.
    if newline < 0 or newline >= end - 1 or raw.find(b"\r\r", start, newline - 1) >= 0:
        return b"\r"
    # Two CRs before the LF: LF was converted to CRLF twice.
    return b"\r\r\n" if raw[newline - 2 : newline] == b"\r\r" else b"\r\n"


def _body(raw: Raw, start: int, end: int, ends: bytes) -> int:
    """Return where the first empty line ends; ``end`` if there is no empty line."""
    if ends == b"\r":
        found = raw.find(b"\r\r", start, end)
        return start + 1 if raw[start : start + 1] == b"\r" else found + 2 if found >= 0 else end
    # The likely kind of empty line is searched for first: the other search then ends early.
    likely, other = (b"\n\n", b"\n\r\n") if ends == b"\n" else (b"\n" + ends, b"\n\n")
    found = raw.find(likely, start, end)
    before = raw.find(other, start, end if found < 0 else found + 1)
    if before >= 0:
        return before + len(other)
    return found + len(likely) if found >= 0 else end


def _fields(block: bytes, ends: bytes) -> tuple[Fields, bool]:
    """Return the fields of a block, and whether the block seems to end with them."""
    text = block.decode("latin-1").replace("\r\n", "\n")
    if len(ends) != 2:  # noqa: PLR2004
        text = text.replace("\r\n", "\n") if ends == b"\r\r\n" else text.replace("\r", "\n") if ends == b"\r" else text
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    fields: Fields = []
    junk = ""
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if colon and len(name) <= _LONGEST_NAME and (known := _name(name)):
            fields.append((known, value.strip(SPACE)))
            junk = ""
        else:
            junk = line or junk
    if _BOM in text:
        _add_marked(fields, text)
    # A line with a colon is more likely a broken field than text.
    return fields, (not junk or ":" in junk) and "\n--" not in text


def _add_marked(fields: Fields, text: str) -> None:
    """Add the field that follows a byte order mark: servers insert their own fields before the mark.

    It is only added if no other field has its name: other programs ignore it, so it must not become the sender here.
    """
    line = text[text.index(_BOM) :].removeprefix(_BOM).partition("\n")[0]
    name, colon, value = line.partition(":")
    known = _name(name) if colon and len(name) <= _LONGEST_NAME else ""
    begins = text.startswith(_BOM) or text[text.index(_BOM) - 1] == "\n"
    if known and begins and known not in dict(fields):
        fields.insert(0, (known, value.strip(SPACE)))


def _unparted(block: bytes, fields: Fields) -> int:
    """Return where the body of a block begins if no empty line precedes it: at its boundary, or after the last field."""
    _, found = field(dict(reversed(fields)).get("content-type", ""))
    boundary = found.get("boundary", "").encode("latin-1", "replace")
    at = last = 0
    known = False
    while at < len(block) and (line := _LINE.match(block, at)) and line.end() > at:
        if boundary and line[0].startswith(b"--" + boundary):
            return at
        at = line.end()
        name = line[0].partition(b":")[0].decode("latin-1")
        if line[0][:1] not in b" \t":
            known = len(name) < len(line[0]) and len(name) <= _LONGEST_NAME and bool(_name(name))
        last = at if known else last
    return last if block[last:].strip() else len(block)


@lru_cache(maxsize=1024)
def _name(text: str) -> str:
    """Return a header's name in lower case; empty if it is invalid, such as "From joe Mon" of an mbox."""
    name = text.rstrip(" \t")
    return name.lower() if name.isascii() and name.isprintable() and " " not in name else ""


# --- values -----------------------------------------------------------------------------------------------------------

_PLAIN_ID = re.compile(r"<[!-;=?-~]++>")
_ID = re.compile(r"<([^<>]{1,2000})>")
#: An id without its brackets.
_BARE_ID = re.compile(r"[^<>(),;:\"@\s]{1,900}@[^<>(),;:\"@\s]{1,900}", re.ASCII)
#: An id with parentheses, which are no comment.
_PARENTHESES = re.compile(r"<[^<>()\s]*+[()][^<>\s]*+>")


def ids(value: str) -> list[str]:
    """Return the message ids of a header value in their order, each in its brackets (RFC 5322 section 3.6.4).

    If no id has brackets, words count as ids if all of them look like one.
    """
    found = _PLAIN_ID.findall(value)
    if len(found) == value.count("<") and found and value.isascii() and "(" not in value and "=?" not in value:
        return found
    text = header_text(value)
    if "(" in text:
        text = cut(text, comments(_PARENTHESES.sub(lambda match: "-" * len(match[0]), text)))
    # Folding within an id leaves spaces in it.
    found = ["".join(one.split()) for one in _ID.findall(text) if "@" in one or len(one.split()) == 1]
    if found:
        return [f"<{one}>" for one in found]
    words = [word.strip("<>") for word in text.replace(",", " ").split()]
    return [f"<{word}>" for word in words] if all(map(_BARE_ID.fullmatch, words)) else []


_ANCHORS = (("message-id", b"message-id:"), ("date", b"date:"), ("from", b"from:"), ("subject", b"subject:"))


def anchor_of(first: dict[str, str]) -> str:
    """Return the digest of the four headers that identify a message; ``first`` has the first value of each name."""
    # Servers fold headers anew, so white space does not count: that of ASCII only, since each character is one byte.
    known = [start + b" ".join(first[name].encode("latin-1").split()) for name, start in _ANCHORS if name in first]
    return hashlib.sha256(b"\n".join(known)).hexdigest()[:32] if known else ""
