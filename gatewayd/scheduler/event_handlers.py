"""What happens to accounts: servers speak, visits end, people ask. Runs in the loop's thread."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd.api.health import Answer
from gatewayd.errors import LeaseLost, PluginError, StoreReplaced
from gatewayd.importing.values import VisitReport
from gatewayd.registry.loading import where
from gatewayd.runtime import journal
from gatewayd.runtime.clock import compare_in
from gatewayd.scheduler.visit_runner import VisitOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.health import Request
    from gatewayd.runtime.threads import VisitSlot
    from gatewayd.scheduler.account_state import AccountState
    from gatewayd.scheduler.account_states import AccountStates
    from gatewayd.scheduler.lease_events import LeaseEvents
    from gatewayd.scheduler.pool import VisitPool
    from gatewayd.scheduler.request_inbox import RequestInbox
    from gatewayd.scheduler.session_closer import SessionCloser
    from gatewayd.scheduler.values import Dependencies
    from gatewayd.scheduler.visit_runner import RunningVisit
    from gatewayd.scheduler.watcher import WatchEvent

__all__ = ["EventHandlers"]


class EventHandlers:
    """Takes in what happened, and says when each account is due next."""

    def __init__(
        self,
        kit: Dependencies,
        charges: AccountStates,
        *,
        ownership: LeaseEvents,
        pool: VisitPool,
        reception: RequestInbox,
        closer: SessionCloser,
    ) -> None:
        self._kit = kit
        self._charges = charges
        self._ownership = ownership
        self._pool = pool
        self._reception = reception
        self._closer = closer

    # --- people ask -------------------------------------------------------------------------------------------------

    def asked(self, requests: Sequence[Request]) -> None:
        """Take requests for accounts that are ours; they are due at once, however an account is."""
        for request in requests:
            charge = self._charges.get(request.account)
            if charge is None or charge.lease is None or charge.leaving or not self._reception.take(request):
                continue
            journal.request_taken(request.id, request.account, request.task)
            if request.task.operator not in {None, *charge.config.operators}:
                # A person's slip, and no fault of the account.
                error = f"account {charge.name} does not serve operator {request.task.operator!r}"
                answer = Answer(account=charge.name, error=error, advice="Add it to the account's `operators` first.")
                self._reception.answer((request.id,), answer, seconds=0.0)
                continue
            charge.asked.append(request)
            self._charges.hurry(charge)

    # --- servers speak ----------------------------------------------------------------------------------------------

    def said(self, several: Sequence[WatchEvent]) -> None:
        """Take in what became known of watches."""
        for said in several:
            charge = self._charges.get(said.name)
            if charge is None or charge.lease is None:
                continue
            if charge.run is not None:
                self._said_early(charge.run, said)
            elif charge.watched is not None:
                self._said(charge, said)

    @staticmethod
    def _said_early(run: RunningVisit, said: WatchEvent) -> None:
        """A watch has something to say before the visit that began it is known to have ended."""
        if run.listening:
            run.again = run.again or said.news
            run.lost = run.lost or said.lost

    def _said(self, charge: AccountState, said: WatchEvent) -> None:
        if said.proven:
            charge.proven()
        if said.news:
            # Else an account with much news would never be compared.
            charge.on_news = not charge.overdue
            self._charges.hurry(charge, charge.patience(time.monotonic()))
        if said.lost is not None and charge.watched is not None:
            self._closer.close(charge.name, charge.watched, politely=False)
            # It may wait in line already, for news that are no reason to connect sooner.
            self._pool.withdraw(charge.name)
            self._charges.put(charge, charge.lost(said.lost, self._kit))
            if charge.asked:
                self._charges.hurry(charge)
        self._reception.changed(charge)

    # --- visits end -------------------------------------------------------------------------------------------------

    def finished(self, run: RunningVisit, slot: VisitSlot, done: VisitOutcome) -> None:
        """Take in what a visit did."""
        self._pool.ended(run, slot)
        try:
            self._take_in(run, done)
        except Exception as error:  # noqa: BLE001  half of it would be an account that nobody visits again
            what = PluginError(f"what became of the visit of account {run.charge.name} cannot be taken in: {where(error)}")
            run.lost = None
            self._take_in(run, VisitOutcome(report=VisitReport(account=run.charge.name, error=what), watched=done.watched))

    def _take_in(self, run: RunningVisit, done: VisitOutcome) -> None:
        charge, now = run.charge, time.monotonic()
        charge.run, charge.ended_at = None, now
        seconds = now - run.began
        answer = done.report.answer()
        self._kit.events.visit_ended(answer, done.report.error, seconds=seconds, again=charge.says_again(answer, now))
        if isinstance(done.report.error, StoreReplaced):
            self._ownership.replaced = done.report.error
        if isinstance(done.report.error, LeaseLost) and charge.lease == run.lease:
            self._ownership.lose(charge, done.report.error.sentences)
        if run.stop or charge.lease != run.lease or charge.config is not run.config or self._charges.suspended:
            self._abandon(run, done)
            return
        charge.watched = done.watched
        charge.empty = charge.empty + 1 if run.on_news and not done.report.listed else 0
        wait = charge.visited(done.report, compared=run.task.compare, kit=self._kit)
        if run.task.compare and done.report.error is None:
            charge.compare_at = now + compare_in(charge.compared_at, datetime.now(UTC), luck=random.random())  # noqa: S311  a wait is no secret
        charge.overdue = now >= charge.compare_at
        if run.requests:
            self._reception.answer(run.requests, answer, seconds=seconds)
        self._charges.put(charge, wait)
        self._afterwards(charge, run, done)
        self._reception.changed(charge)

    def _afterwards(self, charge: AccountState, run: RunningVisit, done: VisitOutcome) -> None:
        """Take in what happened since the visit was done, and what there is to do yet."""
        lost = run.lost or done.unwatched
        if lost is not None:
            if charge.watched is not None:
                self._closer.close(charge.name, charge.watched, politely=False)
            self._charges.put(charge, charge.lost(lost, self._kit))
        elif run.again:
            charge.on_news = not charge.overdue
            self._charges.hurry(charge, charge.patience(time.monotonic()))
        if charge.asked:
            self._charges.hurry(charge)

    def _abandon(self, run: RunningVisit, done: VisitOutcome) -> None:
        """A visit ended that was told to, or whose account is another by now: what it was asked is asked again."""
        charge = run.charge
        if done.watched is not None:
            self._closer.close(charge.name, done.watched, politely=False)
        self._reception.unanswered(run.requests)
        if charge.leaving:
            self._charges.release(charge)
        elif charge.lease is not None:
            self._charges.hurry(charge)
            self._reception.changed(charge)
        else:
            self._charges.weed(charge)
