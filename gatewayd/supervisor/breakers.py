"""Breakers: a matcher whose faults come in batch after batch is not called for a while, then tried once (promise P4)."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Breakers"]

#: Faulty batches, all within the window in seconds, that open a breaker.
_FAULTS, _WINDOW = 3, 600.0
#: Seconds that a breaker stays open before the matcher is tried again.
_OPEN = 600.0


@dataclass(slots=True)
class _Breaker:
    faults: deque[float] = field(default_factory=lambda: deque(maxlen=_FAULTS))
    #: When it may be tried again; None while it is closed.
    until: float | None = None
    #: A batch is on its way to the matcher as a trial.
    probing: bool = False


class Breakers:
    """The breakers of all matchers of all operators. Every method may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._door = threading.Lock()
        self._breakers: dict[tuple[str, str], _Breaker] = {}

    def may_call(self, operator: str, by: str) -> bool:
        """Whether the matcher may be called with a batch. The first who asks when its time is up gets to try it."""
        with self._door:
            breaker = self._breakers.get((operator, by))
            if breaker is None or breaker.until is None:
                return True
            if breaker.probing or self._clock() < breaker.until:
                return False
            breaker.probing = True
            return True

    def told(self, operator: str, by: str, *, faulty: bool) -> Literal["opened", "closed", ""]:
        """Take note of how a batch went that the matcher was called with; return what that did to the breaker."""
        with self._door:
            breaker = self._breakers.get((operator, by))
            if not faulty:
                if breaker is None or breaker.until is None:
                    return ""
                del self._breakers[operator, by]
                return "closed"
            breaker = self._breakers.setdefault((operator, by), breaker or _Breaker())
            now = self._clock()
            breaker.faults.append(now)
            probed, breaker.probing = breaker.probing, False
            if probed or (len(breaker.faults) == _FAULTS and now - breaker.faults[0] <= _WINDOW):
                was, breaker.until = breaker.until, now + _OPEN
                return "" if was is not None and not probed else "opened"
            return ""

    def forget(self, operator: str) -> None:
        """Close all of an operator's breakers: its matchers are others now."""
        with self._door:
            for key in [key for key in self._breakers if key[0] == operator]:
                del self._breakers[key]

    def given_up(self, operator: str, by: str) -> None:
        """Let a trial that came to no end be made by somebody else."""
        with self._door:
            if (operator, by) in self._breakers:
                self._breakers[operator, by].probing = False

    def open(self) -> Sequence[tuple[str, str]]:
        """Return the open ones as (operator, matcher), sorted."""
        with self._door:
            return sorted(key for key, breaker in self._breakers.items() if breaker.until is not None)

    def due(self) -> Sequence[tuple[str, str]]:
        """Return the open ones whose time is up."""
        with self._door:
            now = self._clock()
            return sorted(
                key for key, one in self._breakers.items() if one.until is not None and one.until <= now and not one.probing
            )
