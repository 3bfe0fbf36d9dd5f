"""The result of a trial."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ORPHANED", "TrialResult"]

#: The error of a plugin that ended or stopped the fork server, from which its own process and all others were forked.
ORPHANED = "it ends or stops the process that all are forked from"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """What a plugin offers, or why it can't be used."""

    #: (role, kind) for each class that it offers, and ("observers", hook) for each hook that it observes.
    words: tuple[tuple[str, str], ...] = ()
    #: The kinds of its forwarders that send mail.
    sending: tuple[str, ...] = ()
    #: Why it can't be used; empty if it is sound.
    error: str = ""
    #: The position of the error in its code, as far as it is known.
    file: str = ""
    line: int = 0
    column: int = 0

    @classmethod
    def of(cls, row: object) -> TrialResult:
        """Return a result that was written as JSON; raises ValueError, TypeError or KeyError if it is no result."""
        if not isinstance(row, dict):
            raise TypeError("a result is an object")
        words = tuple((str(role), str(kind)) for role, kind in row["words"])
        error, file, line, column = str(row["error"]), str(row["file"]), int(row["line"]), int(row["column"])
        return cls(words=words, sending=tuple(map(str, row["sending"])), error=error, file=file, line=line, column=column)
