"""Which accounts are ours: what a round of renewing and taking leases means for them. Runs in the loop's thread."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd.errors import StoreReplaced
from gatewayd.runtime import journal
from gatewayd.runtime.clock import compare_in, spread

if TYPE_CHECKING:
    from gatewayd.api.ledger import Lease
    from gatewayd.runtime.events import Events
    from gatewayd.scheduler.account_state import AccountState
    from gatewayd.scheduler.account_states import AccountStates
    from gatewayd.scheduler.leases import LeaseManager, LeaseRound
    from gatewayd.scheduler.request_inbox import RequestInbox

__all__ = ["LeaseEvents"]


class LeaseEvents:
    """Takes accounts on, gives them up, and drops all sessions before their leases can end."""

    def __init__(self, charges: AccountStates, keeper: LeaseManager, reception: RequestInbox, events: Events) -> None:
        self._events = events
        self._charges = charges
        self._keeper = keeper
        self._reception = reception
        #: The last round failed, and it was said.
        self._away = False
        #: Why this process must end: another database lies where ours lay.
        self.replaced: StoreReplaced | None = None

    def next(self) -> float:
        """Return when there is something to do."""
        return self._keeper.at if self._charges.suspended else min(self._keeper.at, self._keeper.ends_at)

    def work(self, now: float) -> None:
        """Do what is due by now: a round, or drop all sessions for want of a good one."""
        if now >= self._keeper.ends_at and not self._charges.suspended:
            self._suspend()
        if now >= self._keeper.at:
            held = [lease for _, lease in self._charges.held()]
            self._keeper.start(held, self._charges.wanted(), len(self._charges))

    def done(self, done: LeaseRound) -> None:
        """Take in what a round did."""
        if self._charges.stopping:
            for lease in done.taken:
                self._keeper.give(lease)
            return
        self._say_store(done)
        if done.kept is not None:
            self._keeper.good_at = done.began
            self._check(done.asked - done.kept)
        if done.kept is not None and self._charges.suspended:
            self._resume()
        for lease in done.taken:
            self._take(lease, done)
        if done.share is not None:
            self._shed(done.share)

    def _say_store(self, done: LeaseRound) -> None:
        if isinstance(done.error, StoreReplaced):
            self.replaced = done.error
        if done.error is not None:
            self._events.store_away(done.error, again=self._away)
        elif self._away:
            self._events.store_back(seconds=time.monotonic() - self._keeper.good_at)
        self._away = done.error is not None

    def lose(self, charge: AccountState, cause: str) -> None:
        """Drop everything of an account that somebody else has by now."""
        journal.lease_lost(charge.name, cause=cause)
        if charge.run:
            charge.run.abort()
        self._charges.let_go(charge, politely=False)

    def _check(self, lost: frozenset[Lease]) -> None:
        for lease in lost:
            charge = self._charges.get(lease.account)
            if charge is not None and charge.lease == lease:
                self.lose(charge, "it ended, or another daemon took it")

    def _take(self, lease: Lease, done: LeaseRound) -> None:
        charge = self._charges.get(lease.account)
        if charge is None or charge.lease is not None:
            self._keeper.give(lease)
            return
        charge.lease, charge.leaving, charge.condition = lease, False, "new"
        charge.remember(done.healths.get(charge.name))
        luck = random.random()  # noqa: S311  a wait is no secret
        charge.compare_at = time.monotonic() + compare_in(charge.compared_at, datetime.now(UTC), luck=luck)
        if charge.run is None:
            self._charges.put(charge, spread(len(done.taken), charge.every, luck=luck))
        self._reception.changed(charge)
        journal.account_taken(charge.name, epoch=lease.epoch)

    def _shed(self, share: int) -> None:
        """Release what is more than our share: the idle ones first."""
        held = [charge for charge, _ in self._charges.held() if not charge.leaving]
        if len(held) <= share:
            return
        random.shuffle(held)
        held.sort(key=lambda charge: (charge.run is not None, charge.watched is not None))
        for charge in held[: len(held) - share]:
            self._charges.release(charge)

    def _suspend(self) -> None:
        """Drop all sessions, before their leases end: the store can't be reached."""
        self._charges.suspended = True
        for charge, lease in self._charges.held():
            journal.lease_lost(lease.account, cause="it could not be renewed in time: the store can't be reached")
            if charge.run:
                charge.run.abort()
            self._charges.rest(charge, politely=False)
            charge.condition, charge.error = "backing off", "the store can't be reached"
            charge.advice = "See to the database; all accounts go on by themselves when it is back."
            self._reception.changed(charge)

    def _resume(self) -> None:
        self._charges.suspended = False
        held = [charge for charge, _ in self._charges.held() if charge.run is None]
        for charge in held:
            self._charges.put(charge, spread(len(held), charge.every, luck=random.random()))  # noqa: S311  a wait is no secret
