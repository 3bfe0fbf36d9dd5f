"""Read what the receiving mail server wrote of who sent a mail: Authentication-Results (RFC 8601)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Mail

__all__ = ["AuthenticationResult", "AuthenticationResults", "read_results", "results_of"]

#: So much of the header is read, and so many results.
_MOST, _RESULTS = 16_384, 12
#: What is shown, with the properties that say of which domain it is true; the first that there is counts.
_ABOUT = {"spf": ("smtp.mailfrom", "smtp.helo"), "dkim": ("header.d", "header.i"), "dmarc": ("header.from",)}
_GOOD, _BAD = frozenset({"pass"}), frozenset({"fail", "hardfail", "softfail"})

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ATOM = re.compile(r'[^\s;=()"]++')
_COMMENT = re.compile(r"\\.|[()]", re.DOTALL)
_WORD = re.compile(r"[a-z][a-z-]{0,30}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationResult:
    """One result."""

    #: ``spf``, ``dkim`` or ``dmarc``.
    method: str
    #: As the server wrote it, such as ``pass``.
    result: str
    #: The domain that it is about; empty where the server names none.
    domain: str

    @property
    def is_good(self) -> bool:
        """Whether it proves the domain."""
        return self.result in _GOOD

    @property
    def is_bad(self) -> bool:
        """Whether it says that the mail is not from there."""
        return self.result in _BAD


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationResults:
    """What one server says."""

    #: How it calls itself (authserv-id); empty where it does not, such as Exchange Online.
    server: str
    results: tuple[AuthenticationResult, ...]


def results_of(mail: Mail) -> AuthenticationResults | None:
    """Return what the topmost header says, which is of the server that had the mail last; None if it has no such header.

    Where that server writes none, it is whoever wrote the mail that wrote this.
    """
    written = next((value for name, value in mail.headers if name == "authentication-results"), None)
    return None if written is None else read_results(written)


def read_results(written: str) -> AuthenticationResults:
    """Return what the value of a header says (RFC 8601 section 2.2). Never raises: what can't be read is left out."""
    first, *others = _statements(written[:_MOST])
    # It may lack the server's name, against the RFC.
    server, statements = ("", [first, *others]) if "=" in first else (first[0] if first else "", others)
    results = [result for one in statements if (result := _result(one))]
    return AuthenticationResults(server=server, results=tuple(results[:_RESULTS]))


def _result(statement: Sequence[str]) -> AuthenticationResult | None:
    """Return what a statement says; None if it is about something else, such as `none` or arc."""
    pairs = {statement[at - 1].lower(): statement[at + 1] for at in range(len(statement) - 2, 0, -1) if statement[at] == "="}
    method = statement[0].lower().partition("/")[0] if statement else ""
    result = pairs.get(statement[0].lower(), "").lower() if statement else ""
    if method not in _ABOUT or not _WORD.fullmatch(result):
        return None
    about = next((pairs[one] for one in _ABOUT[method] if one in pairs), "").rpartition("@")[2].lower()
    # Exchange Online writes `none` for no domain.
    return AuthenticationResult(method=method, result=result, domain=about if "." in about else "")


def _statements(written: str) -> list[list[str]]:
    """Return the words between semicolons, each `=` as a word of its own; at least one list."""
    found: list[list[str]] = [[]]
    for word, is_mark in _words(written):
        if is_mark and word == ";":
            found.append([])
        else:
            found[-1].append(word)
    return found


def _words(written: str) -> Iterator[tuple[str, bool]]:
    """Yield words, what stands in quotes as one, and marks. What follows a quote or comment that is never closed is left out."""
    at = 0
    while at < len(written):
        char = written[at]
        if char == "(":
            at = _comment_end(written, at)
        elif char in ";=":
            yield char, True
            at += 1
        elif char == '"':
            quoted = _QUOTED.match(written, at)
            if not quoted:
                return
            yield re.sub(r"\\(.)", r"\1", quoted[1]), False
            at = quoted.end()
        elif atom := _ATOM.match(written, at):
            yield atom[0], False
            at = atom.end()
        else:
            at += 1


def _comment_end(written: str, start: int) -> int:
    depth = 0
    for match in _COMMENT.finditer(written, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if not depth:
            return match.end()
    return len(written)
