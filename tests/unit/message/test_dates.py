"""Date headers: the right instant, however it is written, or none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatewayd.message.dates import date
from tests.unit.linear import assert_linear


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        # Offsets that stand elsewhere, or look other than RFC 5322 has them.
        ("Tue Feb 16 2016 17:23:34 GMT+0800", "2016-02-16 09:23:34"),
        ("Tue Feb 16 2016 17:23:34 GMT+0800 (China Standard Time)", "2016-02-16 09:23:34"),
        ("Mon, 2 Nov 2026 10:00:00 GMT-05:30", "2026-11-02 15:30:00"),
        ("Mon, 2 Nov 2026 10:00:00 GMT +0200", "2026-11-02 08:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 UTC+2", "2026-11-02 08:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 UTC-11", "2026-11-02 21:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 +01:00", "2026-11-02 09:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 +1", "2026-11-02 09:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 +100", "2026-11-02 09:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 (CEST) +0200", "2026-11-02 08:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 +0200 CEST", "2026-11-02 08:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 CEST +0200", "2026-11-02 08:00:00"),
        ("Mon, 2 Nov 2026 10:00:00+0100", "2026-11-02 09:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 +0100 something", "2026-11-02 09:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 +0100.", "2026-11-02 09:00:00"),
        ('Mon, 2 Nov 2026 10:00:00 "GMT"', "2026-11-02 10:00:00"),
        # Zones by name.
        ("Mon, 2 Nov 2026 10:00:00 EST", "2026-11-02 15:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 PDT", "2026-11-02 17:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 CET", "2026-11-02 09:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 MESZ", "2026-11-02 08:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 JST", "2026-11-02 01:00:00"),
        ("Mon, 2 Nov 2026 10:00:00 Z", "2026-11-02 10:00:00"),
        ("Mon, 2 Nov 2026 10:00:00", "2026-11-02 10:00:00"),
        # Half a day.
        ("Mon, 2 Nov 2026 02:05:06 PM", "2026-11-02 14:05:06"),
        ("Mon, 2 Nov 2026 02:05:06 PM +0100", "2026-11-02 13:05:06"),
        ("Mon, 2 Nov 2026 12:05 am +0000", "2026-11-02 00:05:00"),
        ("Mon, 2 Nov 2026 12:05 p.m. +0000", "2026-11-02 12:05:00"),
        ("Mon, 2 Nov 2026 14:05:06 PM +0000", "2026-11-02 14:05:06"),
        ("Jan 5, 2026 10:00:00 AM PST", "2026-01-05 18:00:00"),
        ("Monday, January 5, 2026 1:00 PM GMT", "2026-01-05 13:00:00"),
        # Years.
        ("Wed, 14 Jun 100 05:41:34 -0700 (PDT)", "2000-06-14 12:41:34"),
        ("Fri, 14 Jun 119 05:41:34 -0700", "2019-06-14 12:41:34"),
        ("14 Jun 26 05:41:34 +0000", "2026-06-14 05:41:34"),
        ("14 Jun 97 05:41:34 +0000", "1997-06-14 05:41:34"),
        ("14 Jun 1997 05:41:34 +0000", "1997-06-14 05:41:34"),
        # Other orders and signs.
        ("2026-11-02T10:00:00+01:00", "2026-11-02 09:00:00"),
        ("2026-11-02T10:00:00.123Z", "2026-11-02 10:00:00"),
        ("2026-11-02 10:00:00 +0100", "2026-11-02 09:00:00"),
        ("2026/11/2 10:00:00 +0100", "2026-11-02 09:00:00"),
        ("2026 Nov 02 10:00:00 +0100", "2026-11-02 09:00:00"),
        ("Mon Nov  2 10:00:00 2026", "2026-11-02 10:00:00"),
        ("Mon Nov  2 10:00:00 CET 2026", "2026-11-02 09:00:00"),
        ("Mon Nov  2 10:00:00 2026 +0100", "2026-11-02 09:00:00"),
        ("Mon, 02-Nov-2026 10:00:00 GMT", "2026-11-02 10:00:00"),
        ("02-Nov-26 10:00:00 +0100", "2026-11-02 09:00:00"),
        ("Mon,02Nov2026 10:00:00+0100", "2026-11-02 09:00:00"),
        ("MON, 2 NOVEMBER 2026 10:00:00 +0100", "2026-11-02 09:00:00"),
        ("Mon, 2 Nov 2026 10.00.00 +0100", "2026-11-02 09:00:00"),
        ("Mon, 2 Nov 2026 10:00 +0100", "2026-11-02 09:00:00"),
        ("Date: Mon, 2 Nov 2026 10:00:00 +0100", "2026-11-02 09:00:00"),
        # Comments (RFC 5322 appendix A.5 and A.6.3).
        ("Thu,\t13  Feb  1969 23:32  -0330 (Newfoundland Time)", "1969-02-14 03:02:00"),
        ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21 15:55:06"),
        ("Mon (day), 2 (x (y) 3) Nov 2026 (12:00) 10:00:00 (z) +0100 (CET)", "2026-11-02 09:00:00"),
        (r"Mon, 2 Nov 2026 10:00:00 +0100 (a \) b)", "2026-11-02 09:00:00"),
        ("Mon, 2 Nov 2026 10:00:60 GMT", "2026-11-02 10:00:59"),
    ],
)
def test_the_instant_is_right_however_it_is_written(value: str, moment: str) -> None:
    found = date(value)
    assert found is not None
    assert f"{found:%Y-%m-%d %H:%M:%S}" == moment


@pytest.mark.parametrize(
    "value",
    [
        "Mon, 2 Nov 2026 10:00:00 XYZ",
        "Mon, 2 Nov 2026 10:00:00 IST",
        "Mon, 2 Nov 2026 10:00:00 A",
        "Mon, 2 Nov 2026 10:00:00 Europe/Prague",
        "Mon, 2 Nov 2026 10:00:00 +0100 +0200",
        "Mon, 2 Nov 2026 10:00:00 +0200 GMT",
        "Mon, 2 Nov 2026 10:00:00 CEST +0100",
        "Tue Feb 16 2016 17:23:34 GMT 0800",
        "Mon, 2 Nov 2026 10:00:00 +0199",
        "Mon, 2 Nov 2026 10:00:00 +9900",
        "Mon, 2 Nov 2026 10:00:00 +99999999",
        "Mon, 2 Nov 2026 10:00:00 \xb2",
        "Mon, 2 Nov 2026 10:00:75 +0100",
        "Mon, 2 Nov 2026 25:00:00 +0100",
        "Mon, 2 Nov 2026 24:00:00 +0100",
        "Mon, 2 Nov 2026 14:05:06 AM",
        "Mon, 2 Nov 2026 0:05:06 PM",
        "Mon, 2 Nov 2026",
        "Mon, 31 Feb 2026 10:00:00 +0000",
        "Mon, 2 Nov 99999 10:00:00 +0000",
        "Mon, 2 Nov 0026 10:00:00 +0000",
        "Mon, 2 Nov -2026 10:00:00 +0000",
        "Mon, 2 Nov 10:00:00 +0000",
        "Fri, 31 Dec 9999 23:59:59 -0100",
        # Thai and Hebrew years.
        "Mon, 2 Nov 2569 10:00:00 +0700",
        "2569-11-02T10:00:00+07:00",
        "Mon, 2 Nov 5787 10:00:00 +0200",
        "Mon, 2 Nov 2026 10:00:00 +010",
        "Mon, 2 Nov 2026 10:00:00 +020",
        "02/11/2026 10:00",
        "11-02-2026 10:00:00 +0100",
        "02.11.2026 10:00:00",
        "Mon, 2 Nov Dec 2026 10:00:00 +0100",
        "1767607200",
        "yesterday",
        "",
    ],
)
def test_where_the_instant_is_not_told_there_is_none(value: str) -> None:
    assert date(value) is None


MOMENTS = st.datetimes(datetime(1900, 1, 2), datetime(2199, 12, 30)).map(lambda moment: moment.replace(microsecond=0))  # noqa: DTZ001
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(MOMENTS, OFFSETS)
def test_a_date_as_it_should_be_is_read_as_the_standard_library_reads_it(moment: datetime, zone: timezone) -> None:
    value = format_datetime(moment.replace(tzinfo=zone))
    assert date(value) == parsedate_to_datetime(value) == moment.replace(tzinfo=zone)


FORMATS = [
    "%a, %d %b %Y %H:%M:%S %z",
    "%d %B %Y %H:%M:%S %z",
    "%a %b %d %Y %H:%M:%S GMT%z (some name)",
    "%Y-%m-%dT%H:%M:%S%z",
    "%A, %B %d, %Y %I:%M:%S %p %z",
    "%a %b %d %H:%M:%S %Y %z",
    "%d-%b-%Y %H:%M:%S (a (b)) %z",
]


@given(MOMENTS, OFFSETS, st.sampled_from(FORMATS))
@example(datetime(2026, 1, 1, 0, 30), UTC, FORMATS[4])  # noqa: DTZ001
def test_many_ways_to_write_an_instant_are_read(moment: datetime, zone: timezone, written: str) -> None:
    aware = moment.replace(tzinfo=zone)
    year = f"{aware.year:04}"
    assert date(aware.strftime(written.replace("%Y", year))) == aware


@given(st.text(alphabet="MonJa, 0123456789:+-().TZGMTPAx\xb2\t", max_size=60))
def test_any_date_is_borne(value: str) -> None:
    found = date(value)
    assert found is None or (found.tzinfo is UTC and found.year >= 1899)


@pytest.mark.parametrize("unit", ["(", "1", "1:", "+", " ", "Jan ", "+01", "a", "1-1-", "()"])
def test_hostile_dates_take_linear_time(unit: str) -> None:
    assert_linear(date, unit)
