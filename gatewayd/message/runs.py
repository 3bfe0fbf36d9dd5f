"""Where a run of matches of one pattern ends, each behind the other, without a list of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, AnyStr

if TYPE_CHECKING:
    import re

__all__ = ["end_of_run"]


def end_of_run(pattern: re.Pattern[AnyStr], text: AnyStr, at: int) -> int:
    """Return where the matches end that follow each other from ``at`` on; ``at`` itself where there is none.

    One pattern with a repeated group would do the same, but remember each repetition, some hundred bytes of memory for each. If it
    is possessive, it does not; but Python before 3.11.5 goes on from a wrong place where a repetition begins and fails (CPython
    issue 106052).
    """
    while (match := pattern.match(text, at)) and match.end() > at:
        at = match.end()
    return at
