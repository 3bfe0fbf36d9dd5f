"""The task and the result of a trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewayd.registry.discovery import FoundPlugin

__all__ = ["ORPHANED", "TrialResult", "TrialTask"]

#: What is told of a plugin that has ended, or stopped, the process that its own and all others were forked from.
ORPHANED = "it ends or stops the process that all are forked from"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTask:
    """One plugin to be tried."""

    found: FoundPlugin
    #: ``sys.path`` of whoever wants to know.
    path: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """What became of a trial."""

    #: What the plugin offers as (role, kind), and what it hears of as ("observers", hook).
    words: tuple[tuple[str, str], ...] = ()
    #: The kinds of its forwarders that send mail.
    sending: tuple[str, ...] = ()
    #: Why it is of no use; empty where it is sound.
    error: str = ""
    #: Where in its code that is, as far as it is known.
    file: str = ""
    line: int = 0
    column: int = 0

    @classmethod
    def of(cls, row: object) -> TrialResult:
        """Return the verdict of a row; raises ValueError, TypeError or KeyError for what is none."""
        if not isinstance(row, dict):
            raise TypeError("a verdict is an object")
        words = tuple((str(role), str(kind)) for role, kind in row["words"])
        return cls(
            words=words,
            sending=tuple(map(str, row["sending"])),
            error=str(row["error"]),
            file=str(row["file"]),
            line=int(row["line"]),
            column=int(row["column"]),
        )
