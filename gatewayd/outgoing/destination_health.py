"""How the accounts are that send, as their last deliveries showed (promise P10)."""

from __future__ import annotations

import time
from dataclasses import dataclass
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

#: That all is well is told so often at most, in seconds; what is wrong is told at once.
_QUIET = 10.0


@dataclass(frozen=True, slots=True)
class _Told:
    error: str
    at: float


class DestinationHealth:
    """Tells the store of each account how its last round went. Used by the outbox' thread."""

    def __init__(self, store: Store, instance: Instance, events: Events) -> None:
        self._store = store
        self._events = events
        self._instance = instance
        self._told: dict[str, _Told] = {}
        #: What the store did not take yet.
        self._untold: dict[str, AccountHealth] = {}

    def tell(self, done: DeliveryRound, *, failures: int) -> None:
        """Tell what a round says of its account. A webhook has none; raises what the store raises."""
        kind, _, account = done.destination.partition(" ")
        if kind != "account" or not (done.tried or done.error):
            return
        error, now = done.error.message if done.error else "", time.monotonic()
        before = self._told.get(account)
        if not error and before is not None and not before.error and now - before.at < _QUIET:
            return
        health = self._health(account, done, failures)
        # Before the store is told, which may be away.
        if health.error:
            passing = health.condition != "paused"
            self._events.alarm_raised(
                Alarm(kind="account", name=account, error=health.error, advice=health.advice, passing=passing)
            )
        else:
            self._events.alarm_over("account", account)
        self._told[account], self._untold[account] = _Told(error, now), health
        self.catch_up()

    def catch_up(self) -> None:
        """Tell what the store was away for; raises what it raises."""
        untold, self._untold = self._untold, {}
        try:
            if untold:
                self._store.tell(list(untold.values()))
        except TransientError:
            self._untold = untold
            raise

    def _health(self, account: str, done: DeliveryRound, failures: int) -> AccountHealth:
        now = datetime.now(UTC)
        if done.error is None:
            sent = now if done.delivered else None
            return AccountHealth(account=account, holder=self._instance.name, condition="sending", checked_at=now, mail_at=sent)
        condition: Condition = "paused" if isinstance(done.error, AuthError) else "backing off"
        return AccountHealth(
            account=account,
            holder=self._instance.name,
            condition=condition,
            due_at=now + timedelta(seconds=done.rest),
            failures=failures,
            error=done.error.message,
            advice=done.error.advice,
        )
