"""The state of one account in this daemon: when it is due next, and whether it backs off or is paused after a failed visit.

Changed by the loop's thread alone.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from gatewayd.api.health import AccountHealth
from gatewayd.errors import AuthError, ConfigError, TransientError, joined
from gatewayd.runtime import journal
from gatewayd.runtime.backoff import Backoff
from gatewayd.runtime.due_times import full_visit_every, spread

if TYPE_CHECKING:
    from gatewayd.api.health import Answer, Condition, Request
    from gatewayd.api.ledger import Lease
    from gatewayd.api.session import Session, Watch
    from gatewayd.config import AccountConfig
    from gatewayd.errors import GatewaydError
    from gatewayd.importing.daily_quota import DailyQuota
    from gatewayd.importing.values import VisitReport
    from gatewayd.runtime.times_of_day import TimesOfDay
    from gatewayd.scheduler.values import Dependencies
    from gatewayd.scheduler.visit_runner import RunningVisit

__all__ = ["AccountState", "WatchedSession"]

#: How long an account waits at most after its connection was lost for the first time, in seconds.
_SOON = 2.0
#: The problems of a visit are not logged again within so many seconds if the visit before had the same.
_REPORTED_FOR = 3600.0
#: A visit at a time of day begins so many seconds after it: clocks that differ by less must not let it begin before, or it would
#: be due once more.
_AFTER = 0.5
#: So many announcements in a row that bring no mail are followed at once; then after so many seconds, twice as many each time.
_EMPTY, _FIRST_PAUSE = 5, 0.25


class WatchedSession(NamedTuple):
    """A session on which the server announces mail between two visits."""

    session: Session
    watch: Watch


@dataclass(slots=True, eq=False)
class AccountState:
    """One account."""

    config: AccountConfig
    #: How much its server may still send today.
    quota: DailyQuota
    #: None while the account is not ours.
    lease: Lease | None = None
    #: Its session between two visits, if the server announces mail.
    watched: WatchedSession | None = None
    run: RunningVisit | None = None
    #: Its lease is released as soon as its visit has ended.
    leaving: bool = False
    #: The server announced mail since the last visit began.
    on_news: bool = False
    condition: Condition = "new"
    #: Visits that failed in a row; and those of them that failed by an AuthError.
    failures: int = 0
    refusals: int = 0
    #: Watches in a row that were lost before the server proved itself once.
    flaps: int = 0
    #: Its last visit ended before it was done, because others waited for its room.
    gave_way: bool = False
    #: Visits in a row that followed an announcement and found nothing.
    empty: int = 0
    error: str = ""
    advice: str = ""
    #: Problems and notes of the last visits, and when they were logged last, on the loop's clock.
    reported: tuple[str, ...] = ()
    reported_at: float = 0.0
    #: On the loop's clock: when it is due, when the last visit ended, when the full listing is compared next.
    due: float | None = None
    ended_at: float = 0.0
    compare_at: float = 0.0
    #: The full listing is overdue: the next visit compares it, whatever is announced.
    overdue: bool = False
    #: On the loop's clock: when all keys that visits deferred are due again.
    later_at: float = 0.0
    checked_at: datetime | None = None
    #: The last visit could not prove that nothing is missing.
    doubtful: bool = False
    mail_at: datetime | None = None
    compared_at: datetime | None = None
    #: Requests of people, oldest first.
    asked: list[Request] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The account's name."""
        return self.config.name

    def reports_again(self, answer: Answer, now: float) -> bool:
        """Whether these problems and notes were logged within the last hour; if not, they count as logged now."""
        reported = (*answer.problems, *answer.notes)
        if reported == self.reported and now - self.reported_at < _REPORTED_FOR:
            return True
        self.reported, self.reported_at = reported, now
        return False

    @property
    def shown(self) -> Condition:
        """The condition as others see it."""
        return "working" if self.run else self.condition

    @property
    def every(self) -> float:
        """Seconds between two visits."""
        return self.config.imports.every if self.config.imports else 0.0

    def remember(self, told: AccountHealth | None) -> None:
        """Take over the times that the store has of the account, from the daemon that held it before."""
        if told is not None:
            self.checked_at = max(filter(None, (self.checked_at, told.checked_at)), default=None)
            self.mail_at = max(filter(None, (self.mail_at, told.mail_at)), default=None)
            self.compared_at = max(filter(None, (self.compared_at, told.compared_at)), default=None)
            # It may be hours until its time comes; any other account is visited at once.
            if self.config.at is not None and not told.failures and self.checked_at is not None:
                self.condition = "polling"

    def visited(self, report: VisitReport, *, deps: Dependencies) -> float:
        """Take in the report of a visit; return in how many seconds the next visit is due."""
        if report.tally.filed:
            self.mail_at = deps.clock()
        now = time.monotonic()
        if report.later:
            self.later_at = max(self.later_at, now + report.later)
        self.gave_way = report.gave_way and report.error is None
        if report.error is not None:
            return self._failed(report.error, deps)
        if self.failures:
            journal.account_healed(self.name, failures=self.failures)
        self.failures = self.refusals = 0
        now_utc = deps.clock()
        self.doubtful = bool(report.unproven)
        if not self.doubtful:
            self.checked_at = now_utc
        if report.compared:
            self.compared_at = now_utc
        self.error, self.advice = joined(report.problems), ""
        self.condition = "watching" if self.watched else "polling"
        folders = len(self.config.imports.folders) if self.config.imports else 0
        if self.gave_way:
            return 0.0
        if self.config.at is not None:
            return _wait_for(self.config.at, deps, soon=self.every if report.unfinished else self.later_at - now)
        # No server announces a deferred key that is due again: the account is polled for it.
        announced = self.watched is not None and now > self.later_at + self.every
        return full_visit_every(self.every, watched=announced, folders=folders)

    def first_wait(self, accounts: int, deps: Dependencies, *, jitter: float, failing: bool = False) -> float:
        """Return in how many seconds an account is due that was just taken, with ``accounts`` in all; ``jitter`` is from 0 to 1.

        One with times of day waits for the next, unless one has passed since its last visit.

        :param failing: its last visit failed.
        """
        at, last = self.config.at, self.checked_at
        if at is None or failing or last is None or at.after(last) <= deps.clock():
            return spread(accounts, self.every, jitter=jitter)
        return _wait_for(at, deps)

    def _failed(self, error: GatewaydError, deps: Dependencies) -> float:
        self.failures += 1
        self.refusals = self.refusals + 1 if isinstance(error, AuthError) else 0
        # These do not pass by themselves: a person must change something.
        self.condition = "paused" if isinstance(error, AuthError | ConfigError) else "backing off"
        self.error, self.advice = error.message, error.advice
        jitter = random.random()  # noqa: S311  a wait is no secret
        if self.refusals:
            wait = deps.pause.wait(self.refusals, jitter=jitter)
        elif isinstance(error, TransientError):
            wait = deps.backoff.wait(self.failures, jitter=jitter, retry_after=error.retry_after)
        else:
            wait = deps.backoff.rarely(jitter=jitter)
        if self.config.at is not None and not self.refusals and not (isinstance(error, TransientError) and error.retry_after):
            # What a server or a mailbox's safety asks for counts more than a time of day.
            wait = _wait_for(self.config.at, deps, soon=wait)
        if self.condition == "paused":
            journal.account_paused(self.name, error, retry_in=wait)
        else:
            journal.account_backs_off(self.name, error, retry_in=wait, failures=self.failures)
        return wait

    def kept_waiting(self, now: float) -> bool:
        """Take in that no account of its group may be visited; whether there is something new to tell.

        Only who missed a whole poll says so; the next visit says how the account is.
        """
        if self.error or self.due is None or now - self.due < self.every:
            return False
        self.error = "no account of its group may be visited for now: their server has asked for patience"
        self.advice = "It goes on by itself. If it comes again and again, poll less often (`every`)."
        return True

    def lost(self, error: GatewaydError, deps: Dependencies) -> float:
        """Take in that the watched connection was lost; return in how many seconds a visit is due."""
        self.watched = None
        journal.watch_lost(self.name, error, folder=self.config.imports.folders[0] if self.config.imports else "")
        self.condition, self.error, self.advice = "polling", error.message, error.advice
        self.flaps += 1
        jitter = random.random()  # noqa: S311  a wait is no secret
        # A server that drops each connection is visited ever less often, down to polling.
        return jitter * _SOON if self.flaps == 1 else min(deps.backoff.wait(self.flaps - 1, jitter=jitter), self.every)

    def proven(self) -> None:
        """Take in that the server proved that nothing was missed."""
        self.flaps = 0
        if not self.doubtful:
            self.checked_at = datetime.now(UTC)

    def patience(self, now: float) -> float:
        """Return in how many seconds an announcement is followed: at once, unless many in a row brought no mail."""
        if self.empty < _EMPTY:
            return 0.0
        pause = Backoff(first=_FIRST_PAUSE, longest=self.every, spread=0.0).wait(self.empty - _EMPTY + 1, jitter=0.0)
        return max(0.0, self.ended_at + pause - now)

    def health(self, deps: Dependencies, now: float) -> AccountHealth:
        """Return its health for the store; ``now`` is the time on the loop's clock."""

        def at(when: float | None) -> datetime | None:
            return None if when is None else deps.clock() + timedelta(seconds=when - now)

        return AccountHealth(
            account=self.name,
            holder=deps.instance.name,
            condition=self.shown,
            checked_at=self.checked_at,
            mail_at=self.mail_at,
            due_at=at(self.due),
            working_since=at(self.run.began) if self.run else None,
            compared_at=self.compared_at,
            failures=self.failures,
            error=self.error,
            advice=self.advice,
        )


def _wait_for(at: TimesOfDay, deps: Dependencies, *, soon: float = 0.0) -> float:
    """Return in how many seconds the next of these times of day comes, or ``soon`` if that is earlier, and yet to come."""
    now = deps.clock()
    wait = (at.after(now) - now).total_seconds() + _AFTER
    return min(wait, soon) if soon > 0 else wait
