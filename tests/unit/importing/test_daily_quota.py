"""What an account's server may bring in a day."""

from __future__ import annotations

import pytest

from gatewayd import TransientError
from gatewayd.config import LimitsConfig
from gatewayd.importing.daily_quota import DailyQuota

DAY = 86400.0


class Used:
    """An allowance of 100 bytes and 100 messages, and its clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.allowance = DailyQuota(LimitsConfig.model_construct(day_bytes=100, day_messages=100), lambda: self.now)

    def wait(self) -> float | None:
        """Seconds to be waited for; None where none are."""
        try:
            self.allowance.check()
        except TransientError as error:
            return error.retry_after
        return None


def test_what_is_used_up_is_waited_for_until_an_hour_s_share_is_there() -> None:
    used = Used()
    used.allowance.take(size=100)
    assert used.wait() is None
    used.allowance.take(size=50)
    assert used.wait() == DAY / 2 + 3600
    used.now += DAY / 2 + 3600
    used.allowance.take(size=100 // 24)
    assert used.wait() is None
    used.allowance.take(messages=102)
    assert used.wait() is not None


def test_who_brings_nothing_for_a_week_may_not_bring_a_weeks_share_at_once() -> None:
    used = Used()
    used.now += 7 * DAY
    used.allowance.take(size=101)
    assert used.wait() == pytest.approx(3600 + DAY / 100)
