"""What one look at an operator's directory found out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gatewayd.api.directory import DirectoryHealth, DirectoryLook, edition
from gatewayd.errors import joined

if TYPE_CHECKING:
    from datetime import datetime

    from gatewayd.matching.worker_tasks import TaskOutcome

__all__ = ["VersionStep", "health", "said"]


class VersionStep(NamedTuple):
    """One version of a directory's contents became another."""

    before: str
    after: str
    #: Whose contacts changed; None where that is not known.
    changed: frozenset[str] | None


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
