"""Times of day in a time zone: which of them comes next. Pure: no clock."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, time, tzinfo

__all__ = ["TimesOfDay", "zone_of"]

#: The next time is on the moment's own day or on one of the two days after it. It is on the third where clocks are put back over
#: midnight: tomorrow's time may have come already.
_DAYS = range(3)
_SECOND = timedelta(seconds=1)


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name in the IANA database. Raises ValueError where this machine has none of that name."""
    if name == "UTC":
        # Also where the database is not installed.
        return UTC
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        known = available_timezones()
    if not known:
        raise ValueError(f"the time zone {name!r} can't be had: install the package tzdata of this system")
    near = difflib.get_close_matches(name, sorted(known), n=1)
    raise ValueError(
        f"unknown time zone {name!r}, " + (f"did you mean {near[0]!r}?" if near else "expected one such as Europe/Berlin")
    )


@dataclass(frozen=True, slots=True)
class TimesOfDay:
    """Times of day in a time zone, the same each day."""

    times: tuple[time, ...]
    #: See ``zone_of``.
    zone: str = "UTC"

    def after(self, moment: datetime) -> datetime:
        """Return when the next of them comes after ``moment``, which has a time zone; in UTC.

        When clocks are put forward, a time that they skip comes at the change. When they are put back, a time that they show twice
        comes once, the first time.
        """
        zone = zone_of(self.zone)
        today = moment.astimezone(zone).date()
        days = (today + timedelta(days=one) for one in _DAYS)
        return min(found for day in days for found in self._on(day, zone) if found > moment)

    def _on(self, day: date, zone: tzinfo) -> Iterator[datetime]:
        for one in self.times:
            shown = datetime.combine(day, one)
            # If clocks show the time twice, this is the first moment. If they skip it, the offset is that of before (PEP 495).
            found = shown.replace(tzinfo=zone, fold=0).astimezone(UTC)
            skipped = found.astimezone(zone).replace(tzinfo=None) != shown
            yield _change(shown.replace(tzinfo=zone, fold=1).astimezone(UTC), found, zone) if skipped else found


def _change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Return the moment between these two at which the zone's offset changes, to the second."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        middle -= timedelta(microseconds=middle.microsecond)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
