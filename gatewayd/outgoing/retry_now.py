"""Remember which destinations to try at once because their config has changed, until the store has taken that over."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gatewayd.errors import TransientError
from gatewayd.outgoing.destination_run import described
from gatewayd.outgoing.outbox import abandoned

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatewayd.api.store import Store
    from gatewayd.config import Config
    from gatewayd.runtime.instance import Instance

__all__ = ["RetryNow", "changed_destinations", "put_off_by_operators"]


class RetryNow:
    """Lets what waits in destinations be due. Used by the outbox' thread."""

    def __init__(self, store: Store, instance: Instance) -> None:
        self._store = store
        self._instance = instance
        self._destinations: set[str] = set()
        self._looked_back = False

    def add(self, destinations: Collection[str]) -> None:
        """Let these be due the next time that the store is asked."""
        self._destinations.update(destinations)

    def tell(self) -> None:
        """Tell the store; raises what it raises, and what it was away for is told it the next time."""
        if not self._looked_back:
            self._destinations |= self._left_over()
            self._looked_back = True
        destinations, self._destinations = self._destinations, set()
        try:
            if destinations:
                self._store.hurry(destinations)
        except TransientError:
            self._destinations |= destinations
            raise

    def _left_over(self) -> set[str]:
        """Return the destinations where the daemon before may have been refused. Of webhooks nobody knows why they wait."""
        paused = {f"account {one.account}" for one in self._store.healths() if one.condition == "paused"}
        destinations = self._store.destinations(dead=partial(abandoned, self._instance))
        return {destination for destination in destinations if destination in paused or not destination.startswith("account ")}


def changed_destinations(before: Config, now: Config) -> set[str]:
    """Return the destinations whose account or target is another by now."""
    destinations = {f"account {name}" for name in before.accounts.keys() | now.accounts.keys()}
    operators = (*before.operators.values(), *now.operators.values())
    destinations |= {f"target {operator.name}/{target}" for operator in operators for target in operator.targets}
    return {destination for destination in destinations if described(before, destination) != described(now, destination)}


def put_off_by_operators(before: Config, now: Config) -> set[str]:
    """Return the destinations in which something may wait for what changed in an operator's file."""

    def matters(config: Config, name: str) -> object:
        operator = config.operators.get(name)
        return operator and (operator.faulty, operator.targets)

    changed = {name for name in now.operators if matters(before, name) != matters(now, name)}
    hooks = {f"target {name}/{target}" for name in changed for target in now.operators[name].targets}
    return hooks | {f"account {one.name}" for one in now.accounts.values() if changed.intersection(one.operators)}
