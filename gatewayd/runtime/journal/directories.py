"""Log events of operators' directories. Their faults name files, lines and records, and quote no mail."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gatewayd.runtime.journal.lines import write

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["directory_failed", "directory_fault", "directory_healed", "directory_loaded"]

#: At most so many faults of one look have a line each.
_MOST = 20


def directory_loaded(operator: str, *, rows: int, faults: int, warnings: int) -> None:
    """A directory was loaded: so many rows, with so many faulty ones left out and so many that look wrong."""
    write(logging.INFO, "directory loaded", operator=operator, rows=rows, faults=faults, warnings=warnings)


def directory_failed(operator: str, *, cause: str, answers: bool) -> None:
    """A directory could not be loaded; ``answers``: the records from before stay in use."""
    advice = "See `gatewayd status` and `gatewayd check`."
    uses = "what was there before" if answers else None
    write(logging.ERROR, "directory failed", operator=operator, cause=cause, uses=uses, advice=advice)


def directory_healed(operator: str) -> None:
    """A directory that had failed was loaded again."""
    write(logging.INFO, "directory well again", operator=operator)


def directory_fault(operator: str, faults: Sequence[str]) -> None:
    """Something of a directory is faulty, such as a row that was left out."""
    for text in faults[:_MOST]:
        write(logging.WARNING, "directory fault", operator=operator, text=text)
    if len(faults) > _MOST:
        write(logging.WARNING, "directory has further faults", operator=operator, faults=len(faults) - _MOST)
