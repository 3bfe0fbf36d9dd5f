"""Handle what happens to accounts: servers announce mail, visits end, people ask, leases come and go; how long an account rests is
decided in ``account_state.py``.

All of it runs in the loop's thread.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from gatewayd.api.health import Answer
from gatewayd.errors import LeaseLost, PluginError, StoreReplaced
from gatewayd.importing.values import VisitReport
from gatewayd.runtime import journal
from gatewayd.runtime.due_times import compare_in
from gatewayd.runtime.traces import where
from gatewayd.scheduler.visit_runner import VisitOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.health import Request
    from gatewayd.api.ledger import Lease
    from gatewayd.errors import GatewaydError
    from gatewayd.runtime.threads import VisitSlot
    from gatewayd.scheduler.account_state import AccountState
    from gatewayd.scheduler.account_states import AccountStates
    from gatewayd.scheduler.leases import LeaseManager, LeaseRound
    from gatewayd.scheduler.pool import VisitPool
    from gatewayd.scheduler.request_inbox import RequestInbox
    from gatewayd.scheduler.session_closer import SessionCloser
    from gatewayd.scheduler.values import Dependencies
    from gatewayd.scheduler.visit_runner import RunningVisit
    from gatewayd.scheduler.watcher import WatchEvent

__all__ = ["EventHandlers"]


class EventHandlers:
    """Handles each event, and decides when the account is due next."""

    def __init__(
        self,
        deps: Dependencies,
        states: AccountStates,
        *,
        leases: LeaseManager,
        pool: VisitPool,
        request_inbox: RequestInbox,
        session_closer: SessionCloser,
    ) -> None:
        self._deps = deps
        self._states = states
        self._leases = leases
        self._pool = pool
        self._request_inbox = request_inbox
        self._session_closer = session_closer
        #: The last round of leases failed, which was reported.
        self._away = False
        #: Why this process must end: the database was replaced by another.
        self.replaced: StoreReplaced | None = None

    # --- people ask -------------------------------------------------------------------------------------------------

    def on_requests(self, requests: Sequence[Request]) -> None:
        """Take requests for accounts that are ours. Such an account is due at once, whatever its condition."""
        for request in requests:
            state = self._states.get(request.account)
            if state is None or state.lease is None or state.leaving or not self._request_inbox.take(request):
                continue
            journal.request_taken(request.id, request.account, request.task)
            if request.task.operator not in {None, *state.config.operators}:
                # A person's mistake, which must not count as a failure of the account.
                error = f"account {state.name} does not serve operator {request.task.operator!r}"
                answer = Answer(account=state.name, error=error, advice="Add it to the account's `operators` first.")
                self._request_inbox.answer((request.id,), answer, seconds=0.0)
                continue
            state.asked.append(request)
            self._pool.bring_forward(state)
            self._states.hurry(state)

    # --- servers speak ----------------------------------------------------------------------------------------------

    def on_watch_events(self, events: Sequence[WatchEvent]) -> None:
        """Take in events of watches."""
        for event in events:
            state = self._states.get(event.name)
            if state is None or state.lease is None:
                continue
            if state.run is None and state.watched is not None:
                if event.proven:
                    state.proven()
                self._follow(state, news=event.news, lost=event.lost)
            elif state.run is not None and state.run.listening:
                # The visit that began this watch is not known yet to have ended.
                state.run.again = state.run.again or event.news
                state.run.lost = state.run.lost or event.lost

    def _follow(self, state: AccountState, *, news: bool, lost: GatewaydError | None) -> None:
        """Let an account be due because its server announced mail, or because its connection is lost."""
        if lost is not None:
            if state.watched is not None:
                self._session_closer.close(state.name, state.watched, politely=False)
            # It may be queued for an announcement, which is no reason to connect sooner.
            self._pool.withdraw(state.name)
            self._states.put(state, state.lost(lost, self._deps))
        elif news:
            # Else an account with many announcements would never be compared.
            state.on_news = not state.overdue
            self._states.hurry(state, state.patience(time.monotonic()))
        if state.asked:
            self._states.hurry(state)
        self._request_inbox.changed(state)

    # --- visits end -------------------------------------------------------------------------------------------------

    def on_visit_finished(self, run: RunningVisit, slot: VisitSlot, done: VisitOutcome) -> None:
        """Take in how a visit ended."""
        self._pool.ended(run, slot)
        try:
            self._take_in(run, done)
        except Exception as error:  # noqa: BLE001  an account whose event is handled by half would never be visited again
            what = PluginError(f"the end of the visit of account {run.state.name} could not be handled: {where(error)}")
            run.lost = None
            self._take_in(run, VisitOutcome(report=VisitReport(account=run.state.name, error=what), watched=done.watched))

    def _take_in(self, run: RunningVisit, done: VisitOutcome) -> None:
        state, now = run.state, time.monotonic()
        state.run, state.ended_at = None, now
        seconds = now - run.began
        answer = done.report.answer()
        self._deps.events.visit_ended(answer, done.report.error, seconds=seconds, again=state.reports_again(answer, now))
        if isinstance(done.report.error, StoreReplaced):
            self.replaced = done.report.error
        if isinstance(done.report.error, LeaseLost) and state.lease == run.lease:
            self.lose(state, done.report.error.sentences)
        if run.stop or state.lease != run.lease or state.config is not run.config or self._states.suspended:
            self._abandon(run, done)
            return
        state.watched = done.watched
        state.empty = state.empty + 1 if run.on_news and not done.report.listed else 0
        wait = state.visited(done.report, deps=self._deps)
        if run.task.compare and done.report.error is None:
            state.compare_at = now + compare_in(state.compared_at, self._deps.clock(), jitter=random.random())  # noqa: S311  a wait is no secret
        state.overdue = now >= state.compare_at
        if run.requests:
            self._request_inbox.answer(run.requests, answer, seconds=seconds)
        self._states.put(state, wait)
        # The watch that the visit began may have reported something already.
        self._follow(state, news=run.again, lost=run.lost or done.unwatched)

    def _abandon(self, run: RunningVisit, done: VisitOutcome) -> None:
        """Drop a visit that was told to end, or whose lease or config changed meanwhile. Its requests are asked again."""
        state = run.state
        if done.watched is not None:
            self._session_closer.close(state.name, done.watched, politely=False)
        self._request_inbox.unanswered(run.requests)
        if state.leaving:
            self._states.release(state)
        elif state.lease is not None:
            self._states.hurry(state)
            self._request_inbox.changed(state)
        else:
            self._states.weed(state)

    # --- leases ------------------------------------------------------------------------------------------------------

    def next_lease_round(self) -> float:
        """Return when ``work_on_leases`` has something to do."""
        return self._leases.at if self._states.suspended else min(self._leases.at, self._leases.ends_at)

    def work_on_leases(self, now: float) -> None:
        """Begin a round if it is due; drop all sessions if no round succeeded for so long that leases may end."""
        if now >= self._leases.ends_at and not self._states.suspended:
            self._suspend()
        if now >= self._leases.at:
            held = [lease for _, lease in self._states.held()]
            self._leases.start(held, self._states.wanted(), len(self._states))

    def on_lease_round(self, done: LeaseRound) -> None:
        """Take in a round: accounts that were lost or taken, and how many this daemon is to have."""
        if self._states.stopping:
            for lease in done.taken:
                self._leases.give(lease)
            return
        self._report_store(done.error)
        if done.kept is not None:
            self._leases.good_at = done.began
            for lease in done.asked - done.kept:
                state = self._states.get(lease.account)
                if state is not None and state.lease == lease:
                    self.lose(state, "it ended, or another daemon took it")
            if self._states.suspended:
                self._states.suspended = False
                held = [state for state, _ in self._states.held() if state.run is None]
                for state in held:
                    jitter = random.random()  # noqa: S311  a wait is no secret
                    self._states.put(state, state.first_wait(len(held), self._deps, jitter=jitter, failing=state.failures > 0))
        for lease in done.taken:
            self._take(lease, done)
        if done.share is not None:
            self._shed(done.share)

    def _report_store(self, error: GatewaydError | None) -> None:
        if isinstance(error, StoreReplaced):
            self.replaced = error
        if error is not None:
            self._deps.events.store_away(error, again=self._away)
        elif self._away:
            self._deps.events.store_back(seconds=time.monotonic() - self._leases.good_at)
        self._away = error is not None

    def lose(self, state: AccountState, cause: str) -> None:
        """Drop an account whose lease another daemon has by now."""
        journal.lease_lost(state.name, cause=cause)
        if state.run:
            state.run.abort()
        self._states.let_go(state, politely=False)

    def _take(self, lease: Lease, done: LeaseRound) -> None:
        state = self._states.get(lease.account)
        if state is None or state.lease is not None:
            self._leases.give(lease)
            return
        state.lease, state.leaving, state.condition = lease, False, "new"
        told = done.healths.get(state.name)
        state.remember(told)
        jitter = random.random()  # noqa: S311  a wait is no secret
        state.compare_at = time.monotonic() + compare_in(state.compared_at, self._deps.clock(), jitter=jitter)
        if state.run is None:
            failing = told is not None and told.failures > 0
            self._states.put(state, state.first_wait(len(done.taken), self._deps, jitter=jitter, failing=failing))
        self._request_inbox.changed(state)
        journal.account_taken(state.name, epoch=lease.epoch)

    def _shed(self, share: int) -> None:
        """Release accounts beyond our share, idle ones first."""
        held = [state for state, _ in self._states.held() if not state.leaving]
        if len(held) <= share:
            return
        random.shuffle(held)
        held.sort(key=lambda state: (state.run is not None, state.watched is not None))
        for state in held[: len(held) - share]:
            self._states.release(state)

    def _suspend(self) -> None:
        """Drop all sessions before their leases end, since the store can't be reached."""
        self._states.suspended = True
        for state, lease in self._states.held():
            journal.lease_lost(lease.account, cause="it could not be renewed in time: the store can't be reached")
            if state.run:
                state.run.abort()
            self._states.rest(state, politely=False)
            state.condition, state.error = "backing off", "the store can't be reached"
            state.advice = "See to the database; all accounts go on by themselves when it is back."
            self._request_inbox.changed(state)
