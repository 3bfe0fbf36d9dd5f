"""Know of each destination its part of the config, the round that is under way there, and how long it rests after failures."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.api.store import DELIVERY_SECONDS
from gatewayd.config import token_use
from gatewayd.runtime.bounded_pool import PooledRun

if TYPE_CHECKING:
    from gatewayd.api.forwarder import Courier
    from gatewayd.config import AccountConfig, Config, TargetConfig

__all__ = ["DestinationPause", "DestinationRun", "changed_destinations", "consent_mark", "file_of", "put_off_by_operators"]


@dataclass(slots=True)
class DestinationPause:
    """The rest of a destination after failures."""

    #: How many rounds failed in a row.
    failures: int
    #: Until when it is left alone, on the monotonic clock.
    until: float
    #: See ``consent_mark``: what it was when a log-in was refused; None after another failure.
    mark: bytes | None = None


class DestinationRun(PooledRun):
    """One round that is under way: its thread calls ``opened`` and ``move``, all else is for the dispatcher's thread."""

    def __init__(self, destination: str) -> None:
        super().__init__(abort_at=time.monotonic() + DELIVERY_SECONDS)
        self.destination = destination
        #: The config or a secret of the destination changed after the round began.
        self.outdated = False
        self._lock = threading.Lock()
        self._courier: Courier | None = None

    def opened(self, courier: Courier | None) -> None:
        """Keep the courier that is open, so that it can be aborted; None before it is closed."""
        with self._lock:
            self._courier = courier
        self.move()

    def move(self) -> None:
        """Note a sign of life."""
        self.moved = time.monotonic()

    def abort(self) -> None:
        """Abort the connection that is open: other processes may take its deliveries by now."""
        with self._lock:
            courier, self._courier = self._courier, None
            if courier is not None:
                courier.abort()


def consent_mark(destination: str, config: Config) -> bytes:
    """Return a mark that changes when the person consents anew whose mailbox the account opens; empty if it needs no consent."""
    account = config.accounts.get(destination.removeprefix("account "))
    use = token_use(account.options) if account else None
    return use.source.consent_mark(use.user) if use else b""


def file_of(destination: str) -> str:
    """Return the config file that describes a destination."""
    kind, _, name = destination.partition(" ")
    return f"accounts/{name}.yaml" if kind == "account" else f"operators/{name.partition('/')[0]}.yaml"


def changed_destinations(before: Config, now: Config) -> set[str]:
    """Return the destinations whose account or target differs between two configs."""
    found = {f"account {name}" for name in before.accounts.keys() | now.accounts.keys()}
    operators = (*before.operators.values(), *now.operators.values())
    found |= {f"target {operator.name}/{target}" for operator in operators for target in operator.targets}
    return {one for one in found if _described(before, one) != _described(now, one)}


def _described(config: Config, destination: str) -> AccountConfig | TargetConfig | None:
    kind, _, name = destination.partition(" ")
    if kind == "account":
        return config.accounts.get(name)
    operator, _, target = name.partition("/")
    return config.operators[operator].targets.get(target) if operator in config.operators else None


def put_off_by_operators(before: Config, now: Config) -> set[str]:
    """Return the destinations where deliveries may wait for an operator's file that is mended or has other targets now."""

    def matters(config: Config, name: str) -> object:
        operator = config.operators.get(name)
        return operator and (operator.faulty, operator.targets)

    changed = {name for name in now.operators if matters(before, name) != matters(now, name)}
    hooks = {f"target {name}/{target}" for name in changed for target in now.operators[name].targets}
    return hooks | {f"account {one.name}" for one in now.accounts.values() if changed.intersection(one.operators)}
