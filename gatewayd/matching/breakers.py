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
#: Seconds until somebody else is asked to try a matcher that nobody tried.
_ASK = 60.0


@dataclass(slots=True)
class _Breaker:
    faults: deque[float] = field(default_factory=lambda: deque(maxlen=_FAULTS))
    #: When it may be tried again; None while it is closed.
    until: float | None = None
    #: A batch is on its way to the matcher as a trial.
    probing: bool = False
    #: When ``due`` may name it again.
    ask_at: float = 0.0


class Breakers:
    """The breakers of all matchers of all operators. Every method may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._door = threading.Lock()
        self._breakers: dict[tuple[str, str], _Breaker] = {}

    def may_call(self, operator: str, by: str) -> bool:
        """Whether the matcher may be called with a batch. The first who asks when its time is up gets to try it.

        Who gets a yes says later how it went, by ``told`` or ``given_up``.
        """
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
                # A batch that was on its way before the breaker opened is no trial.
                if breaker is None or not breaker.probing:
                    return ""
                del self._breakers[operator, by]
                return "closed"
            breaker = self._breakers.setdefault((operator, by), breaker or _Breaker())
            now = self._clock()
            breaker.faults.append(now)
            probed, breaker.probing = breaker.probing, False
            was_open = breaker.until is not None
            if probed or (len(breaker.faults) == _FAULTS and now - breaker.faults[0] <= _WINDOW):
                breaker.until = now + _OPEN
            return "opened" if breaker.until is not None and not was_open else ""

    def forget(self, operator: str) -> Sequence[str]:
        """Close all of an operator's breakers, because its matchers are others now; return those that were open."""
        with self._door:
            gone = {key: self._breakers.pop(key) for key in list(self._breakers) if key[0] == operator}
            return sorted(by for (_, by), breaker in gone.items() if breaker.until is not None)

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
        """Return the open ones whose time is up, each at most once a minute: what waits for them may be the trial."""
        now, due = self._clock(), []
        with self._door:
            for key, one in self._breakers.items():
                if one.until is not None and one.until <= now and one.ask_at <= now and not one.probing:
                    one.ask_at = now + _ASK
                    due.append(key)
        return sorted(due)
