"""Header blocks and what stands in their values: addresses, dates, ids (RFC 5322). Nothing here ever raises."""

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

#: At most this many bytes of header blocks are read of one message (promise P8).
MAX_HEAD = 1 << 20

#: Header fields as (name in lower case, unfolded value); each character of a value stands for one byte.
Fields: TypeAlias = list[tuple[str, str]]


# --- header blocks (RFC 5322 section 2.2) -----------------------------------------------------------------------------

_LONGEST_NAME = 256
_FOLD = re.compile(r"\n[ \t]+")
#: A longer run of CR before its LF is more than one line: to look for its end from each of them takes its square.
_LINE = re.compile(rb"[^\r\n]*+(?:\r{0,16}\n|\r|\Z)")
_BOM = "\xef\xbb\xbf"


class HeaderBlock(NamedTuple):
    """A header block that was split."""

    #: (name in lower case, unfolded value) in their order; each character of a value stands for one byte.
    fields: Fields
    #: The first value of each name.
    first: dict[str, str]
    #: Where the body begins.
    body: int
    #: All of it is printable ASCII: only encoded words need decoding.
    plain: bool
    #: How many bytes of the block were left out.
    cut: int = 0


_PLAIN = bytes((9, 10, 13, *range(32, 127)))


def head(raw: Raw, start: int, end: int) -> HeaderBlock:
    """Split the header block that begins at ``start`` for a close reading of its values."""
    fields, body = split_head(raw, start, end, MAX_HEAD)
    block = raw[start : min(body, start + MAX_HEAD)]
    return HeaderBlock(fields, first_of(fields), body, not block.translate(None, _PLAIN), max(0, body - start - MAX_HEAD))


def first_of(fields: Fields) -> dict[str, str]:
    """Return the first value of each name."""
    return dict(reversed(fields))


def split_head(raw: Raw, start: int, end: int, limit: int) -> tuple[Fields, int]:
    """Return the header fields that begin at ``start``, and where the body does; at most ``limit`` bytes are read.

    What is no header line is left out, unless text follows the last one, or the first delimiter: then the body begins there, for
    the empty line between is missing. A block without any header line is all body, too.
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
    """Return how lines end where the first one, up to ``newline``, has a CR that is no part of a CRLF.

    In CRLF mail a CR alone is no line end, and hides no header.
    """
    # A server that hands a message out ends its last line with CRLF, whatever its lines end with.
    if newline < 0 or newline >= end - 1 or raw.find(b"\r\r", start, newline - 1) >= 0:
        return b"\r"
    # Two CRs before the LF: text that was taken for that of another system twice.
    return b"\r\r\n" if raw[newline - 2 : newline] == b"\r\r" else b"\r\n"


def _body(raw: Raw, start: int, end: int, ends: bytes) -> int:
    """Return where the first empty line ends; ``end`` where there is none."""
    if ends == b"\r":
        found = raw.find(b"\r\r", start, end)
        return start + 1 if raw[start : start + 1] == b"\r" else found + 2 if found >= 0 else end
    # The kind of line end that comes first is looked for first: the other search then ends early.
    likely, other = (b"\n\n", b"\n\r\n") if ends == b"\n" else (b"\n" + ends, b"\n\n")
    found = raw.find(likely, start, end)
    before = raw.find(other, start, end if found < 0 else found + 1)
    if before >= 0:
        return before + len(other)
    return found + len(likely) if found >= 0 else end


def _fields(block: bytes, ends: bytes) -> tuple[Fields, bool]:
    """Return the fields of a block, and whether it seems to end where they do."""
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
    # A line with a colon is a broken field rather than text.
    return fields, (not junk or ":" in junk) and "\n--" not in text


def _add_marked(fields: Fields, text: str) -> None:
    """Add the field that a byte order mark stands before: servers put theirs before it.

    It hides no other of its name: what is no field to others must not be the sender to us.
    """
    line = text[text.index(_BOM) :].removeprefix(_BOM).partition("\n")[0]
    name, colon, value = line.partition(":")
    known = _name(name) if colon and len(name) <= _LONGEST_NAME else ""
    begins = text.startswith(_BOM) or text[text.index(_BOM) - 1] == "\n"
    if known and begins and known not in dict(fields):
        fields.insert(0, (known, value.strip(SPACE)))


def _unparted(block: bytes, fields: Fields) -> int:
    """Return where the body of a block begins that has no empty line before it: at its boundary, or behind the last field."""
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
    """Return a header's name in lower case; empty for what is none, such as "From joe Mon" of an mbox."""
    name = text.rstrip(" \t")
    return name.lower() if name.isascii() and name.isprintable() and " " not in name else ""


# --- values -----------------------------------------------------------------------------------------------------------

_PLAIN_ID = re.compile(r"<[!-;=?-~]++>")
_ID = re.compile(r"<([^<>]{1,2000})>")
#: An id that lost its brackets.
_BARE_ID = re.compile(r"[^<>(),;:\"@\s]{1,900}@[^<>(),;:\"@\s]{1,900}", re.ASCII)
#: An id that has parentheses, which are no comment.
_PARENTHESES = re.compile(r"<[^<>()\s]*+[()][^<>\s]*+>")


def ids(value: str) -> list[str]:
    """Return the message ids of a header value in their order, each in its brackets (RFC 5322 section 3.6.4).

    Where no id has brackets, words are ids if all of them look like it.
    """
    found = _PLAIN_ID.findall(value)
    if len(found) == value.count("<") and found and value.isascii() and "(" not in value and "=?" not in value:
        return found
    text = header_text(value)
    if "(" in text:
        text = cut(text, comments(_PARENTHESES.sub(lambda match: "-" * len(match[0]), text)))
    # What is folded within an id leaves blanks in it.
    found = ["".join(one.split()) for one in _ID.findall(text) if "@" in one or len(one.split()) == 1]
    if found:
        return [f"<{one}>" for one in found]
    words = [word.strip("<>") for word in text.replace(",", " ").split()]
    return [f"<{word}>" for word in words] if all(map(_BARE_ID.fullmatch, words)) else []


_ANCHORS = (("message-id", b"message-id:"), ("date", b"date:"), ("from", b"from:"), ("subject", b"subject:"))


def anchor_of(first: dict[str, str]) -> str:
    """Return the digest of the four headers that a message is known by; ``first`` has the first value of each name."""
    # White space is a matter of folding, and servers fold anew: only ASCII's, for these characters stand for bytes.
    known = [start + b" ".join(first[name].encode("latin-1").split()) for name, start in _ANCHORS if name in first]
    return hashlib.sha256(b"\n".join(known)).hexdigest()[:32] if known else ""
