"""Forward rules: what mail of an operator goes on to which of its targets. Pure; patterns are RE2's, whose time is linear."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import re2

if TYPE_CHECKING:
    from gatewayd.model import Kind

__all__ = ["Rule", "compiled"]


class _Pattern(Protocol):
    def search(self, text: str) -> object: ...


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> _Pattern:
    """Return a pattern that can be searched for; raises ValueError for one that RE2 does not know."""
    options = re2.Options()
    options.log_errors = False
    try:
        found: _Pattern = re2.compile(pattern, options)
    except re2.error as error:
        why = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"expected a pattern in RE2's syntax: {why}") from None
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of an operator. All that it says must hold; what is empty or None says nothing."""

    #: Its place in the operator's file, counted from 1.
    number: int
    #: Where it stands, as file:line.
    where: str
    #: The mail is linked to a record of one of these kinds.
    linked: tuple[Kind, ...] = ()
    #: The mail is linked to nothing.
    unlinked: bool = False
    #: It came by one of these accounts.
    accounts: tuple[str, ...] = ()
    #: One of its From, or To and Cc, addresses is one of these, or of one of these domains (``@example.com``); in lower case.
    from_: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    #: An RE2 pattern that is found in the decoded subject.
    subject: str = ""
    #: Whether it has an attachment.
    attachment: bool | None = None
    #: It stands in one of these error queues.
    queues: tuple[str, ...] = ()
    #: Mail that programs sent of themselves, to lists or in bulk, is taken too.
    automatic: bool = False
    #: Names of the operator's targets.
    targets: tuple[str, ...]
