"""Take, renew and give back the leases of accounts, in a thread of its own since the store may keep it waiting; a visit renews its
own lease meanwhile.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError, PluginError
from gatewayd.runtime.threads import WorkerThreads
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.api.health import AccountHealth
    from gatewayd.api.ledger import Lease
    from gatewayd.scheduler.values import Dependencies

__all__ = ["LeaseManager", "LeaseRound", "share"]

#: Leases are asked for in groups of at least so many, and of so many groups in one round.
_AT_ONCE, _ASKED = 100, 20
#: Seconds until the round after one that failed.
_RETRY = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRound:
    """The result of one round of renewing and taking leases."""

    #: When it began, on the loop's clock. Renewed leases last from then on, at least.
    began: float
    #: The leases that were to be renewed.
    asked: frozenset[Lease]
    #: Those that were renewed; None if the store failed.
    kept: frozenset[Lease] | None = None
    taken: tuple[Lease, ...] = ()
    #: How many accounts each daemon is to have; None if the store failed.
    share: int | None = None
    #: The stored health of all accounts, if some were taken.
    healths: Mapping[str, AccountHealth] = field(default_factory=dict)
    error: GatewaydError | None = None


def share(accounts: int, daemons: int) -> int:
    """Return how many accounts each daemon is to have, so that all accounts are held, about as many by each."""
    return math.ceil(accounts / max(1, daemons))


class LeaseManager:
    """Holds leases. Used by the loop's thread; ``done`` is called in the manager's own thread."""

    def __init__(self, deps: Dependencies, done: Callable[[LeaseRound], None]) -> None:
        self._deps = deps
        self._done = done
        self._thread = WorkerThreads(1, "leases")
        self._busy = False
        self._giving: list[Lease] = []
        #: The leases that the last round took. When the daemon ends, the loop may not know them yet.
        self._taken: Sequence[Lease] = ()
        #: When the next round is due, on the loop's clock.
        self.at = 0.0
        #: When the last round began that renewed all leases.
        self.good_at = time.monotonic()

    @property
    def ends_at(self) -> float:
        """When sessions must be dropped, since leases may end soon after."""
        return self.good_at + 0.8 * self._deps.timings.lease

    def give(self, lease: Lease) -> None:
        """Give a lease back with the next round, which comes at once."""
        self._giving.append(lease)
        self.at = 0.0

    def start(self, held: Sequence[Lease], wanted: Sequence[str], accounts: int) -> None:
        """Begin a round, unless one is under way: ``wanted`` are accounts without a lease, of all ``accounts`` there are."""
        if self._busy:
            self.at = time.monotonic() + self._deps.timings.poll
            return
        self._busy = True
        self.at = time.monotonic() + self._deps.timings.lease / 3
        giving, self._giving = self._giving, []
        self._thread.submit(self._round, held, giving, wanted, accounts)

    def end(self, leases: Sequence[Lease], timeout: float) -> bool:
        """Give everything back and retire this daemon in the store; return whether that succeeded in time."""
        ending = self._thread.submit(self._end, leases)
        self._thread.shutdown(wait=False)
        try:
            ending.result(timeout)
        except (GatewaydError, TimeoutError):
            # The leases end by themselves; sooner if others can see that this process is dead.
            return False
        return True

    # --- in its own thread ------------------------------------------------------------------------------------------

    def _end(self, leases: Sequence[Lease]) -> None:
        self._deps.store.release_leases([*leases, *self._giving, *self._taken])
        self._deps.store.retire(self._deps.instance.name)

    def _round(self, held: Sequence[Lease], giving: Sequence[Lease], wanted: Sequence[str], accounts: int) -> None:
        done = LeaseRound(began=time.monotonic(), asked=frozenset(held))
        try:
            kept = frozenset(self._deps.store.renew_leases(held) if held else ())
            done = replace(done, kept=kept)
            if giving:
                self._deps.store.release_leases(giving)
            for daemon in self._deps.store.daemons():
                # One that was killed no longer counts: else a share of the accounts would wait for it.
                if self._deps.instance.dead(daemon.holder):
                    self._deps.store.retire(daemon.holder)
            daemons = self._deps.store.beat(self._deps.daemon(len(kept)))
            done = replace(done, share=share(accounts, daemons))
            done = self._take(done, wanted, share(accounts, daemons) - len(kept))
            if done.taken:
                # Else the number in the store would be wrong until the next round.
                self._deps.store.beat(self._deps.daemon(len(kept) + len(done.taken)))
        except GatewaydError as error:
            done = replace(done, error=error.alone())
        except Exception as error:  # noqa: BLE001  a store's bug must not end the renewing
            done = replace(done, error=PluginError(f"the store failed: {where(error)}"))
        finally:
            if done.error is not None:
                # Giving a lease back twice does no harm: whoever takes it has another epoch.
                self._giving += giving
                self.at = time.monotonic() + min(_RETRY, self._deps.timings.lease / 10)
            self._busy = False
            self._done(done)

    def _take(self, done: LeaseRound, wanted: Sequence[str], room: int) -> LeaseRound:
        """Take leases at random, as many as there is room for."""
        taken: list[Lease] = []
        instance = self._deps.instance
        names = random.sample(wanted, len(wanted))
        step = max(_AT_ONCE, room)
        try:
            for start in range(0, min(len(names), _ASKED * step), step):
                if len(taken) < room:
                    taken += self._deps.store.take_leases(names[start : start + step], instance.name, dead=instance.dead)
            if len(taken) > room:
                self._deps.store.release_leases(taken[room:])
            healths = {one.account: one for one in self._deps.store.healths()} if taken else {}
        except Exception:
            # Else nobody could have them until they end.
            self._giving += taken
            raise
        self._taken = taken[:room]
        return replace(done, taken=tuple(self._taken), healths=healths)
