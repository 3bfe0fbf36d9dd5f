"""The lexical pieces that header values are made of: white space, comments (RFC 5322 section 3.2.2), and runs of one pattern."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, AnyStr

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SPACE", "comment_end", "comments", "cut", "end_of_run", "uncommented"]

#: White space of a header. ``str.isspace`` would include bytes of UTF-8 such as 0x85 and 0xA0.
SPACE = " \t\r\n\v\f"

_OUTSIDE = re.compile(r'"(?:[^"\\]|\\.)*+"|[("]', re.DOTALL)
_INSIDE = re.compile(r"\\.|[()]", re.DOTALL)


def comment_end(value: str, start: int) -> int:
    """Return where the comment ends that opens at ``start``; -1 if it is never closed. A backslash quotes what follows it."""
    depth = 0
    for match in _INSIDE.finditer(value, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if not depth:
            return match.end()
    return -1


def comments(value: str) -> list[tuple[int, int]]:
    """Return the spans of the comments of a value, parentheses included. Text whose parenthesis is never closed is no comment."""
    found: list[tuple[int, int]] = []
    at = 0
    while match := _OUTSIDE.search(value, at):
        at = match.end()
        if match[0] == '"':
            # After a quote that is never closed, quotes are ignored: searching for each one's end would be quadratic.
            return found + [(at + first, at + last) for first, last in comments(value[at:].replace('"', " "))]
        if match[0] == "(":
            end = comment_end(value, match.start())
            if end < 0:
                break
            found.append((match.start(), end))
            at = end
    return found


def cut(value: str, spans: Iterable[tuple[int, int]]) -> str:
    """Return ``value`` with a space in place of each span; the spans are in order and do not overlap."""
    out, at = [], 0
    for start, end in spans:
        out.append(value[at:start])
        at = end
    return " ".join((*out, value[at:]))


def uncommented(value: str) -> str:
    """Return ``value`` with a space in place of each comment."""
    return cut(value, comments(value)) if "(" in value else value


def end_of_run(pattern: re.Pattern[AnyStr], text: AnyStr, at: int) -> int:
    """Return where consecutive matches of ``pattern`` end that begin at ``at``; ``at`` itself if it does not match there.

    A repeated group in one pattern would remember each repetition, some hundred bytes each. A possessive one would not, but
    before Python 3.11.5 it continues at a wrong place where a repetition begins and fails (CPython issue 106052).
    """
    while (match := pattern.match(text, at)) and match.end() > at:
        at = match.end()
    return at
