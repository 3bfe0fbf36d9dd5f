"""Reads the answers to FETCH as imaplib hands them over (RFC 3501 section 7.4.2). Does no I/O, and can't raise."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["BODY", "Fields", "Piece", "arrival", "fields", "number"]

#: A line without a literal, or a line that ends in a literal with that literal.
Piece: TypeAlias = bytes | tuple[bytes, bytes]

#: What one message's answer says: items by name in upper case, None for NIL and for lists, which nobody here asks for.
Fields: TypeAlias = "Mapping[str, bytes | None]"

#: The name of every ``BODY[...]<...>``: no command here asks for two.
BODY = "BODY[]"

_TOKEN = re.compile(
    rb"\s*(?:(?P<open>\()|(?P<close>\))"
    rb'|"(?P<quoted>(?:[^"\\]|\\.)*)"'
    rb"|~?\{(?P<literal>\d+)\+?\}"
    rb"|(?P<atom>[^\s()\"{\[]+(?:\[[^\]]*\](?:<\d+>)?)?))",
    re.DOTALL,
)
# What nearly every server answers for sizes and arrivals, thousands of times: read at once, it takes a fifth of the time.
_PAIR = rb'[A-Z0-9.]+ (?:\d+|"[^"\\]*")'
_PLAIN = re.compile(rb"\d+ \(" + _PAIR + rb"(?: " + _PAIR + rb")*\)")
# What nearly every server answers for a body.
_ONE_BODY = re.compile(rb"\d+ \(UID (\d+) BODY\[\] \{\d+\}\)")
_PAIRS = re.compile(rb'([A-Z0-9.]+) "?((?<=")[^"\\]*|\d+)')
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_INTERNALDATE = re.compile(rb"\s*(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d{4})")
_MONTHS = {name: month for month, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}


def fields(pieces: Sequence[Piece | None]) -> Iterator[Fields]:
    """Yield what each FETCH answer says, in their order; one that is cut off or garbled is left out.

    imaplib strings them together: an answer is any number of lines that end in a literal, and one that does not.
    """
    line, literals = b"", list[bytes]()
    for piece in pieces:
        if isinstance(piece, tuple):
            line += piece[0]
            literals.append(piece[1])
        elif piece is not None:
            found = _message(line + piece, literals)
            if found:
                yield found
            line, literals = b"", []


def _message(line: bytes, literals: Sequence[bytes]) -> Fields:
    if not literals and _PLAIN.fullmatch(line):
        return {name.decode("ascii"): value for name, value in _PAIRS.findall(line)}
    if len(literals) == 1 and (body := _ONE_BODY.fullmatch(line)):
        return {"UID": body[1], BODY: literals[0]}
    found: dict[str, bytes | None] = {}
    start = line.find(b"(") + 1
    name, depth, used = "", 0, 0
    for token in _TOKEN.finditer(line, start):
        kind = token.lastgroup
        if kind in ("open", "close"):
            depth += 1 if kind == "open" else -1
            if depth < 0:
                return found
            value: bytes | None = None
            if depth or kind == "open":
                continue
        elif kind == "literal":
            value = literals[used] if used < len(literals) else None
            used += 1
        else:
            value = _ESCAPED.sub(rb"\1", token["quoted"]) if kind == "quoted" else _atom(token["atom"])
        if depth:
            continue
        if name:
            found[name] = value
        name = "" if name else _name(token)
    return {}


def _atom(text: bytes) -> bytes | None:
    return None if text.upper() == b"NIL" else text


def _name(token: re.Match[bytes]) -> str:
    name = (token["atom"] or b"?").decode("latin-1").upper()
    return BODY if name.startswith("BODY[") else name


def number(text: bytes | None) -> int | None:
    """Return a number of up to 20 digits, None where it is none."""
    return int(text) if text is not None and text.isdigit() and len(text) <= 20 else None  # noqa: PLR2004  2**64


def arrival(text: bytes | None) -> datetime | None:
    """Return an INTERNALDATE, aware; None where it is none (RFC 3501, date-time)."""
    parts = _INTERNALDATE.fullmatch(text or b"")
    if parts is None:
        return None
    day, name, year, hour, minute, second, zone = parts.groups()
    month = _MONTHS.get(name.lower(), 0)
    try:
        # A leap second, 60, is the last second of its minute.
        return datetime(int(year), month, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=_zone(zone))
    except ValueError:
        return None


@lru_cache(maxsize=256)
def _zone(text: bytes) -> timezone:
    east = timedelta(hours=int(text[1:3]), minutes=int(text[3:]))
    return timezone(-east if text.startswith(b"-") else east)
