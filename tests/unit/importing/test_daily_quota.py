"""What an account's server may bring in a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import TransientError
from gatewayd.config import LimitsConfig
from gatewayd.importing.daily_quota import DailyQuota
from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from gatewayd.testing.fakes.session import FakeSession
from tests.unit.importing.filled import filled
from tests.unit.kernel import Gateway, limited

if TYPE_CHECKING:
    from pathlib import Path


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


#: What a server that went away does.
LOST = TransientError("connection lost")


def test_P8_a_server_brings_a_day_s_share_of_messages_and_no_more_however_often_it_is_visited(tmp_path: Path) -> None:
    """A server that renumbers its folder all the time makes rows of the ledger all the time."""
    now, entries, waits = 0.0, 0, 0
    allowance = DailyQuota(LimitsConfig.model_construct(day_messages=240), lambda: now)
    with Gateway(tmp_path, filled(20), limits=limited(), allowance=allowance) as gateway:
        while now < 86400:
            report = gateway.visit()
            entries += report.listed
            gateway.transport.renumber()
            now += 60
            if report.error:
                waits += 1
                assert isinstance(report.error, TransientError)
                assert report.error.message == "more messages were new within a day than `limits.day_messages` allows, which is 240"
                assert 3600 <= (report.error.retry_after or 0) <= 2 * 3600 + 20 * 360
                now += report.error.retry_after or 0
        # What a day begins with, what comes back in it, and what one visit goes beyond it.
        assert 240 < entries <= 240 + 240 + 20
        assert waits > 10


def test_P8_what_a_server_may_send_in_a_day_bounds_its_visits_together_and_nothing_is_lost(tmp_path: Path) -> None:
    now = 0.0
    size = sum(len(make_raw(number)) for number in range(1, 31))
    allowance = DailyQuota(LimitsConfig.model_construct(day_bytes=size // 2), lambda: now)
    with Gateway(tmp_path, filled(30), limits=limited(batch_messages=5), allowance=allowance) as gateway:
        first, second = gateway.visit(), gateway.visit()
        assert first.error
        assert second.error
        assert first.error.message == f"more bytes came within a day than `limits.day_bytes` allows, which is {size // 2}"
        assert first.error.advice.startswith("It goes on by itself.")
        # Nothing is asked for, and nothing is lost: what waits is had when there is room again.
        assert (first.tally.filed, second.tally.filed) == (20, 0)
        now += 2 * 86400
        assert gateway.visit().tally.filed == 10
        assert gateway.good().tally.filed == 0


def test_P8_what_came_before_a_visit_broke_off_counts_for_the_day_too(tmp_path: Path) -> None:
    said = 0

    class Talkative(FakeSession):
        @property
        def came(self) -> int:
            return said

    class Talkers(FakeTransport):
        def open(self) -> FakeSession:
            super().open()
            return Talkative(self)

    def breaks_off() -> None:
        nonlocal said
        said += 600
        raise LOST

    transport = Talkers(("INBOX",), account="main")
    allowance = DailyQuota(LimitsConfig.model_construct(day_bytes=1000), lambda: 0.0)
    with Gateway(tmp_path, transport, allowance=allowance) as gateway:
        messages = []
        for _ in range(3):
            said = 0
            transport.on("listing", breaks_off)
            error = gateway.visit().error
            messages.append(error.message.partition(" within")[0] if error else "")
        assert messages == ["connection lost", "connection lost", "more bytes came"]


def test_P8_a_mailbox_that_a_user_added_has_a_smaller_share_under_its_own_name() -> None:
    limits = LimitsConfig.model_construct(day_bytes=1000, day_messages=100)
    for of_users, most in ((10, 10), (500, 100)):
        allowance = DailyQuota(limits, lambda: 0.0, of_users=of_users)
        allowance.take(messages=most)
        allowance.check()
        allowance.take(messages=1)
        with pytest.raises(TransientError, match=f"than `accounts_of_users.day_messages` allows, which is {most}"):
            allowance.check()
