"""Turn the result of one check of an operator's directory into a `DirectoryLook`: is it loaded, is it new, which faults are
news.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gatewayd.api.directory import DirectoryLook, edition
from gatewayd.errors import joined

if TYPE_CHECKING:
    from datetime import datetime

    from gatewayd.matching.values import DirectoryCheck

__all__ = ["VersionStep", "directory_look"]


class VersionStep(NamedTuple):
    """One version of a directory's contents became another."""

    before: str
    after: str
    #: The addresses whose contacts changed; None where that is not known.
    changed: frozenset[str] | None


def directory_look(operator: str, check: DirectoryCheck, began: datetime, before: DirectoryLook | None) -> DirectoryLook:
    """Return the look that began at ``began`` and found ``check``, after the one ``before``."""
    error = joined(check.faults) if check.failed else check.contents.outdated
    known = {before.error, *before.contents.faults} if before else set()
    loaded_at = (before.loaded_at if before else None) if error else began
    return DirectoryLook(
        operator=operator,
        began=began,
        loaded_at=loaded_at,
        contents=check.contents,
        error=error,
        news=tuple(fault for fault in check.faults if fault not in known),
        is_new=before is None or edition(check.contents.version, loaded_at) != before.version,
        error_before=before.error if before else "",
    )
