"""The values that the supervisor works with: its dependencies, and its timings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd.api.store import LEASE_SECONDS
from gatewayd.runtime.backoff import Backoff
from gatewayd.runtime.events import Events

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.api.health import DaemonHealth
    from gatewayd.api.store import Store
    from gatewayd.config.models.main import LimitsConfig
    from gatewayd.matching import Matching
    from gatewayd.runtime.instance import Instance

__all__ = ["Dependencies", "Timings"]

#: The longest pause after refused log-ins, in seconds.
_LONGEST_PAUSE = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How often things are done, in seconds."""

    #: How long a lease lasts. It is renewed each third of that.
    lease: float = LEASE_SECONDS
    #: How often requests are read, and their progress is written.
    poll: float = 0.5
    #: How soon a change of an account's condition is written, and how soon smaller changes are.
    tell: float = 1.0
    quiet: float = 10.0
    #: How long a visit may go on that was told to end, before its session is aborted.
    grace: float = 1.0
    #: A visit whose server says nothing for so long no longer counts as working.
    slow: float = 5.0
    #: How long a visit goes on in any case, though other accounts wait for its room.
    turn: float = 5.0
    #: How long to wait after a first fault that may pass; the config has the longest wait.
    first: float = 10.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """The parts that the supervisor works with."""

    store: Store
    instance: Instance
    matching: Matching
    limits: LimitsConfig
    #: Returns this daemon's health, given how many accounts it holds.
    daemon: Callable[[int], DaemonHealth]
    events: Events = field(default_factory=Events)
    timings: Timings = field(default_factory=Timings)
    #: Returns what time it is.
    clock: Callable[[], datetime] = _now

    @property
    def backoff(self) -> Backoff:
        """How long to wait after faults that may pass."""
        return Backoff(first=self.timings.first, longest=self.limits.backoff)

    @property
    def pause(self) -> Backoff:
        """How long to wait after a refused log-in: hasty tries lock mailboxes."""
        return Backoff(first=self.limits.auth_pause, longest=max(self.limits.auth_pause, _LONGEST_PAUSE))
