"""What happens to operators' directories. Their faults name files, lines and records; no mail's text stands in them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gatewayd.runtime.journal.saying import say

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["directory_failed", "directory_fault", "directory_healed", "directory_loaded"]

#: At most so many faults of one look have a line each.
_MOST = 20


def directory_loaded(operator: str, *, rows: int, faults: int, warnings: int) -> None:
    """What lies behind a directory was taken over: so many rows, with so many faulty ones left out and so many that look wrong."""
    say(logging.INFO, "directory loaded", operator=operator, rows=rows, faults=faults, warnings=warnings)


def directory_failed(operator: str, *, cause: str, answers: bool) -> None:
    """What lies behind a directory can't be taken over; ``answers``: what was there before stays in use."""
    advice = "See `gatewayd status` and `gatewayd check`."
    uses = "what was there before" if answers else None
    say(logging.ERROR, "directory failed", operator=operator, cause=cause, uses=uses, advice=advice)


def directory_healed(operator: str) -> None:
    """A directory that failed answers from what lies behind it again."""
    say(logging.INFO, "directory well again", operator=operator)


def directory_fault(operator: str, faults: Sequence[str]) -> None:
    """Something of a directory is faulty, such as a row that was left out."""
    for text in faults[:_MOST]:
        say(logging.WARNING, "directory fault", operator=operator, text=text)
    if len(faults) > _MOST:
        say(logging.WARNING, "directory has further faults", operator=operator, faults=len(faults) - _MOST)
