"""A supervisor whose loop is turned by the test itself, which so says what happens before what."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd import DaemonHealth
from gatewayd.config import LimitsConfig
from gatewayd.matching import LocalMatching
from gatewayd.registry.loading import Registry
from gatewayd.runtime.events import Events
from gatewayd.runtime.instance import Instance
from gatewayd.scheduler import Dependencies, Supervisor, Timings
from tests.patience import AT_ONCE, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from gatewayd import Store
    from gatewayd.scheduler.account_state import AccountState
    from tests.unit.supervised import House


def deps(
    house: House, owner: Instance, store: Store | None = None, *, visits: int = 8, events: Events | None = None
) -> Dependencies:
    """What a supervisor works with, in a hurry."""
    return Dependencies(
        store=store or house.store,
        instance=owner,
        matching=LocalMatching(Registry(plugins=(), _classes={})),
        limits=LimitsConfig(visits=visits),
        daemon=lambda accounts: DaemonHealth(holder=owner.name, version="0", started_at=datetime.now(UTC), accounts=accounts),
        events=events or Events(),
        timings=Timings(poll=0.02, tell=0.02, first=60.0),
        clock=house.clock,
    )


class Turned:
    """A supervisor of a house's accounts. Nothing happens in it but by ``turn`` and ``until``."""

    def __init__(self, house: House, *, store: Store | None = None, visits: int = 8) -> None:
        self._house = house
        self._owner = Instance(house.folder)
        self._owner.__enter__()
        self.supervisor = Supervisor(deps(house, self._owner, store, visits=visits))
        self.apply()

    def apply(self) -> None:
        """Take the house's config over as it is now."""
        self.supervisor.apply(self._house.config(), self._house.specs)

    def state(self, name: str = "main") -> AccountState:
        """What is known of an account."""
        self.until(lambda: self.supervisor._states.get(name))
        found = self.supervisor._states.get(name)
        assert found is not None
        return found

    def turn(self) -> None:
        """Let the loop turn once."""
        self.supervisor._turn()

    def until(self, holds: Callable[[], object]) -> None:
        """Let the loop turn until something holds."""
        watch = Stopwatch()
        while not holds():
            assert watch.seconds < AT_ONCE
            self.turn()

    def due_in(self, name: str = "main") -> float:
        """In how many seconds an account is due."""
        due = self.state(name).due
        assert due is not None
        return due - time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.supervisor._begin_to_stop()
        self.until(lambda: not self.supervisor._pool.runs)
        self.supervisor.stop(1.0)
        self._owner.__exit__(kind, error, trace)
