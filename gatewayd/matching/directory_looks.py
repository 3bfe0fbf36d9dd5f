"""What one look at an operator's directory found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from gatewayd.api.directory import DirectoryHealth, edition
from gatewayd.errors import joined

if TYPE_CHECKING:
    from datetime import datetime

    from gatewayd.api.directory import Contents, DirectoryCondition
    from gatewayd.matching.worker_tasks import TaskOutcome

__all__ = ["DirectoryLook", "VersionStep", "health", "said"]


class VersionStep(NamedTuple):
    """One version of a directory's contents became another."""

    before: str
    after: str
    #: Whose contacts changed; None where that is not known.
    changed: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryLook:
    """How a directory was when it was looked at."""

    operator: str
    began: datetime
    #: When the last good load began, which may be this look.
    loaded_at: datetime | None
    contents: Contents
    #: Why the directory is at fault; empty where it is not.
    error: str
    #: Faults that were not told before.
    news: tuple[str, ...]
    #: The contents are others than before.
    is_new: bool
    #: Why it was at fault before this look.
    error_before: str

    @property
    def condition(self) -> DirectoryCondition:
        """How it is."""
        if not self.error:
            return "current"
        return "outdated" if self.contents.version else "down"

    @property
    def version(self) -> str:
        """The version of its contents."""
        return edition(self.contents.version, self.loaded_at)

    @property
    def good(self) -> bool:
        """Whether it is a good load."""
        return not self.error


def said(operator: str, outcome: TaskOutcome, began: datetime, before: DirectoryLook | None, *, longest: float) -> DirectoryLook:
    """Return what a look came to that took at most ``longest`` seconds."""
    contents, faults = outcome.contents, outcome.faults
    error = joined(faults) if outcome.failed else contents.outdated
    if outcome.failure is not None:
        how = f"it did not come to its end within {longest:g} s" if outcome.failure.overran else outcome.failure.how
        error = f"its directory could not be refreshed: {how}"
        contents, faults = before.contents if before else contents, (error,)
    known = {before.error, *before.contents.faults} if before else set()
    loaded_at = (before.loaded_at if before else None) if error else began
    return DirectoryLook(
        operator=operator,
        began=began,
        loaded_at=loaded_at,
        contents=contents,
        error=error,
        news=tuple(fault for fault in faults if fault not in known),
        is_new=before is None or edition(contents.version, loaded_at) != before.version,
        error_before=before.error if before else "",
    )


def health(operator: str, look: DirectoryLook | None, *, looking: bool) -> DirectoryHealth:
    """Return how a directory is, as it is told to others."""
    if look is None:
        return DirectoryHealth(operator=operator, condition="loading" if looking else "new")
    return DirectoryHealth(
        operator=operator,
        condition=look.condition,
        loaded_at=look.loaded_at,
        looked_at=look.began,
        version=look.contents.version,
        rows=look.contents.rows,
        faults=look.contents.faults,
        warnings=look.contents.warnings,
        error=look.error,
    )
