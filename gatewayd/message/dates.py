"""The instant that a Date header means (RFC 5322 section 3.3), however it is written; none where that can't be told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from gatewayd.message.lexing import uncommented

__all__ = ["date"]

_USUAL = re.compile(
    r"(?:[A-Z][a-z]{2}, )?(\d\d?) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d\d)(\d\d)(?: \([^()]*\))?", re.ASCII
)
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_FULL = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "sept",
]
_WORDS = {spelt: _MONTHS[name[:3].title()] for name in _FULL for spelt in (name, name[:3])}
_LONGEST = 200
#: The first year that there is (RFC 5322 section 3.3), and the last one: those behind it are of other calendars, such as the Thai.
_FIRST, _LAST = 1900, 2399

#: Zones that mean one offset wherever they are written, in minutes. The first ten are RFC 5322's (section 4.3).
_ZONES = {
    "ut": 0,
    "gmt": 0,
    "est": -300,
    "edt": -240,
    "cst": -360,
    "cdt": -300,
    "mst": -420,
    "mdt": -360,
    "pst": -480,
    "pdt": -420,
    "utc": 0,
    "z": 0,
    "wet": 0,
    "west": 60,
    "cet": 60,
    "cest": 120,
    "met": 60,
    "mest": 120,
    "mez": 60,
    "mesz": 120,
    "eet": 120,
    "eest": 180,
    "msk": 180,
    "sast": 120,
    "jst": 540,
    "kst": 540,
    "hkt": 480,
    "sgt": 480,
    "awst": 480,
    "aest": 600,
    "aedt": 660,
    "nzst": 720,
    "nzdt": 780,
    "akst": -540,
    "akdt": -480,
    "hst": -600,
}
_UTC = {"ut", "gmt", "utc", "z"}
#: Of the zones that there are.
_MINUTES = {0, 30, 45}
#: No place on earth is farther off.
_FARTHEST = 24 * 60

_CLOCK = re.compile(
    r"(?<![\d.:])(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d{1,9})?)?|\.(?P<minute2>\d\d)\.(?P<second2>\d\d))"
    r"(?![\d.:])[ \t]*(?P<half>[AaPp]\.?[Mm]\b\.?)?",
    re.ASCII,
)
_ISO = re.compile(r"(?<!\d)(?P<year>\d{4})([-/])(?P<month>\d\d?)\2(?P<day>\d\d?)(?!\d)[Tt]?", re.ASCII)
_LETTERS = re.compile(r"[A-Za-z]+")
_DIGITS = re.compile(r"[0-9]+")
_SIGNED = re.compile(r"(?:^| )[+-][0-9]")
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<digits>\d{1,2}:\d\d|\d+)(?![:\d])", re.ASCII)
_YEAR = re.compile(r"(?<![+:\d-])\d{4}(?![:\d])", re.ASCII)


def date(value: str) -> datetime | None:
    """Return the instant of a Date header in UTC.

    None where it is not told in one way only: a wrong instant is worse than none. A date without a zone is taken for UTC.
    """
    try:
        usual = _USUAL.fullmatch(value)
        if usual and usual[2] in _MONTHS:
            day, month, year, hour, minute, second, hours, minutes = usual.groups()
            if _FIRST <= int(year) <= _LAST and second < "60" and hours[1:] < "24" and minutes < "60":
                offset = 3600 * int(hours) + 60 * int(hours[0] + minutes)
                local = datetime(int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second), tzinfo=UTC)
                return local - timedelta(seconds=offset)
        return _unusual(uncommented(value[:_LONGEST]))
    except (ValueError, OverflowError):
        return None


def _instant(day: tuple[int, int, int], clock: tuple[int, int, int], offset: int) -> datetime:
    """Return the instant; raises ValueError and OverflowError where no calendar has it."""
    hour, minute, second = clock
    if not _FIRST <= day[0] <= _LAST or second > 60:  # noqa: PLR2004  60 is a leap second
        raise ValueError(day)
    return datetime(*day, hour, minute, min(second, 59), tzinfo=UTC) - timedelta(minutes=offset)


def _unusual(value: str) -> datetime | None:
    # Blanks and comments may stand between any two tokens (RFC 5322 appendix A.6.3).
    value = " ".join(value.split()).replace(" :", ":").replace(": ", ":")
    iso = _ISO.search(value)
    if iso:
        # What is joined to the day by a T is the time.
        value = f"{value[: iso.start()]} {value[iso.end() :]}"
    clock = _CLOCK.search(value)
    if clock is None:
        return None
    before, behind = value[: clock.start()], value[clock.end() :]
    year = ""
    if not iso and len(_DIGITS.findall(before)) == 1 and (found := _YEAR.search(behind)):
        # As the C library writes it.
        year, behind = found[0], behind[: found.start()] + behind[found.end() :]
    day = (int(iso["year"]), int(iso["month"]), int(iso["day"])) if iso else _day(before, year)
    offset = _zone(behind)
    if day is None or offset is None:
        return None
    return _instant(day, _time(clock), offset)


def _time(clock: re.Match[str]) -> tuple[int, int, int]:
    hour, minute = int(clock["hour"]), int(clock["minute"] or clock["minute2"])
    half = (clock["half"] or "")[:1].lower()
    if half and not 1 <= hour <= 12 and not (half == "p" and hour > 12):  # noqa: PLR2004
        raise ValueError(hour)
    if half:
        hour = hour % 12 + (12 if half == "p" else 0) if hour <= 12 else hour  # noqa: PLR2004
    return hour, minute, int(clock["second"] or clock["second2"] or 0)


def _day(before: str, year: str) -> tuple[int, int, int] | None:
    """Return year, month and day. The month stands in letters; ``year`` is one that stands behind the time."""
    words = [word.lower() for word in _LETTERS.findall(before)]
    months = [_WORDS[word] for word in words if word in _WORDS]
    numbers = [number for number in (*_DIGITS.findall(before), year) if number]
    if len(months) != 1 or len(numbers) != 2 or _SIGNED.search(before):  # noqa: PLR2004  a day and a year
        return None
    day, year = numbers if len(numbers[0]) < 4 else reversed(numbers)  # noqa: PLR2004
    return None if len(day) > 2 else (_year(year), months[0], int(day))  # noqa: PLR2004


def _year(digits: str) -> int:
    """Return a year that was written in two or three digits (RFC 5322 section 4.3); raises ValueError."""
    year = int(digits)
    if len(digits) == 2:  # noqa: PLR2004
        return year + (2000 if year < 50 else 1900)  # noqa: PLR2004
    if len(digits) == 3:  # noqa: PLR2004
        return year + 1900
    if len(digits) != 4:  # noqa: PLR2004
        raise ValueError(digits)
    return year


def _zone(behind: str) -> int | None:
    """Return the offset in minutes that stands behind the time; None where it is unknown, or two contradict each other.

    Nothing at all means UTC.
    """
    words = [word.lower() for word in _LETTERS.findall(behind)]
    named = {_ZONES[word] for word in words if word in _ZONES}
    first = _OFFSET.search(behind)
    if first is None:
        # Of a zone that is not known nobody can tell the instant, nor of one that lost its sign.
        told = named and words[0] in _ZONES and not _DIGITS.search(behind)
        return (named.pop() if len(named) == 1 else None) if told else (None if behind.strip(' ,.;"') else 0)
    if words and words[0] in _UTC and _LETTERS.search(behind, 0, first.start()):
        # "GMT+0800" means the offset.
        named.discard(0)
    offsets = {_offset(match["sign"], match["digits"].replace(":", "")) for match in _OFFSET.finditer(behind)}
    return offsets.pop() if len(offsets | named) == 1 else None


def _offset(sign: str, digits: str) -> int:
    """Return an offset in minutes; raises ValueError for what is none."""
    hours, minutes = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))  # noqa: PLR2004
    if len(digits) == 3 and minutes not in _MINUTES:  # noqa: PLR2004
        # "+010" lost a digit, and nobody knows which.
        raise ValueError(digits)
    if len(digits) > 4 or minutes > 59 or 60 * hours + minutes >= _FARTHEST:  # noqa: PLR2004
        raise ValueError(digits)
    return (60 * hours + minutes) * (-1 if sign == "-" else 1)
