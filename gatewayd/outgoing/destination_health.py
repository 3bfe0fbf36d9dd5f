"""Tell the store and the administrators how the sending accounts are, as their last deliveries showed (promise P10)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatewayd.api.health import AccountHealth, Alarm
from gatewayd.errors import AuthError, TransientError

if TYPE_CHECKING:
    from gatewayd.api.health import Condition
    from gatewayd.api.store import Store
    from gatewayd.outgoing.outbox import DeliveryRound
    from gatewayd.runtime.events import Events
    from gatewayd.runtime.instance import Instance

__all__ = ["DestinationHealth"]

#: Seconds between two reports that an account is well; an error is reported at once.
_QUIET = 10.0


class DestinationHealth:
    """Reports of each account how its last round went. Used by the dispatcher's thread."""

    def __init__(self, store: Store, instance: Instance, events: Events) -> None:
        self._store = store
        self._events = events
        self._instance = instance
        #: The error that was reported last of each account, and when.
        self._told: dict[str, tuple[str, float]] = {}
        #: Reports that the store has not taken yet.
        self._untold: dict[str, AccountHealth] = {}

    def tell(self, done: DeliveryRound, *, failures: int) -> None:
        """Report what a round showed of its account; a webhook has none. Raises what the store raises."""
        kind, _, account = done.destination.partition(" ")
        if kind != "account" or not (done.tried or done.error):
            return
        error, now = done.error.message if done.error else "", time.monotonic()
        before = self._told.get(account)
        if not error and before is not None and not before[0] and now - before[1] < _QUIET:
            return
        failed: Condition = "paused" if isinstance(done.error, AuthError) else "backing off"
        at = datetime.now(UTC)
        health = AccountHealth(
            account=account,
            holder=self._instance.name,
            condition=failed if done.error else "sending",
            checked_at=None if done.error else at,
            mail_at=at if done.delivered and not done.error else None,
            due_at=at + timedelta(seconds=done.rest) if done.error else None,
            failures=failures if done.error else 0,
            error=error,
            advice=done.error.advice if done.error else "",
        )
        # The administrators first: the store may be away.
        if health.error:
            passing = health.condition != "paused"
            self._events.alarm_raised(
                Alarm(kind="account", name=account, error=health.error, advice=health.advice, passing=passing)
            )
        else:
            self._events.alarm_over("account", account)
        self._told[account], self._untold[account] = (error, now), health
        self.catch_up()

    def nothing_waits(self, account: str) -> None:
        """Report that nothing is left to deliver through an account that failed: people cancelled it, or it goes elsewhere.

        Its next delivery shows how it is. Raises what the store raises.
        """
        error, _ = self._told.pop(account, ("", 0.0))
        if error:
            self._events.alarm_over("account", account)
            self._untold[account] = AccountHealth(account=account, holder=self._instance.name, condition="sending")
            self.catch_up()

    def catch_up(self) -> None:
        """Give the store the reports that it was away for; raises what it raises."""
        untold, self._untold = self._untold, {}
        try:
            if untold:
                self._store.tell(list(untold.values()))
        except TransientError:
            self._untold = untold
            raise
