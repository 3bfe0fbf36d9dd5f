"""Header blocks and what stands in their values: addresses, dates, ids (RFC 5322). Nothing here ever raises."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeAlias

from gatewayd.decode import header_text
from gatewayd.model import Address

__all__ = ["MAX_HEAD", "SPACE", "Fields", "Head", "Raw", "addresses", "anchor_of", "date", "first_of", "head", "ids", "split_head"]

#: At most this many bytes of header blocks are read of one message (promise P8).
MAX_HEAD = 1 << 20

#: Header fields as (name in lower case, unfolded value); each character of a value stands for one byte.
Fields: TypeAlias = list[tuple[str, str]]


class Raw(Protocol):
    """What is scanned: the bytes of a message, or a ``Window`` on them."""

    def __len__(self) -> int: ...
    def __getitem__(self, span: slice, /) -> bytes: ...

    def find(self, needle: bytes, start: int, end: int, /) -> int:
        """Return the offset of the first ``needle`` between ``start`` and ``end``, -1 where there is none."""

    def count(self, needle: bytes, start: int, end: int, /) -> int:
        """Return how often the single byte ``needle`` occurs between ``start`` and ``end``."""


# --- header blocks (RFC 5322 section 2.2) -----------------------------------------------------------------------------

_LONGEST_NAME = 256
_FOLD = re.compile(r"\n[ \t]+")
SPACE = " \t\r\n\v\f"


class Head(NamedTuple):
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


def head(raw: Raw, start: int, end: int) -> Head:
    """Split the header block that begins at ``start`` for a close reading of its values."""
    fields, body = split_head(raw, start, end, MAX_HEAD)
    block = raw[start : min(body, start + MAX_HEAD)]
    return Head(fields, first_of(fields), body, not block.translate(None, _PLAIN), max(0, body - start - MAX_HEAD))


def first_of(fields: Fields) -> dict[str, str]:
    """Return the first value of each name."""
    return dict(reversed(fields))


def split_head(raw: Raw, start: int, end: int, limit: int) -> tuple[Fields, int]:
    """Return the header fields that begin at ``start``, and where the body does; at most ``limit`` bytes are read.

    What is no header line is left out, and a block without any is all body.
    """
    body = _body(raw, start, end)
    fields = _fields(raw[start : min(body, start + limit)])
    if not fields and body - start > 2:  # noqa: PLR2004  more than an empty line
        return fields, start
    return fields, body


def _body(raw: Raw, start: int, end: int) -> int:
    """Return where the first empty line ends; ``end`` where there is none."""
    for empty in (b"\r\n", b"\n"):
        if raw[start : start + len(empty)] == empty:
            return min(start + len(empty), end)
    newline = raw.find(b"\n", start, end)
    if newline < 0:
        return _body_cr(raw, start, end)
    # The kind of line end that comes first is looked for first: the other search then ends early.
    likely, other = (b"\n\r\n", b"\n\n") if raw[newline - 1 : newline] == b"\r" else (b"\n\n", b"\n\r\n")
    found = raw.find(likely, start, end)
    before = raw.find(other, start, end if found < 0 else found + 1)
    if before >= 0:
        return before + len(other)
    return found + len(likely) if found >= 0 else end


def _body_cr(raw: Raw, start: int, end: int) -> int:
    if raw[start : start + 1] == b"\r":
        return start + 1
    found = raw.find(b"\r\r", start, end)
    return found + 2 if found >= 0 else end


def _fields(block: bytes) -> Fields:
    text = block.decode("latin-1").replace("\r\n", "\n")
    if "\n" not in text:
        text = text.replace("\r", "\n")
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    fields: Fields = []
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if colon and len(name) <= _LONGEST_NAME and (known := _name(name)):
            fields.append((known, value.strip(SPACE)))
    return fields


@lru_cache(maxsize=1024)
def _name(text: str) -> str:
    """Return a header's name in lower case; empty for what is none, such as "From joe Mon" of an mbox."""
    name = text.rstrip(" \t")
    return name.lower() if name.isascii() and name.isprintable() and " " not in name else ""


# --- values -----------------------------------------------------------------------------------------------------------

_ATOM = r'[^\s<>@"(),;:\\]'
_SIMPLE = re.compile(
    rf'(?:"([^"\\=]*+)"\s*+|([^"<>@,;:()\\=]*+|(?:=\?[\w-]{{1,75}}\?[bBqQ]\?[^?\s<>]*+\?=\s*+)++))'
    rf"<({_ATOM}++@{_ATOM}++)>|({_ATOM}++@{_ATOM}++)"
)
_TOKEN = re.compile(
    r'(?P<word>=\?[^?\s]{1,75}\?[bBqQ]\?[^?\s]*+\?=)|"(?P<quoted>(?:[^"\\]|\\.)*+)"|<(?P<angle>[^<>]*+)>'
    r'|(?P<special>[(),;:])|(?P<atom>[^\s"(),;:<>]++)|(?P<space>\s++)|(?P<stray>.)',
    re.DOTALL,
)
_COMMENT = re.compile(r"[()]")
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_ID = re.compile(r"<[^<>\s]+>")
_LONGEST_DATE = 200


def addresses(value: str, limit: int) -> tuple[tuple[Address, ...], bool]:
    """Return the addresses of a header value, at most ``limit``, and whether there are more.

    The structure is read before display names are decoded, so that no name can pass for an address.
    """
    return _usual_addresses(value, limit) if len(value) < _USUAL else _read_addresses(value, limit)


def _read_addresses(value: str, limit: int) -> tuple[tuple[Address, ...], bool]:
    simple = _SIMPLE.fullmatch(value)
    if simple and value.isascii() and value.isprintable():
        quoted, name, email, bare = simple.groups("")
        return (Address(name=header_text(quoted or name).strip(), email=email or bare),), False
    found = _Addresses(value, limit)
    return tuple(found.found[:limit]), len(found.found) > limit


#: The same people write again and again, to the same mailboxes; only short values are remembered.
_USUAL = 160
_usual_addresses = lru_cache(maxsize=512)(_read_addresses)


class _Addresses:
    """One walk over an address list; every character is looked at a bounded number of times."""

    def __init__(self, value: str, limit: int) -> None:
        self.found: list[Address] = []
        #: What stands before the address, as (text, it was quoted, white space stands before it).
        self._words: list[tuple[str, bool, bool]] = []
        self._comments: list[str] = []
        self._email = ""
        self._value = value
        self._space = False
        at = 0
        while len(self.found) <= limit and (match := _TOKEN.match(self._value, at)):
            at = self._take(match)
        self._flush()

    def _take(self, match: re.Match[str]) -> int:
        kind, text = match.lastgroup, match[match.lastgroup or 0]
        if kind == "special":
            return self._special(text, match.end())
        if kind == "angle":
            if self._email:
                self._flush()
            # A source route stands before the address itself (RFC 5322 section 4.4).
            self._email = "".join(text.rpartition(":")[2].split())
        elif text == '"' and kind == "stray":
            # A quote that is never closed: none behind it is minded, or each would be looked for to the end.
            self._value = self._value[: match.end()] + self._value[match.end() :].replace('"', " ")
        elif kind not in {"space", "stray"}:
            self._words.append((_PAIR.sub(r"\1", text) if kind == "quoted" else text, kind == "quoted", self._space))
        self._space = kind in {"space", "stray"}
        return match.end()

    def _special(self, text: str, end: int) -> int:
        if text == "(":
            return self._comment(end)
        if text == ":" and not self._email:
            # What stands before is a group's name.
            self._words.clear()
        elif text != ")":
            self._flush()
        return end

    def _comment(self, start: int) -> int:
        depth, end = 1, len(self._value)
        for match in _COMMENT.finditer(self._value, start):
            depth += 1 if match[0] == "(" else -1
            if not depth:
                end = match.start()
                break
        self._comments.append(self._value[start:end])
        return end + 1

    def _flush(self) -> None:
        if not (self._email or self._words or self._comments):
            return
        if not self._email:
            self._bare()
        if self._email:
            words = [text for text, _, _ in self._words] or self._comments
            name = header_text(" ".join(" ".join(words).split(" ")))
            self.found.append(Address(name=name.strip(), email=header_text(self._email)))
        self._words, self._comments, self._email, self._space = [], [], "", False

    def _bare(self) -> None:
        """Take the address out of words without angle brackets: the one with an "@", or the only one."""
        words = self._words
        at = next((n for n, (text, quoted, _) in enumerate(words) if "@" in text and not quoted), -1)
        if at < 0 and len(words) == 1 and not words[0][1]:
            at = 0
        if at < 0:
            return
        email = words[at][0]
        first = at
        if email.startswith("@") and at and not words[at][2]:
            first = at - 1
            local, quoted, _ = words[first]
            email = f'"{local}"{email}' if quoted else local + email
        self._email = email
        self._words = words[:first] + words[at + 1 :]


_USUAL_DATE = re.compile(
    r"(?:[A-Z][a-z]{2}, )?(\d\d?) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d\d)(\d\d)(?: |$)", re.ASCII
)
_MONTHS = {
    name: number
    for number, name in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)
}


def date(value: str) -> datetime | None:
    """Return a Date header in UTC; None where it can't be read or no calendar has it."""
    try:
        usual = _USUAL_DATE.match(value)
        if usual and usual[2] in _MONTHS:
            day, month, year, hour, minute, second, zone, quarter = usual.groups()
            offset = 3600 * int(zone) + 60 * int(zone[0] + quarter)
            local = datetime(int(year), _MONTHS[month], int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC)
            return local - timedelta(seconds=offset)
        return _unusual_date(value[:_LONGEST_DATE])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _unusual_date(value: str) -> datetime | None:
    parsed = parsedate_tz(value)
    if parsed is None:
        return None
    year, month, day, hour, minute, second, *_, offset = parsed
    return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC) - timedelta(seconds=offset or 0)


def ids(value: str) -> list[str]:
    """Return the message ids of a header value in their order."""
    return _ID.findall(header_text(value))


_ANCHORS = ("message-id", "date", "from", "subject")


def anchor_of(first: dict[str, str]) -> str:
    """Return the digest of the four headers that a message is known by; ``first`` has the first value of each name."""
    # White space is a matter of folding, and servers fold anew: only ASCII's, for these characters stand for bytes.
    known = [name.encode() + b":" + b" ".join(first[name].encode("latin-1").split()) for name in _ANCHORS if name in first]
    return hashlib.sha256(b"\n".join(known)).hexdigest()[:32] if known else ""
