"""The work on one destination: take what is due, open its courier once, deliver one after the other, and commit what became of it.

What the server says of one delivery is that delivery's matter. What breaks the connection is the destination's: what was in hand is
undecided and tried later, what was behind it is given back as it was, and the destination is left alone for a while. Before the
connection is closed all that is known is on the disk (promise P7).
"""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.api.forwarder import Receipt
from gatewayd.api.store import DELIVERY_SECONDS
from gatewayd.errors import AuthError, ConfigError, GatewaydError, PermanentError, PluginError
from gatewayd.outgoing.parcels import filings, parcel, way
from gatewayd.outgoing.result_committer import ResultCommitter
from gatewayd.outgoing.values import DeliveryRound
from gatewayd.registry.guarded_courier import WrongReceipt, open_courier
from gatewayd.registry.loading import where

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewayd.api.delivery import DeliveryState, Settled, Taken
    from gatewayd.api.forwarder import Courier, Forwarder, Parcel
    from gatewayd.config import Config
    from gatewayd.outgoing.parcels import Route
    from gatewayd.outgoing.policy import Policy
    from gatewayd.outgoing.values import DeliveryTools

__all__ = ["DestinationWork"]

#: Nothing more is begun so many seconds after it was taken: others may take it when its time is over.
_ENOUGH = DELIVERY_SECONDS / 2
#: A connection that breaks is opened anew at once; so often in a row without one word about a delivery, and the destination rests.
_BREAKS = 3
#: Seconds between two tries of a commit while the store is away.
_STORE_AWAY = 0.5


class DestinationWork:
    """One round of work on what was taken of one destination."""

    def __init__(
        self,
        config: Config,
        policy: Policy,
        tools: DeliveryTools,
        destination: str,
        taken: Sequence[Taken],
        *,
        failures: int,
        began: float,
    ) -> None:
        """``began`` is a moment of the monotonic clock that was over when they were taken."""
        self._config = config
        self._policy = policy
        self._tools = tools
        self._destination = destination
        self._taken = {one.id: one for one in taken}
        #: What was neither tried nor put off.
        self._left = dict(self._taken)
        self._failures = failures
        self._began = began
        self._count: Counter[DeliveryState] = Counter()
        self._ways: dict[tuple[str, str, str | None], Route] = {}
        #: The last try to open a connection failed.
        self._shut = False
        self._books = ResultCommitter(tools.store, tools.instance.name, tools.settler, told=self._told, wait=self._wait)

    def run(self) -> DeliveryRound:
        """Do it, and report it. Never raises: what ended it early is the round's error."""
        error, rest = self._guarded(self._deliver), 0.0
        if error is not None:
            rest = self._rest(error)
        if error is not None and self._shut and not self._tools.stopping():
            # Nothing can go this way: all that was taken says why, and is due when the destination is tried again.
            error = self._guarded(partial(self._put_all_off, error, rest)) or error
        # What of these fails is the store's matter, and what was taken and not given back is due again later.
        failed = [self._guarded(self._books.close), self._guarded(self._give_back)]
        if self._tools.stopping():
            return self._round()
        error = error or failed[0] or failed[1]
        if error is not None:
            rest = rest or self._rest(error)
        return self._round(error, rest)

    def _round(self, error: GatewaydError | None = None, rest: float = 0.0) -> DeliveryRound:
        return DeliveryRound(
            destination=self._destination,
            taken=len(self._taken),
            delivered=self._count["delivered"],
            waiting=self._count["waiting"],
            parked=self._count["parked"],
            error=error,
            rest=rest,
            failures=self._in_a_row if error else 0,
        )

    @property
    def _in_a_row(self) -> int:
        """How often it failed, this time included. A server that took something, and then broke off, is tried soon."""
        return 1 if self._count["delivered"] else self._failures + 1

    def _rest(self, error: GatewaydError) -> float:
        return self._policy.rest(error, self._in_a_row, luck=_luck())

    # --- what is on its way -------------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        """Deliver until nothing is left, it is to end, or the destination must rest: then it raises why."""
        forwarder, parcels = self._parcels()
        breaks = 0
        while forwarder is not None and parcels and not self._over():
            before = len(self._left)
            error = self._guarded(partial(self._connection, forwarder, parcels))
            parcels = [one for one in parcels if one.id in self._left]
            # What was in hand is put off, so that one more is gone than there were words.
            breaks = 0 if before - len(self._left) > 1 else breaks + 1
            if error is not None and (self._shut or isinstance(error, AuthError | PluginError) or breaks >= _BREAKS):
                raise error

    def _connection(self, forwarder: Forwarder, parcels: Sequence[Parcel]) -> None:
        """Deliver by one connection; raises what broke it."""
        self._shut = True
        courier = open_courier(forwarder)
        self._shut = False
        with ExitStack() as stack:
            stack.callback(courier.close)
            stack.callback(self._tools.opened, None)
            # First: a server that takes its time for a good-bye must not keep what is known from the disk.
            stack.callback(self._books.close)
            self._tools.opened(courier)
            # It may have taken so long that others may take them soon.
            if not self._over():
                self._one_by_one(courier, parcels)

    def _one_by_one(self, courier: Courier, parcels: Sequence[Parcel]) -> None:
        error = self._guarded(partial(self._receipts, courier, parcels))
        if error is None or self._tools.stopping() or self._books.error:
            # An aborted connection is no fault; what was in hand is given back. Nor is it the server's that the store is away.
            return
        in_hand = next((one for one in parcels if one.id in self._left), None)
        if in_hand is not None:
            self._undecided(self._left[in_hand.id], error)
        if not isinstance(error, PermanentError):
            raise error

    def _receipts(self, courier: Courier, parcels: Sequence[Parcel]) -> None:
        expected = iter(parcels)
        for receipt in courier.deliver(parcels):
            next(expected)
            taken = self._taken[receipt.id]
            self._settle(taken, self._policy.settled(taken, receipt, now=_now(), luck=_luck()))
            if self._over():
                return
        missing = next(expected, None)
        if missing is not None:
            raise PluginError(f"the courier said nothing of delivery {missing.id}")

    def _parcels(self) -> tuple[Forwarder | None, Sequence[Parcel]]:
        """Return what can go, and by whom; what can't is put off with the reason."""
        seen = filings(self._tools.store, list(self._left.values()))
        forwarder, parcels = None, []
        for taken in list(self._left.values()):
            try:
                found = self._way(taken)
                made = parcel(taken, seen.get((taken.operator, taken.mail_id)), found.sender)
            except (ConfigError, PermanentError, PluginError) as error:
                self._undecided(taken, error)
                continue
            if made.to:
                forwarder = forwarder or found.forwarder
                parcels.append(made)
                continue
            # All have it already, and it was not noted.
            self._settle(taken, self._policy.settled(taken, Receipt(id=taken.id, recipients=()), now=_now(), luck=_luck()))
        return forwarder, parcels

    def _way(self, taken: Taken) -> Route:
        key = (taken.operator, taken.delivery.target, taken.owner)
        if key not in self._ways:
            error = self._guarded(lambda: self._ways.update({key: way(self._config, taken)}))
            if error is not None:
                raise error
        return self._ways[key]

    # --- what became of it --------------------------------------------------------------------------------------------

    def _undecided(self, taken: Taken, error: GatewaydError) -> None:
        if isinstance(error, PermanentError | WrongReceipt):
            self._settle(taken, self._policy.refused(taken, error.sentences))
            return
        self._settle(taken, self._policy.postponed(taken, error.sentences, now=_now(), luck=_luck()))

    def _put_all_off(self, error: GatewaydError, rest: float) -> None:
        for taken in list(self._left.values()):
            self._settle(taken, self._policy.postponed(taken, error.sentences, now=_now(), luck=_luck(), rest=rest))

    def _settle(self, taken: Taken, settled: Settled) -> None:
        del self._left[taken.id]
        self._books.add(taken, settled)
        self._tools.moved()

    def _told(self, taken: Taken, settled: Settled) -> None:
        self._count[settled.state] += 1
        self._tools.events.delivery_settled(self._destination, taken, settled)

    def _give_back(self) -> None:
        if self._left:
            self._tools.store.give_back(self._tools.instance.name, list(self._left))

    # --- when to end --------------------------------------------------------------------------------------------------

    def _over(self) -> bool:
        late = time.monotonic() - self._began > _ENOUGH
        return late or self._tools.stopping() or self._books.error is not None

    def _wait(self) -> bool:
        """Wait a moment for the store; return whether to try it again."""
        if not self._over():
            time.sleep(_STORE_AWAY)
        return not self._over()

    def _guarded(self, step: Callable[[], object]) -> GatewaydError | None:
        """Do a step, and return what it raised; whatever a forwarder raises but the five errors is its own fault (P4)."""
        try:
            step()
        except GatewaydError as error:
            return error.alone()
        except (Exception, SystemExit) as error:  # noqa: BLE001  one destination's bug is its own
            return PluginError(f"the forwarder of {self._destination} failed: {where(error)}")
        return None


def _luck() -> float:
    return random.random()  # noqa: S311  it only spreads tries


def _now() -> datetime:
    return datetime.now(UTC)
