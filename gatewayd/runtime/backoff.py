"""Compute how long to wait after failures: exponential back-off with jitter."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Backoff"]

#: No server may ask for a longer pause, in seconds: nothing disables itself for ever.
_LONGEST_ASKED = 3600.0
#: Growing further than this would overflow, and is longer than every longest wait.
_STEPS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait after failures: ``first * factor ** (failures - 1)``, at most ``longest``, times 1 ± ``spread``."""

    #: Seconds after the first failure.
    first: float = 10.0
    #: Seconds that no wait exceeds, jitter included.
    longest: float = 900.0
    #: By how much each wait is longer than the one before.
    factor: float = 2.0
    #: By which share of it a wait is shortened or lengthened at random, so that what failed together is not tried together.
    spread: float = 0.2

    def wait(self, failures: int, *, jitter: float, retry_after: float | None = None) -> float:
        """Return seconds until the next try; ``jitter`` is from 0 to 1. Waits at least as long as the other side asked for.

        >>> [round(Backoff().wait(failures, jitter=0.5)) for failures in (1, 2, 3, 99)]
        [10, 20, 40, 750]
        """
        grown = self.first * self.factor ** min(max(failures - 1, 0), _STEPS)
        least, most = 1.0 - self.spread, 1.0 + self.spread
        wait = min(grown, self.longest / most) * (least + (most - least) * jitter)
        return max(wait, min(retry_after or 0.0, _LONGEST_ASKED))

    def rarely(self, *, jitter: float) -> float:
        """Return seconds until the next try where another try will hardly help."""
        return self.wait(_STEPS, jitter=jitter)
