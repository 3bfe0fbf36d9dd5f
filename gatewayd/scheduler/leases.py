"""Whose accounts are ours: leases are taken, renewed and given back by a thread of their own, for the store may keep it waiting."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError, PluginError
from gatewayd.registry.loading import where
from gatewayd.runtime.threads import WorkerThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.api.health import AccountHealth
    from gatewayd.api.ledger import Lease
    from gatewayd.scheduler.values import Dependencies

__all__ = ["LeaseManager", "LeaseRound", "share"]

#: Leases are asked for by so many at once, at least, and so often in one round.
_AT_ONCE, _ASKED = 100, 20
#: How soon another round follows one that failed, in seconds.
_RETRY = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRound:
    """What one round of renewing and taking did."""

    #: When it began, on the loop's clock: leases that were renewed last so long from then, at least.
    began: float
    #: What was to be renewed.
    asked: frozenset[Lease]
    #: Those of them that stand; None where the store could not say.
    kept: frozenset[Lease] | None = None
    taken: tuple[Lease, ...] = ()
    #: How many accounts a daemon is to have; None where the store could not say.
    share: int | None = None
    #: What was told of the accounts that were taken.
    healths: Mapping[str, AccountHealth] = field(default_factory=dict)
    error: GatewaydError | None = None


def share(accounts: int, daemons: int) -> int:
    """Return how many of the accounts a daemon is to have, so that all have one and none has many more than another."""
    return math.ceil(accounts / max(1, daemons))


class LeaseManager:
    """Keeps leases. Used by the loop's thread; ``done`` is called in the keeper's own."""

    def __init__(self, kit: Dependencies, done: Callable[[LeaseRound], None]) -> None:
        self._kit = kit
        self._done = done
        self._thread = WorkerThreads(1, "leases")
        self._busy = False
        self._giving: list[Lease] = []
        #: What the last round took: at the end, the loop may not have heard of it.
        self._taken: Sequence[Lease] = ()
        #: When the next round is due, on the loop's clock.
        self.at = 0.0
        #: When the last round began that renewed all leases.
        self.good_at = time.monotonic()

    @property
    def ends_at(self) -> float:
        """When sessions must be dropped, for leases may end soon after."""
        return self.good_at + 0.8 * self._kit.pace.lease

    def give(self, lease: Lease) -> None:
        """Give a lease back with the next round, which comes at once."""
        self._giving.append(lease)
        self.at = 0.0

    def start(self, held: Sequence[Lease], wanted: Sequence[str], accounts: int) -> None:
        """Begin a round, unless one is under way: ``wanted`` are accounts without a lease, of all ``accounts`` there are."""
        if self._busy:
            self.at = time.monotonic() + self._kit.pace.poll
            return
        self._busy = True
        self.at = time.monotonic() + self._kit.pace.lease / 3
        giving, self._giving = self._giving, []
        self._thread.submit(self._round, held, giving, wanted, accounts)

    def end(self, leases: Sequence[Lease], timeout: float) -> bool:
        """Give everything back and say that this daemon ends; return whether that came to pass in time."""
        ending = self._thread.submit(self._end, leases)
        self._thread.shutdown(wait=False)
        try:
            ending.result(timeout)
        except (GatewaydError, TimeoutError):
            # The leases end by themselves, and sooner where the others see that this process is dead.
            return False
        return True

    # --- in its own thread ------------------------------------------------------------------------------------------

    def _end(self, leases: Sequence[Lease]) -> None:
        self._kit.store.release_leases([*leases, *self._giving, *self._taken])
        self._kit.store.retire(self._kit.instance.name)

    def _round(self, held: Sequence[Lease], giving: Sequence[Lease], wanted: Sequence[str], accounts: int) -> None:
        done = LeaseRound(began=time.monotonic(), asked=frozenset(held))
        try:
            kept = frozenset(self._kit.store.renew_leases(held) if held else ())
            done = replace(done, kept=kept)
            if giving:
                self._kit.store.release_leases(giving)
            self._bury()
            daemons = self._kit.store.beat(self._kit.daemon(len(kept)))
            done = replace(done, share=share(accounts, daemons))
            done = self._take(done, wanted, share(accounts, daemons) - len(kept))
            if done.taken:
                # Else it would tell of them only with the next round.
                self._kit.store.beat(self._kit.daemon(len(kept) + len(done.taken)))
        except GatewaydError as error:
            done = replace(done, error=error.alone())
        except Exception as error:  # noqa: BLE001  a store's bug must not end the renewing
            done = replace(done, error=PluginError(f"the store failed: {where(error)}"))
        finally:
            if done.error is not None:
                # What was given back already is so no matter how often: whoever takes it has another epoch.
                self._giving += giving
                self.at = time.monotonic() + min(_RETRY, self._kit.pace.lease / 10)
            self._busy = False
            self._done(done)

    def _bury(self) -> None:
        """Let those daemons no longer count that were killed: else a share of the accounts would wait for them."""
        for one in self._kit.store.daemons():
            if self._kit.instance.dead(one.holder):
                self._kit.store.retire(one.holder)

    def _take(self, done: LeaseRound, wanted: Sequence[str], room: int) -> LeaseRound:
        """Take as many as there is room for, whoever had them before; of many, any."""
        taken: list[Lease] = []
        instance = self._kit.instance
        names = random.sample(wanted, len(wanted))
        step = max(_AT_ONCE, room)
        try:
            for start in range(0, min(len(names), _ASKED * step), step):
                if len(taken) < room:
                    taken += self._kit.store.take_leases(names[start : start + step], instance.name, dead=instance.dead)
            if len(taken) > room:
                self._kit.store.release_leases(taken[room:])
            healths = {one.account: one for one in self._kit.store.healths()} if taken else {}
        except Exception:
            # The loop does not hear of them, and nobody else could have them until they end.
            self._giving += taken
            raise
        self._taken = taken[:room]
        return replace(done, taken=tuple(self._taken), healths=healths)
