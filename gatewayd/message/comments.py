"""Comments of structured header fields (RFC 5322 section 3.2.2): they nest, and a backslash quotes what follows it."""

from __future__ import annotations

import re

__all__ = ["comment_end", "comments", "uncommented"]

_OUTSIDE = re.compile(r'"(?:[^"\\]|\\.)*+"|[("]', re.DOTALL)
_INSIDE = re.compile(r"\\.|[()]", re.DOTALL)


def comment_end(value: str, start: int) -> int:
    """Return where the comment ends that opens at ``start``, -1 where it is never closed."""
    depth = 0
    for match in _INSIDE.finditer(value, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if not depth:
            return match.end()
    return -1


def comments(value: str) -> list[tuple[int, int]]:
    """Return the spans of the comments of a value, with their parentheses. What is never closed is no comment."""
    found: list[tuple[int, int]] = []
    at = 0
    while match := _OUTSIDE.search(value, at):
        at = match.end()
        if match[0] == '"':
            # Quotes that don't pair up are not minded: looking for their ends again and again is quadratic.
            return found + [(at + first, at + last) for first, last in comments(value[at:].replace('"', " "))]
        if match[0] == "(":
            end = comment_end(value, match.start())
            if end < 0:
                break
            found.append((match.start(), end))
            at = end
    return found


def uncommented(value: str) -> str:
    """Return a value without its comments: each is no more than a blank."""
    if "(" not in value:
        return value
    out, at = [], 0
    for start, end in comments(value):
        out.append(value[at:start])
        at = end
    return " ".join((*out, value[at:]))
