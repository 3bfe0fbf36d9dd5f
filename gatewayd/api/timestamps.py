"""Times as people and programs are shown them: always in UTC, and always saying so. Nobody else makes text of a time.

What protocols say of times is theirs: the Date of a mail (RFC 5322), the day of an IMAP search.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, overload

__all__ = ["minute", "moment", "second", "span"]

#: Units of time with their seconds, the largest first.
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def minute(when: datetime | None) -> str:
    """Return a time for people, such as ``2026-01-31 09:05 UTC``; empty where there is none."""
    return "" if when is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def second(when: datetime) -> str:
    """Return a time for people to the second, where a minute would not tell two apart."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


@overload
def moment(when: datetime, precision: Literal["seconds", "milliseconds"] = ...) -> str: ...
@overload
def moment(when: datetime | None, precision: Literal["seconds", "milliseconds"] = ...) -> str | None: ...
def moment(when: datetime | None, precision: Literal["seconds", "milliseconds"] = "seconds") -> str | None:
    """Return a time in UTC for programs, as RFC 3339 has it: ``2026-01-31T09:05:00Z``; None where there is none."""
    return None if when is None else when.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def span(seconds: float, *, in_full: bool = False) -> str:
    """Return a span of time in the largest unit of which it has two or more: ``3h``, or ``3 hours`` if ``in_full``."""
    whole = max(0, int(seconds))
    unit, length = next((one for one in _UNITS if whole >= 2 * one[1]), _UNITS[-1])
    return f"{whole // length} {unit}s" if in_full else f"{whole // length}{unit[0]}"
