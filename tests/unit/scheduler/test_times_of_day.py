"""Accounts that are visited at times of day, by a clock that the test sets."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest

from gatewayd import AuthError, Task, TransientError
from gatewayd.importing.values import VisitReport
from gatewayd.runtime.times_of_day import TimesOfDay
from tests.unit.supervised import House, mails
from tests.unit.turned import Turned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BERLIN = TimesOfDay((time(12, 30), time(7)), "Europe/Berlin")
SEVEN, HALF_PAST_TWELVE = datetime(2026, 1, 15, 6, tzinfo=UTC), datetime(2026, 1, 15, 11, 30, tzinfo=UTC)
HOUR, MINUTE = 3600.0, 60.0


class Clock:
    """A clock that runs as any other does, from where it was set."""

    def __init__(self, now: datetime) -> None:
        self.set(now)

    def set(self, now: datetime) -> None:
        self._ahead = now - datetime.now(UTC)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead


@pytest.fixture
def clock() -> Clock:
    return Clock(SEVEN - timedelta(hours=1))


@pytest.fixture
def house(tmp_path: Path, clock: Clock) -> Iterator[House]:
    with House(tmp_path) as made:
        made.clock = clock
        yield made


def visited(turned: Turned, house: House, times: int) -> None:
    """Let the account be visited so often in all, and its last visit end."""
    turned.until(lambda: house.visits("main") == times and turned.state().run is None and turned.state().due is not None)


def some_turns(turned: Turned) -> None:
    for _ in range(3):
        turned.turn()


def test_an_account_is_visited_at_its_times_and_its_due_time_says_so(house: House, clock: Clock) -> None:
    server = house.add("main", at=BERLIN, can_watch=True)
    with Turned(house) as turned:
        # It is new: nobody knows yet whether it can be visited at all.
        visited(turned, house, 1)
        assert HOUR - MINUTE < turned.due_in() <= HOUR + 1
        assert turned.state().condition == "polling"
        assert server.steps("watch") == []
        mails(server, ["one"])
        clock.set(SEVEN - timedelta(minutes=5))
        some_turns(turned)
        assert 4 * MINUTE < turned.due_in() <= 5 * MINUTE + 1
        assert house.visits("main") == 1
        clock.set(SEVEN + timedelta(seconds=1))
        visited(turned, house, 2)
        assert house.filed() == 1
        health = turned.state().health(turned.supervisor._deps, turned.supervisor._turned)
        assert health.due_at
        assert abs(health.due_at - HALF_PAST_TWELVE) < timedelta(minutes=1)


def test_a_visit_begins_no_moment_before_its_time(house: House, clock: Clock) -> None:
    house.add("main", at=BERLIN)
    with Turned(house) as turned:
        visited(turned, house, 1)
        clock.set(SEVEN - timedelta(seconds=1))
        visited(turned, house, 2)
        assert clock() >= SEVEN
        assert turned.due_in() > HOUR


def test_a_clock_that_is_put_back_lets_the_account_wait_for_its_time(house: House, clock: Clock) -> None:
    house.add("main", at=BERLIN)
    with Turned(house) as turned:
        visited(turned, house, 1)
        clock.set(SEVEN - timedelta(hours=3))
        some_turns(turned)
        assert 3 * HOUR - MINUTE < turned.due_in() <= 3 * HOUR + 1


def test_a_person_is_served_at_once_and_the_next_time_stays(house: House, clock: Clock) -> None:
    house.add("main", at=BERLIN)
    with Turned(house) as turned:
        visited(turned, house, 1)
        clock.set(SEVEN - timedelta(minutes=10))
        request = house.store.ask("main", Task())
        turned.until(lambda: house.store.requests(ids=[request])[0].answer)
        visited(turned, house, 2)
        assert 9 * MINUTE < turned.due_in() <= 10 * MINUTE + 1


@pytest.mark.parametrize(("now", "at_once"), [(SEVEN - timedelta(minutes=30), False), (SEVEN, True)])
def test_a_daemon_that_begins_visits_only_where_a_time_has_passed(
    house: House, clock: Clock, now: datetime, *, at_once: bool
) -> None:
    house.add("main", at=BERLIN)
    with Turned(house) as turned:
        visited(turned, house, 1)
    clock.set(now)
    with Turned(house) as turned:
        turned.until(lambda: turned.state().due is not None or turned.state().run)
        if at_once:
            visited(turned, house, 2)
        some_turns(turned)
        assert house.visits("main") == 1 + at_once
        assert turned.state().condition == "polling", "it was visited before, and is no new one"
        assert turned.due_in() > HOUR if at_once else turned.due_in() <= HOUR / 2 + 1


def test_an_account_that_failed_is_tried_when_a_daemon_begins(house: House, clock: Clock) -> None:
    server = house.add("main", at=BERLIN)
    with Turned(house) as turned:
        visited(turned, house, 1)
        server.on("listing", TransientError("busy"))
        house.store.ask("main", Task())
        visited(turned, house, 2)
        assert turned.state().failures == 1
    clock.set(SEVEN - timedelta(minutes=30))
    with Turned(house) as turned:
        visited(turned, house, 3)
        assert turned.state().failures == 0


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (TransientError("busy"), (5 * MINUTE, 10 * MINUTE + 1)),
        (TypeError("a bug"), (5 * MINUTE, 10 * MINUTE + 1)),
        # What the server asks for, and the pause that keeps a mailbox from being locked.
        (TransientError("busy", retry_after=HOUR / 2), (20 * MINUTE, HOUR)),
        (AuthError("no"), (11 * MINUTE, HOUR)),
    ],
)
def test_what_failed_is_tried_again_no_later_than_at_the_next_time(
    house: House, clock: Clock, error: Exception, wait: tuple[float, float]
) -> None:
    server = house.add("main", at=BERLIN)
    with Turned(house) as turned:
        visited(turned, house, 1)
        clock.set(SEVEN - timedelta(minutes=10))
        # The backoff would be a quarter of an hour by now.
        turned.state().failures = 5
        server.on("listing", error)
        house.store.ask("main", Task())
        visited(turned, house, 2)
        assert turned.state().failures == 6
        least, most = wait
        assert least < turned.due_in() <= most


def test_a_clock_that_is_put_back_keeps_no_account_from_being_tried_again(house: House, clock: Clock) -> None:
    server = house.add("main", at=BERLIN)
    with Turned(house) as turned:
        visited(turned, house, 1)
        server.on("listing", TransientError("busy"))
        house.store.ask("main", Task())
        visited(turned, house, 2)
        clock.set(SEVEN - timedelta(hours=4))
        some_turns(turned)
        assert turned.due_in() <= 2 * MINUTE


def test_what_a_limit_cut_short_and_what_was_deferred_goes_on_before_the_next_time(house: House) -> None:
    house.add("main", at=BERLIN)
    with Turned(house) as turned:
        visited(turned, house, 1)
        state, deps = turned.state(), turned.supervisor._deps
        assert state.visited(VisitReport(account="main", unfinished=True), deps=deps) == MINUTE
        assert state.visited(VisitReport(account="main", gave_way=True), deps=deps) == 0.0
        assert 600.0 - MINUTE < state.visited(VisitReport(account="main", later=600.0), deps=deps) <= 600.0
        assert 600.0 - MINUTE < state.visited(VisitReport(account="main"), deps=deps) <= 600.0
        state.later_at = 0.0
        assert HOUR - MINUTE < state.visited(VisitReport(account="main"), deps=deps) <= HOUR + 1
