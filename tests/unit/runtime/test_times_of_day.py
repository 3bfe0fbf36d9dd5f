"""Which time of day comes next, also on days on which clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd.runtime.times_of_day import TimesOfDay, zone_of

#: Summer time, also of half an hour, and but for a month of fasting; a date line that was crossed; clocks that were put back from
#: 00:01 to 23:01; hours and minutes from UTC.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "America/St_Johns",
    "Asia/Kathmandu",
]
#: Days around which one of the zones changes its clocks: 2011-12-30 was no day in Samoa.
CHANGES = [
    (2026, 3, 29),
    (2026, 10, 25),
    (2026, 3, 8),
    (2026, 11, 1),
    (2026, 4, 5),
    (2026, 10, 4),
    (2011, 12, 30),
    (2026, 2, 15),
    (2010, 11, 7),
]
MINUTE = timedelta(minutes=1)


def noon(day: tuple[int, int, int]) -> datetime:
    year, month, number = day
    return datetime(year, month, number, 12, tzinfo=UTC)


def moments() -> st.SearchStrategy[datetime]:
    near = st.builds(
        lambda day, minutes: noon(day) + timedelta(minutes=minutes),
        st.sampled_from(CHANGES),
        st.integers(-3 * 1440, 2 * 1440),
    )
    # From 2001 to 2036.
    return st.one_of(near, st.integers(10**9, 21 * 10**8).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)))


def times() -> st.SearchStrategy[tuple[time, ...]]:
    some = st.builds(time, st.integers(0, 23), st.integers(0, 59))
    tricky = st.sampled_from([time(0, 0), time(2, 0), time(2, 30), time(3, 0), time(1, 30), time(23, 59)])
    return st.lists(st.one_of(some, tricky), min_size=1, max_size=4, unique=True).map(tuple)


def shown(moment: datetime, zone: str) -> datetime:
    """What a clock on the wall shows."""
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def by_the_clock(given: tuple[time, ...], zone: str, start: datetime, minutes: int) -> list[datetime]:
    """When somebody comes who looks at the wall each minute, and comes as soon as it shows a time or more that it had not yet."""
    came, most = [], shown(start, zone)
    for minute in range(1, minutes):
        now = start + minute * MINUTE
        wall = shown(now, zone)
        days = {most.date() + timedelta(days=day) for day in range((wall.date() - most.date()).days + 1)}
        if any(most < datetime.combine(day, one) <= wall for day in days for one in given):
            came.append(now)
        most = max(most, wall)
    return came


@settings(max_examples=60, deadline=None)
@given(given=times(), zone=st.sampled_from(ZONES), day=st.sampled_from(CHANGES))
def test_it_comes_when_the_wall_shows_it_once_a_day(given: tuple[time, ...], zone: str, day: tuple[int, int, int]) -> None:
    # Two days before, at an hour that no zone here repeats.
    start, minutes = noon(day) - timedelta(days=2), 4 * 1440
    found, at, times_of_day = [], start, TimesOfDay(given, zone)
    while (at := times_of_day.after(at)) < start + minutes * MINUTE:
        found.append(at)
    assert found == by_the_clock(given, zone, start, minutes)


@given(given=times(), zone=st.sampled_from(ZONES), moment=moments())
def test_the_next_one_comes_later_and_nothing_lies_between(given: tuple[time, ...], zone: str, moment: datetime) -> None:
    times_of_day = TimesOfDay(given, zone)
    found = times_of_day.after(moment)
    assert found.tzinfo is UTC
    assert moment < found <= moment + timedelta(days=3)
    assert times_of_day.after(found - timedelta(microseconds=1)) == found
    assert times_of_day.after(moment + (found - moment) / 2) == found


@given(given=times(), zone=st.sampled_from(ZONES), moment=moments())
def test_the_wall_shows_one_of_the_times_unless_it_just_skipped_it(given: tuple[time, ...], zone: str, moment: datetime) -> None:
    found = TimesOfDay(given, zone).after(moment)
    now, before = shown(found, zone), shown(found - MINUTE, zone)
    assert now.time() in given or now - before > MINUTE


@given(given=times(), zone=st.sampled_from(ZONES), moment=moments())
def test_more_times_are_never_later_and_their_order_does_not_matter(given: tuple[time, ...], zone: str, moment: datetime) -> None:
    alone = [TimesOfDay((one,), zone).after(moment) for one in given]
    assert TimesOfDay(given, zone).after(moment) == TimesOfDay(given[::-1], zone).after(moment) == min(alone)


def test_a_skipped_time_comes_at_the_change_and_a_repeated_one_once() -> None:
    berlin = TimesOfDay((time(2, 30),), "Europe/Berlin")
    at = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert [at := berlin.after(at) for _ in range(2)] == [
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 3, 30, 0, 30, tzinfo=UTC),
    ]
    at = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert [at := berlin.after(at) for _ in range(2)] == [
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 26, 1, 30, tzinfo=UTC),
    ]


def test_a_time_that_came_before_clocks_were_put_back_over_midnight_comes_the_day_after() -> None:
    st_johns, at = TimesOfDay((time(0, 0),), "America/St_Johns"), datetime(2010, 11, 7, 2, tzinfo=UTC)
    first = st_johns.after(at)
    assert shown(first, "America/St_Johns").isoformat(" ", "minutes") == "2010-11-07 00:00"
    again = first + timedelta(minutes=10)
    assert shown(again, "America/St_Johns").isoformat(" ", "minutes") == "2010-11-06 23:10"
    assert st_johns.after(again) == datetime(2010, 11, 8, 3, 30, tzinfo=UTC)


def test_times_of_a_day_that_a_zone_skipped_come_once_at_its_change() -> None:
    samoa, at = TimesOfDay((time(7, 0), time(12, 30)), "Pacific/Apia"), datetime(2011, 12, 29, 12, tzinfo=UTC)
    found = [at := samoa.after(at) for _ in range(4)]
    assert [shown(one, "Pacific/Apia").isoformat(" ", "minutes") for one in found] == [
        "2011-12-29 07:00",
        "2011-12-29 12:30",
        "2011-12-31 00:00",
        "2011-12-31 07:00",
    ]
    assert all(one < other for one, other in pairwise(found))


@pytest.mark.parametrize(
    "name", ["Europe/Berln", "Mars/Olympus_Mons", "", "../etc/passwd", "/etc/localtime", "Europe", "a\0b", "Ü"]
)
def test_a_name_that_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown time zone"):
        zone_of(name)


def test_a_slip_of_the_pen_is_told() -> None:
    with pytest.raises(ValueError, match="did you mean 'Europe/Berlin'"):
        zone_of("Europe/Berln")
    assert zone_of("UTC") is UTC
