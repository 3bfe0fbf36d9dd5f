"""A supervisor whose loop does not run: a test does what its turns would, and sees what comes of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from gatewayd import Lease, Task
from gatewayd.supervisor import Listener, Pace
from gatewayd.supervisor.accounts import Watched
from gatewayd.supervisor.leases import Round
from gatewayd.supervisor.visits import Run
from tests.patience import AT_ONCE
from tests.unit.supervised import until

if TYPE_CHECKING:
    import io

    from gatewayd import AccountHealth, GatewaydError
    from gatewayd.supervisor.accounts import Charge
    from tests.unit.supervised import House

#: How long a lease lasts here, in seconds.
LEASE = 30.0


class Stand:
    """A supervisor whose loop does not run, and who hears of what it does."""

    def __init__(self, house: House, *names: str) -> None:
        self.house = house
        self.heard: list[object] = []
        for name in names:
            house.add(name, can_watch=True)
        listener = Listener(
            alarm=self.heard.append,
            over=lambda *what: self.heard.append(what),
            gone=self.heard.append,
            changed=lambda health, _: self.heard.append((health.account, health.condition, health.error, health.advice)),
        )
        self.supervisor = house.supervisor(pace=Pace(lease=LEASE), listener=listener)
        self.ownership, self.charges = self.supervisor._ownership, self.supervisor._charges
        self.keeper, self.reception = self.supervisor._keeper, self.supervisor._reception

    def charge(self, name: str) -> Charge:
        charge = self.charges.get(name)
        assert charge is not None
        return charge

    def lease(self, name: str) -> Lease:
        """The account's lease, whoever has it."""
        found = self.house.store.take_lease(name, self.supervisor._kit.owner.name, dead=lambda _: True)
        assert isinstance(found, Lease)
        return found

    def done(
        self,
        *taken: Lease,
        kept: frozenset[Lease] | None = frozenset(),
        lost: frozenset[Lease] = frozenset(),
        share: int | None = None,
        error: GatewaydError | None = None,
        healths: tuple[AccountHealth, ...] = (),
    ) -> Round:
        """Let a round be done that renewed, lost and took these leases."""
        told = {one.account: one for one in healths}
        asked = lost | (kept or frozenset())
        done = Round(began=time.monotonic(), asked=asked, kept=kept, taken=taken, share=share, error=error, healths=told)
        self.ownership.done(done)
        return done

    def own(self, *names: str) -> list[Charge]:
        """Let accounts be ours."""
        self.done(*[self.lease(name) for name in names])
        return [self.charge(name) for name in names]

    def watch(self, charge: Charge) -> None:
        """Let the account's server be watched."""
        session = self.house.servers[charge.name].open()
        self.house._stack.callback(session.close)
        watch = session.watch("INBOX")
        assert watch is not None
        charge.watched = Watched(session, watch)

    def visit(self, charge: Charge) -> Run:
        """Let the account be in the middle of a visit."""
        assert charge.lease is not None
        registry = self.house.config().registry
        charge.run = Run(charge, charge.config, {}, None, registry, charge.lease, None, Task())
        # As of all that are being visited.
        charge.due = None
        self.charges._due.drop(charge.name)
        return charge.run

    def tell(self) -> None:
        """Let everything be told that there is to tell of accounts."""
        self.reception.work(max(time.monotonic(), self.reception._tell_at), [])
        until(lambda: not self.reception._tells)

    def is_given_back(self, name: str) -> bool:
        """Whether the next round gives an account's lease back."""
        self.keeper.start([], [], 0)
        self.supervisor._inbox.get(timeout=AT_ONCE)
        return isinstance(self.house.store.take_lease(name, "another", dead=lambda _: False), Lease)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    """What was logged since this was asked last, without times."""
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    log.seek(0)
    log.truncate()
    return [{key: value for key, value in line.items() if key not in {"ts", "level"}} for line in told]
