"""Read the instant of a Date header (RFC 5322 section 3.3), however it is written; None if it is ambiguous."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from gatewayd.message.lexing import uncommented

__all__ = ["date"]

_USUAL = re.compile(
    r"(?:[A-Z][a-z]{2}, )?(\d\d?) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d\d)(\d\d)(?: \([^()]*\))?", re.ASCII
)
_MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTHS = {name[:3].title(): number for number, name in enumerate(_MONTH_NAMES, 1)}
_WORDS = {word: number for number, name in enumerate(_MONTH_NAMES, 1) for word in (name, name[:3])} | {"sept": 9}
_LONGEST = 200
#: The first year allowed (RFC 5322 section 3.3), and the last: later ones come from other calendars, such as the Thai one.
_FIRST, _LAST = 1900, 2399

#: Names of zones that mean the same offset everywhere, by that offset in minutes; those of RFC 5322 section 4.3 among them.
_ZONES_BY_OFFSET = {
    -600: ("hst",),
    -540: ("akst",),
    -480: ("akdt", "pst"),
    -420: ("mst", "pdt"),
    -360: ("cst", "mdt"),
    -300: ("est", "cdt"),
    -240: ("edt",),
    0: ("ut", "gmt", "utc", "z", "wet"),
    60: ("cet", "met", "mez", "west"),
    120: ("cest", "eet", "mest", "mesz", "sast"),
    180: ("eest", "msk"),
    480: ("awst", "hkt", "sgt"),
    540: ("jst", "kst"),
    600: ("aest",),
    660: ("aedt",),
    720: ("nzst",),
    780: ("nzdt",),
}
_ZONES = {zone: offset for offset, zones in _ZONES_BY_OFFSET.items() for zone in zones}
_UTC = {"ut", "gmt", "utc", "z"}
#: The minutes of the offsets that exist.
_MINUTES = {0, 30, 45}
#: Every offset is less than this, in minutes.
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
    """Return the instant of a Date header in UTC; a date without a zone is taken as UTC.

    None if it can be read in more than one way: a wrong instant is worse than no instant.
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


def _unusual(value: str) -> datetime | None:
    """Read any other spelling; raises ValueError or OverflowError for a date that no calendar has."""
    # White space and comments may separate any two tokens (RFC 5322 appendix A.6.3).
    value = " ".join(value.split()).replace(" :", ":").replace(": ", ":")
    iso = _ISO.search(value)
    if iso:
        # ISO 8601 joins the time to the day with a T.
        value = f"{value[: iso.start()]} {value[iso.end() :]}"
    clock = _CLOCK.search(value)
    if clock is None:
        return None
    before, behind = value[: clock.start()], value[clock.end() :]
    year = ""
    if not iso and len(_DIGITS.findall(before)) == 1 and (found := _YEAR.search(behind)):
        # The C library writes the year after the time.
        year, behind = found[0], behind[: found.start()] + behind[found.end() :]
    day = (int(iso["year"]), int(iso["month"]), int(iso["day"])) if iso else _day(before, year)
    offset = _zone(behind)
    if day is None or offset is None:
        return None
    hour, minute, second = _time(clock)
    if not _FIRST <= day[0] <= _LAST or second > 60:  # noqa: PLR2004  60 is a leap second
        return None
    return datetime(*day, hour, minute, min(second, 59), tzinfo=UTC) - timedelta(minutes=offset)


def _time(clock: re.Match[str]) -> tuple[int, int, int]:
    hour, minute = int(clock["hour"]), int(clock["minute"] or clock["minute2"])
    half = (clock["half"] or "")[:1].lower()
    if half and not 1 <= hour <= 12 and not (half == "p" and hour > 12):  # noqa: PLR2004
        raise ValueError(hour)
    if half:
        hour = hour % 12 + (12 if half == "p" else 0) if hour <= 12 else hour  # noqa: PLR2004
    return hour, minute, int(clock["second"] or clock["second2"] or 0)


def _day(before: str, year: str) -> tuple[int, int, int] | None:
    """Return year, month and day of the text before the time, with the month in letters; ``year`` is a year after the time."""
    words = [word.lower() for word in _LETTERS.findall(before)]
    months = [_WORDS[word] for word in words if word in _WORDS]
    numbers = [number for number in (*_DIGITS.findall(before), year) if number]
    if len(months) != 1 or len(numbers) != 2 or _SIGNED.search(before):  # noqa: PLR2004  a day and a year
        return None
    day, year = numbers if len(numbers[0]) < 4 else reversed(numbers)  # noqa: PLR2004
    return None if len(day) > 2 else (_year(year), months[0], int(day))  # noqa: PLR2004


def _year(digits: str) -> int:
    """Return a year, in full if it has two or three digits (RFC 5322 section 4.3); raises ValueError for any other length."""
    year = int(digits)
    if len(digits) == 2:  # noqa: PLR2004
        return year + (2000 if year < 50 else 1900)  # noqa: PLR2004
    if len(digits) == 3:  # noqa: PLR2004
        return year + 1900
    if len(digits) != 4:  # noqa: PLR2004
        raise ValueError(digits)
    return year


def _zone(behind: str) -> int | None:
    """Return the offset in minutes from the text after the time; 0 if that is empty.

    None if the zone is unknown, or two zones contradict each other.
    """
    words = [word.lower() for word in _LETTERS.findall(behind)]
    named = {_ZONES[word] for word in words if word in _ZONES}
    first = _OFFSET.search(behind)
    if first is None:
        # An unknown zone could mean any instant, and so could an offset that lost its sign.
        unambiguous = named and words[0] in _ZONES and not _DIGITS.search(behind)
        return (named.pop() if len(named) == 1 else None) if unambiguous else (None if behind.strip(' ,.;"') else 0)
    if words and words[0] in _UTC and _LETTERS.search(behind, 0, first.start()):
        # "GMT+0800" means +0800.
        named.discard(0)
    offsets = {_offset(match["sign"], match["digits"].replace(":", "")) for match in _OFFSET.finditer(behind)}
    return offsets.pop() if len(offsets | named) == 1 else None


def _offset(sign: str, digits: str) -> int:
    """Return an offset in minutes; raises ValueError if there is no such offset."""
    hours, minutes = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))  # noqa: PLR2004
    if len(digits) == 3 and minutes not in _MINUTES:  # noqa: PLR2004
        # "+010" lost a digit, and it could be any of them.
        raise ValueError(digits)
    if len(digits) > 4 or minutes > 59 or 60 * hours + minutes >= _FARTHEST:  # noqa: PLR2004
        raise ValueError(digits)
    return (60 * hours + minutes) * (-1 if sign == "-" else 1)
