"""How long to wait after failures. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Backoff"]

#: A wait is multiplied by 0.8 to 1.2, so that what failed together is not tried together.
_LEAST, _MOST = 0.8, 1.2
#: No server may ask for a longer pause, in seconds: nothing disables itself for ever.
_LONGEST_ASKED = 3600.0
#: Doubling further than this would overflow, and is longer than every longest wait.
_DOUBLINGS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait after failures: doubling, with jitter."""

    #: Seconds after the first failure.
    first: float = 10.0
    #: Seconds that no wait exceeds, jitter included.
    longest: float = 900.0

    def wait(self, failures: int, *, luck: float, retry_after: float | None = None) -> float:
        """Return seconds until the next try; ``luck`` is from 0 to 1. At least what the other side asked for.

        >>> [round(Backoff().wait(failures, luck=0.5)) for failures in (1, 2, 3, 99)]
        [10, 20, 40, 750]
        """
        doubled = self.first * 2.0 ** min(max(failures - 1, 0), _DOUBLINGS)
        wait = min(doubled, self.longest / _MOST) * (_LEAST + (_MOST - _LEAST) * luck)
        return max(wait, min(retry_after or 0.0, _LONGEST_ASKED))

    def rarely(self, *, luck: float) -> float:
        """Return seconds until the next try of what another try will hardly mend."""
        return self.wait(_DOUBLINGS, luck=luck)
