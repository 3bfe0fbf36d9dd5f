"""Deliver what is due at one destination: the path of a delivery from taken to settled, step by step as in docs/flow.md.

Each delivery goes out at least once, with a stable idempotency key, or is parked with the reason (promise P7). A server's answer to
one delivery concerns only that delivery. An error that breaks the connection concerns the destination: the delivery that was
being sent is undecided and is tried later, those behind it are given back as they were, and the destination rests for a while.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.api.forwarder import Receipt
from gatewayd.api.store import DELIVERY_SECONDS
from gatewayd.errors import AuthError, ConfigError, GatewaydError, PermanentError, PluginError, TransientError
from gatewayd.outgoing.parcels import filings, parcel, route
from gatewayd.outgoing.policy import Policy
from gatewayd.outgoing.result_committer import ResultCommitter
from gatewayd.outgoing.values import DeliveryRound, DeliveryTools
from gatewayd.registry.guarded_courier import WrongReceipt, open_courier
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.api.delivery import DeliveryState, Settled, Taken
    from gatewayd.api.forwarder import Courier, Forwarder, Parcel
    from gatewayd.config import Config
    from gatewayd.message.values import Address
    from gatewayd.runtime.instance import Instance

__all__ = ["LIMIT", "DeliveryRound", "DeliveryTools", "Outbox", "Policy", "abandoned"]

#: How many deliveries to a destination are taken at a time, and go by one connection.
LIMIT = 100
#: So many seconds after they were taken no further delivery is begun: other processes may take them when their time is over.
_ENOUGH = DELIVERY_SECONDS / 2
#: A broken connection is opened anew at once. After so many in a row without one answer about a delivery, the destination rests.
_BREAKS = 3
#: Seconds between two tries of a commit while the store is away.
_STORE_AWAY = 0.5


def abandoned(instance: Instance, taker: str) -> bool:
    """Whether nobody works on what ``taker`` took of a destination at which this process is not at work.

    That holds for a dead process, and for this one: if the store went away while deliveries were taken or given back, nobody
    knows of them any more.
    """
    return taker == instance.name or instance.dead(taker)


class Outbox:
    """Delivers with one config. Any number of threads may deliver at once, each to a destination of its own."""

    def __init__(self, config: Config, policy: Policy | None = None) -> None:
        """``policy`` replaces the one that the config's limits make."""
        self._config = config
        self._policy = policy or Policy.of(config.limits)

    def deliver(self, destination: str, tools: DeliveryTools, *, failures: int) -> DeliveryRound:
        """Do one round at a destination: take up to ``LIMIT`` deliveries that are due, and deliver them.

        ``failures`` is how many rounds there failed in a row before this one. Raises what the store raises before anything is
        taken; what ends the round early later is its ``error``.
        """
        began = time.monotonic()
        taken = tools.store.take(destination, tools.instance.name, limit=LIMIT, dead=partial(abandoned, tools.instance))
        if not taken:
            return DeliveryRound(destination=destination)
        return _Round(
            config=self._config,
            policy=self._policy,
            tools=tools,
            destination=destination,
            taken={one.id: one for one in taken},
            failures=failures,
            began=began,
        ).run()


@dataclass(kw_only=True, eq=False)
class _Round:
    """One round at one destination, on the deliveries that were taken."""

    config: Config
    policy: Policy
    tools: DeliveryTools
    destination: str
    taken: Mapping[int, Taken]
    failures: int
    #: A moment of the monotonic clock before the deliveries were taken.
    began: float

    def __post_init__(self) -> None:
        #: Deliveries without a result: not tried, not put off.
        self.left = dict(self.taken)
        #: How many deliveries are on the disk in each state.
        self.count: Counter[DeliveryState] = Counter()
        #: The last try to open a connection failed.
        self.shut = False
        store, taker = self.tools.store, self.tools.instance.name
        self.results = ResultCommitter(store, taker, self.tools.settler, told=self._committed, wait=self._wait_for_store)

    def run(self) -> DeliveryRound:
        """Compose, send and settle what was taken, give back the rest, and report. Never raises."""
        error = self._guarded(self._deliver)
        rest = self._rest(error) if error else 0.0
        if error is not None and self.shut and not self.tools.stopping():
            # Nothing can go this way: all that is left says why, and is due when the destination is tried again.
            error = self._guarded(partial(self._postpone_all, error, rest)) or error
        # Errors here come from the store. Deliveries that are not given back become due when their time is over.
        not_committed = self._guarded(self.results.close)
        not_given_back = self._guarded(self._give_back)
        error = None if self.tools.stopping() else error or not_committed or not_given_back
        if error is not None:
            rest = rest or self._rest(error)
        return DeliveryRound(
            destination=self.destination,
            taken=len(self.taken),
            delivered=self.count["delivered"],
            waiting=self.count["waiting"],
            parked=self.count["parked"],
            error=error,
            rest=rest if error else 0.0,
            failures=self._in_a_row if error else 0,
        )

    def _deliver(self) -> None:
        """Deliver until nothing is left or the round is over; raises the error for which the destination must rest."""
        forwarder, parcels = self._compose()
        breaks = 0
        while forwarder is not None and parcels and not self._over():
            before = len(self.left)
            error = self._guarded(partial(self._send, forwarder, parcels))
            parcels = [one for one in parcels if one.id in self.left]
            # The delivery that was being sent is put off without an answer: only a second one shows that there was an answer.
            breaks = 0 if before - len(self.left) > 1 else breaks + 1
            if error is not None and (self.shut or isinstance(error, AuthError | PluginError) or breaks >= _BREAKS):
                raise error

    def _compose(self) -> tuple[Forwarder | None, Sequence[Parcel]]:
        """Return the parcels that can go, and their forwarder, by the config as it is now; put off the others with the reason."""
        seen = filings(self.tools.store, list(self.left.values()))
        routes: dict[tuple[str, str, str | None], tuple[Forwarder, Address | None]] = {}
        forwarder, parcels = None, []
        for taken in list(self.left.values()):
            key = (taken.operator, taken.delivery.target, taken.user)
            try:
                if key not in routes:
                    routes[key] = self._route(taken)
                by, sender = routes[key]
                composed = parcel(taken, seen.get((taken.operator, taken.mail_id)), sender, partial(self._write_note, taken.id))
            except (ConfigError, PermanentError, PluginError) as error:
                self._undecided(taken, error)
                continue
            if composed.to:
                forwarder = forwarder or by
                parcels.append(composed)
            else:
                # All recipients have it already, and the delivery was not settled.
                self._settle(taken, self.policy.settled(taken, Receipt(id=taken.id, recipients=()), now=_now(), jitter=_jitter()))
        return forwarder, parcels

    def _write_note(self, delivery_id: int, text: str) -> None:
        """Have a forwarder's note on the disk; raises TransientError if the delivery is somebody else's by now."""
        if not self.tools.store.write_note(self.tools.instance.name, delivery_id, text):
            raise TransientError(f"another process has taken delivery {delivery_id}: it is left to that")

    def _route(self, taken: Taken) -> tuple[Forwarder, Address | None]:
        try:
            return route(self.config, taken)
        except GatewaydError:
            raise
        except (Exception, SystemExit) as error:
            raise self._bug(error) from error

    def _send(self, forwarder: Forwarder, parcels: Sequence[Parcel]) -> None:
        """Send parcels by one connection; raises what broke it."""
        self.shut = True
        courier = open_courier(forwarder)
        self.shut = False
        with ExitStack() as stack:
            stack.callback(courier.close)
            stack.callback(self.tools.opened, None)
            # First: a server that is slow to say goodbye must not keep results from the disk.
            stack.callback(self.results.close)
            self.tools.opened(courier)
            # Opening may have taken so long that others may take the deliveries soon.
            error = None if self._over() else self._guarded(partial(self._send_each, courier, parcels))
            if error is None or self.tools.stopping() or self.results.error:
                # An aborted connection is no fault, and the store's absence is not the server's: what was being sent is given back.
                return
            in_hand = next((one for one in parcels if one.id in self.left), None)
            if in_hand is not None:
                self._undecided(self.left[in_hand.id], error)
            if not isinstance(error, PermanentError):
                raise error

    def _send_each(self, courier: Courier, parcels: Sequence[Parcel]) -> None:
        """Send one parcel after the other, and settle each by its receipt."""
        expected = iter(parcels)
        for receipt in courier.deliver(parcels):
            next(expected)
            taken = self.taken[receipt.id]
            self._settle(taken, self.policy.settled(taken, receipt, now=_now(), jitter=_jitter()))
            if self._over():
                return
        missing = next(expected, None)
        if missing is not None:
            raise PluginError(f"the courier said nothing of delivery {missing.id}")

    # --- the result of each delivery ----------------------------------------------------------------------------------

    def _undecided(self, taken: Taken, error: GatewaydError) -> None:
        """Settle a delivery that an error kept from being decided: parked if no further try can help, else put off."""
        if isinstance(error, PermanentError | WrongReceipt):
            self._settle(taken, self.policy.refused(taken, error.sentences))
        else:
            self._settle(taken, self.policy.postponed(taken, error.sentences, now=_now(), jitter=_jitter()))

    def _postpone_all(self, error: GatewaydError, rest: float) -> None:
        for taken in list(self.left.values()):
            self._settle(taken, self.policy.postponed(taken, error.sentences, now=_now(), jitter=_jitter(), rest=rest))

    def _settle(self, taken: Taken, settled: Settled) -> None:
        """Have a result committed; raises what the store raised for an earlier one."""
        del self.left[taken.id]
        self.results.add(taken, settled)
        self.tools.moved()

    def _committed(self, taken: Taken, settled: Settled) -> None:
        self.count[settled.state] += 1
        self.tools.events.delivery_settled(self.destination, taken, settled)

    def _give_back(self) -> None:
        if self.left:
            self.tools.store.give_back(self.tools.instance.name, list(self.left))

    # --- when the round is over, and how long the destination rests ---------------------------------------------------

    def _over(self) -> bool:
        late = time.monotonic() - self.began > _ENOUGH
        return late or self.tools.stopping() or self.results.error is not None

    def _wait_for_store(self) -> bool:
        """Wait a moment for the store; return whether to try it again."""
        if not self._over():
            time.sleep(_STORE_AWAY)
        return not self._over()

    @property
    def _in_a_row(self) -> int:
        """How many rounds failed in a row, with this one. If the server took something and then broke off, it is the first."""
        return 1 if self.count["delivered"] else self.failures + 1

    def _rest(self, error: GatewaydError) -> float:
        return self.policy.rest(error, self._in_a_row, jitter=_jitter())

    def _guarded(self, step: Callable[[], object]) -> GatewaydError | None:
        """Do a step, and return the error that it raised. Any but the five errors is the forwarder's bug (P4)."""
        try:
            step()
        except GatewaydError as error:
            return error.alone()
        except (Exception, SystemExit) as error:  # noqa: BLE001  one destination's bug is its own
            return self._bug(error)
        return None

    def _bug(self, error: BaseException) -> PluginError:
        return PluginError(f"the forwarder of {self.destination} failed: {where(error)}")


def _jitter() -> float:
    return random.random()  # noqa: S311  it only spreads tries


def _now() -> datetime:
    return datetime.now(UTC)
