"""A round on one destination that is under way, as the loop of the outbox sees it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.api.store import DELIVERY_SECONDS

if TYPE_CHECKING:
    from gatewayd.api.forwarder import Courier
    from gatewayd.config import AccountConfig, Config, TargetConfig

__all__ = ["DestinationPause", "DestinationRun", "described", "file_of"]


@dataclass(slots=True)
class DestinationPause:
    """A destination that failed so often in a row, and until when it is left alone."""

    failures: int
    until: float


class DestinationRun:
    """One round: ``opened`` and ``move`` are its thread's, the rest is the loop's."""

    def __init__(self, destination: str, groups: tuple[str, ...]) -> None:
        self.destination = destination
        #: What it counts for in the line.
        self.groups = groups
        #: Its server has said nothing for a while: it no longer counts as working.
        self.slow = False
        #: What it logs in with, or goes by, is another by now.
        self.outdated = False
        #: When there was last a sign of life.
        self.moved = time.monotonic()
        #: When its connection is aborted: others may take by then what it has.
        self.abort_at = self.moved + DELIVERY_SECONDS
        self._door = threading.Lock()
        self._courier: Courier | None = None

    def opened(self, courier: Courier | None) -> None:
        """Take the courier that is open, or None before it is closed."""
        with self._door:
            self._courier = courier
        self.move()

    def move(self) -> None:
        """Note a sign of life."""
        self.moved = time.monotonic()

    def look(self, now: float) -> None:
        """Abort the connection where its time is up; what is opened after that, too."""
        if now < self.abort_at:
            return
        with self._door:
            courier, self._courier = self._courier, None
            if courier is not None:
                courier.abort()


def described(config: Config, destination: str) -> AccountConfig | TargetConfig | None:
    """Return what the config says of the account or target of a destination."""
    kind, _, name = destination.partition(" ")
    if kind == "account":
        return config.accounts.get(name)
    operator, _, target = name.partition("/")
    return config.operators[operator].targets.get(target) if operator in config.operators else None


def file_of(destination: str) -> str:
    """Return the file of the config that says how a destination is gone."""
    kind, _, name = destination.partition(" ")
    return f"accounts/{name}.yaml" if kind == "account" else f"operators/{name.partition('/')[0]}.yaml"
