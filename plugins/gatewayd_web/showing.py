"""Show times and sizes to people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = ["exactly", "size", "when"]

_KIB = 1024
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def when(moment: datetime | None, zone: tzinfo, *, now: datetime | None = None) -> str:
    """Return a time in a person's time zone: of today the time, of this year the day, else the date."""
    if moment is None:
        return ""
    local, today = moment.astimezone(zone), (now or datetime.now(UTC)).astimezone(zone)
    if local.date() == today.date():
        return _time(local)
    return _day(local) if local.year != today.year else f"{_day(local)} {_time(local)}"


def exactly(moment: datetime | None, zone: tzinfo) -> str:
    """Return a time in a person's time zone, with the day and the zone."""
    if moment is None:
        return ""
    local = moment.astimezone(zone)
    return f"{_day(local)} {_time(local)} {local.tzname()}"


def _day(local: datetime) -> str:
    return f"{local.year}-{local.month:02}-{local.day:02}"


def _time(local: datetime) -> str:
    return f"{local.hour:02}:{local.minute:02}"


def size(number: int | None) -> str:
    """Return a size in the largest unit of which it has one."""
    if number is None:
        return ""
    value, unit = float(number), 0
    while value >= _KIB and unit < len(_UNITS) - 1:
        value, unit = value / _KIB, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 10 else f"{value:.1f} {_UNITS[unit]}"  # noqa: PLR2004  one decimal
