"""Times as text: in UTC whatever their zone, and spans in the unit that people would choose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gatewayd.api.timestamps import minute, moment, second, span

MORNING = datetime(2026, 1, 31, 11, 5, 7, 8900, tzinfo=timezone(timedelta(hours=2)))


def test_times_are_shown_in_utc_and_say_so() -> None:
    assert minute(MORNING) == minute(MORNING.astimezone(UTC)) == "2026-01-31 09:05 UTC"
    assert second(MORNING) == "2026-01-31 09:05:07 UTC"
    assert moment(MORNING) == "2026-01-31T09:05:07Z"
    assert moment(MORNING, "milliseconds") == "2026-01-31T09:05:07.008Z"


def test_where_there_is_no_time_there_is_no_text() -> None:
    assert minute(None) == ""
    assert moment(None) is None


@pytest.mark.parametrize(
    ("seconds", "short", "full"),
    [
        (-1, "0s", "0 seconds"),
        (1.9, "1s", "1 seconds"),
        (119.9, "119s", "119 seconds"),
        (120, "2m", "2 minutes"),
        (7199, "119m", "119 minutes"),
        (7200, "2h", "2 hours"),
        (86400, "24h", "24 hours"),
        (172_800, "2d", "2 days"),
    ],
)
def test_a_span_is_in_the_largest_unit_of_which_it_has_two(seconds: float, short: str, full: str) -> None:
    assert (span(seconds), span(seconds, in_full=True)) == (short, full)
