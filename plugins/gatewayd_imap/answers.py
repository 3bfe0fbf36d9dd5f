"""Parse a server's responses as imaplib returns them (RFC 3501 section 7). Does no I/O, and never raises.

Each byte is looked at a bounded number of times, and what can't be read ends the reading of its answer.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd_imap.unasked import Spare

__all__ = [
    "BODY",
    "ORIGIN",
    "Fields",
    "ListedFolder",
    "Piece",
    "arrival",
    "by_uid",
    "fields",
    "folders",
    "named",
    "number",
    "uid_in",
]

#: A line without a literal, or a line that ends in a literal with that literal.
Piece: TypeAlias = bytes | tuple[bytes, bytes]

#: What one message's answer says of what is ever asked for: items by name in upper case. NIL is no body.
Fields: TypeAlias = "Mapping[str, bytes]"

#: The name of every ``BODY[...]``: no command here asks for two.
BODY = "BODY[]"
#: Where a partial body begins, as the server says: the n of ``BODY[]<n>``.
ORIGIN = "ORIGIN"
_KEPT = {"UID", "RFC822.SIZE", "INTERNALDATE", "X-GM-MSGID"}
_NAMES = {name.encode("ascii"): name for name in _KEPT}

_TOKEN = re.compile(
    rb"\s*+(?:(?P<open>\()|(?P<close>\))"
    rb'|"(?P<quoted>(?:[^"\\]|\\.)*+)"'
    rb"|(?P<atom>[^\s()\"\[]++(?P<section>\[[^\]]*+\](?:<(?P<origin>[0-9]{1,10})[0-9.]*+>)?)?))",
    re.DOTALL,
)
#: What stands in a list: nobody here asks for one, and flags may hold what no atom may.
_IN_LIST = re.compile(rb'[^()"]*+(?:(?P<open>\()|(?P<close>\))|"(?:[^"\\]|\\.)*+")', re.DOTALL)
# What nearly every server answers, thousands of times: read at once, it takes a fifth of the time, and none of what may be read.
_PAIR = rb'[A-Z0-9.-]++ (?:[0-9]++|"[^"\\]*+"|\([^()"]*+\))'
_PLAIN = re.compile(rb"[0-9]++ \(" + _PAIR + rb"(?: " + _PAIR + rb")*\)")
_BEFORE = re.compile(
    rb"[0-9]++ \((?P<pairs>(?:" + _PAIR + rb" )*)BODY\[[^\]]*+\](?:<(?P<origin>[0-9]{1,10})[0-9.]*+>)? ~?+\{[0-9]++\}"
)
_BEHIND = re.compile(rb"(?: " + _PAIR + rb")*\)")
_PAIRS = re.compile(rb'([A-Z0-9.-]++) "?+((?<=")[^"\\]*+|[0-9]++|\([^()"]*+\))')
_SIZED = re.compile(rb"~?+\{[0-9]++\}$")
_SEQUENCE = re.compile(rb"[0-9]++ \(")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_UID = re.compile(rb"\bUID ([0-9]{1,10})\b", re.IGNORECASE)
_WORD = re.compile(rb"[0-9]++")
_INTERNALDATE = re.compile(rb" ?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-][0-9]{4})")
_MONTHS = {name: month for month, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_MAX_DIGITS, _LARGEST = 20, (1 << 63) - 1
#: A line that may be read at once.
_SHORT = 400
#: How many words are read of one answer, and of all answers to a command where nobody says; what comes behind them is left out.
_WORDS, _ALL_WORDS = 500, 100_000


class ListedFolder(NamedTuple):
    """A folder of LIST: its name as it stands on the wire, and its flags in lower case."""

    name: bytes
    flags: frozenset[bytes]


class _Token(NamedTuple):
    kind: Literal["open", "close", "quoted", "literal", "atom", "garbled"]
    value: bytes = b""
    #: Of an atom: it names a section, and where that begins.
    section: bool = False
    origin: bytes | None = None


def fields(pieces: Sequence[Piece | None], spare: Spare | None = None) -> Iterator[Fields]:
    """Yield what each FETCH answer says, in their order; one that is cut off or garbled is left out.

    ``spare`` says how many words may be read, and is told how many were.
    """
    budget = left = spare.words if spare else _ALL_WORDS
    for answer in _answers(pieces):
        found, read = _message(answer, min(left, _WORDS))
        left -= read
        if found:
            yield found
    if spare:
        spare.read(budget - left)


def by_uid(pieces: Sequence[Piece | None], spare: Spare) -> tuple[dict[int, Fields], frozenset[int]]:
    """Return what FETCH answers say by UID, several answers to one UID as one; and the UIDs whose body came more than once."""
    messages: dict[int, Fields] = {}
    twice = set[int]()
    for answer in fields(pieces, spare):
        uid = number(answer.get("UID"))
        if uid is None:
            continue
        before = messages.get(uid, {})
        if BODY in before and BODY in answer:
            twice.add(uid)
        messages[uid] = {**before, **answer}
    return messages, frozenset(twice)


def folders(pieces: Sequence[Piece | None]) -> Iterator[ListedFolder]:
    """Yield the folders that LIST answers (RFC 3501 section 7.2.2); a garbled one is left out."""
    budget = _ALL_WORDS
    for answer in _answers(pieces):
        depth, flags, words = 0, list[bytes](), list[bytes]()
        for token in _tokens(answer, most=min(budget, _WORDS), lists=True):
            budget -= 1
            depth += (token.kind == "open") - (token.kind == "close")
            if token.kind in ("atom", "quoted", "literal"):
                (flags if depth else words).append(token.value)
            if depth < 0 or token.kind == "garbled":
                words.clear()
                break
        if len(words) == 2:  # noqa: PLR2004  delimiter and name
            yield ListedFolder(words[1], frozenset(flag.lower() for flag in flags))


def _answers(pieces: Sequence[Piece | None]) -> Iterator[list[Piece]]:
    """Take apart what imaplib strings together: an answer is any number of lines that end in a literal, and one that does not."""
    answer: list[Piece] = []
    for piece in pieces:
        if piece is not None:
            answer.append(piece)
        if isinstance(piece, bytes):
            yield answer
            answer = []


def _message(answer: Sequence[Piece], most: int) -> tuple[Fields, int]:
    """Return what an answer says, and how many of at most ``most`` words were read."""
    if (plain := _plain(answer)) is not None:
        return plain, 0
    found: dict[str, bytes] = {}
    name, depth, read = "", 0, 0
    for token in _tokens(answer, most=most, start=_SEQUENCE):
        read += 1
        if token.kind == "garbled":
            break
        if token.kind == "close" and not depth:
            return found, read
        depth += (token.kind == "open") - (token.kind == "close")
        if token.kind == "open" or depth:
            continue
        if not name:
            name = _name(token)
            if token.origin is not None:
                found[ORIGIN] = token.origin
        else:
            kept = name in _KEPT or (name == BODY and token.kind in ("quoted", "literal"))
            if kept and found.setdefault(name, token.value) != token.value:
                # Nobody can tell of which message it is.
                break
            name = ""
    return {}, read


def _plain(answer: Sequence[Piece]) -> Fields | None:
    """Return what an answer says that has the form that nearly all have; None where it has another."""
    *begun, last = answer
    if len(begun) > 1 or not isinstance(last, bytes) or len(last) > _SHORT:
        return None
    if not begun:
        return _pairs(last, last.find(b"(") + 1) if _PLAIN.fullmatch(last) else None
    first = begun[0]
    if not isinstance(first, tuple) or len(first[0]) > _SHORT:
        return None
    before = _BEFORE.fullmatch(first[0])
    if before is None or not _BEHIND.fullmatch(last):
        return None
    origin: bytes | None = before["origin"]
    where: dict[str, bytes] = {} if origin is None else {ORIGIN: origin}
    pairs = _pairs(before["pairs"] + last)
    return pairs if pairs is None else {**pairs, BODY: first[1], **where}


def _pairs(text: bytes, start: int = 0) -> dict[str, bytes] | None:
    """Return the items of an answer; None where it says one of them twice."""
    found = [(_NAMES[name], value) for name, value in _PAIRS.findall(text, start) if name in _NAMES]
    pairs = dict(found)
    return pairs if len(pairs) == len(found) else None


def _tokens(answer: Sequence[Piece], *, most: int, start: re.Pattern[bytes] | None = None, lists: bool = False) -> Iterator[_Token]:
    """Yield what an answer is made of, up to what can't be read. ``lists``: also what stands in lists, as atoms."""
    depth = 0
    for piece in answer:
        text = _SIZED.sub(b"", piece[0]) if isinstance(piece, tuple) else piece
        at = 0
        if start:
            begun = start.match(text)
            at, start = begun.end() if begun else len(text), None
        while found := (_IN_LIST if depth and not lists else _TOKEN).match(text, at):
            most -= 1
            if most <= 0:
                break
            at = found.end()
            token = _token(found)
            depth += (token.kind == "open") - (token.kind == "close")
            yield token
        if most <= 0 or text.find(b'"', at) >= 0 or (text[at:].strip() and (lists or not depth)):
            yield _Token("garbled")
        if isinstance(piece, tuple):
            yield _Token("literal", piece[1])


def _token(found: re.Match[bytes]) -> _Token:
    kind = found.lastgroup
    if kind == "open":
        return _Token("open")
    if kind == "close":
        return _Token("close")
    if kind == "atom":
        return _Token("atom", found["atom"], section=found["section"] is not None, origin=found["origin"])
    return _Token("quoted", _ESCAPED.sub(rb"\1", found["quoted"]) if kind == "quoted" else b"")


def _name(token: _Token) -> str:
    if token.kind != "atom":
        return "?"
    name = token.value.decode("latin-1").upper()
    return BODY if token.section and name.startswith("BODY[") else name


def named(lines: Sequence[Piece | None], first: int, last: int) -> tuple[frozenset[int], frozenset[int]]:
    """Return the numbers that SEARCH names from ``first`` to ``last``, and up to two of the others; 0 is for what is none.

    What stands in parentheses is the folder's MODSEQ (RFC 7162 section 3.1.5).
    """
    found, others = set[int](), set[int]()
    for line in lines:
        if not isinstance(line, bytes):
            others |= {0} if line is not None else set()
            continue
        for word in _WORD.finditer(line.partition(b"(")[0]):
            uid = int(word[0]) if word.end() - word.start() <= _MAX_DIGITS else 0
            if first <= uid <= last:
                found.add(uid)
            elif len(others) < 2:  # noqa: PLR2004  more say no more
                others.add(uid)
    return frozenset(found), frozenset(others)


def number(text: object) -> int | None:
    """Return a number of up to 63 bits (RFC 9051 section 9, number64), None where it is none."""
    found = int(text) if isinstance(text, bytes) and text.isdigit() and len(text) <= _MAX_DIGITS else None
    return found if found is not None and found <= _LARGEST else None


def uid_in(line: bytes) -> int | None:
    """Return the UID that stands in the beginning of an answer to FETCH, before its literal."""
    found = _UID.search(line)
    return int(found[1]) if found else None


def arrival(text: bytes | None) -> datetime | None:
    """Return an INTERNALDATE, aware; None where it is none (RFC 3501, date-time)."""
    parts = _INTERNALDATE.fullmatch(text or b"")
    if parts is None:
        return None
    day, name, year, hour, minute, second, zone = parts.groups()
    month = _MONTHS.get(name.lower(), 0)
    try:
        # A leap second, 60, is the last second of its minute.
        found = datetime(int(year), month, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=_zone(zone))
        found.astimezone(UTC)
    except (ValueError, OverflowError):
        # There is no such moment, or none that others can reckon with.
        return None
    return found


@lru_cache(maxsize=256)
def _zone(text: bytes) -> timezone:
    east = timedelta(hours=int(text[1:3]), minutes=int(text[3:]))
    return timezone(-east if text.startswith(b"-") else east)
