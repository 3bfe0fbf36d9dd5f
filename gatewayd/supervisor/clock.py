"""When somebody is due. Pure: no threads, no clock of its own; times are seconds of one monotonic clock."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

__all__ = ["DAY", "Backoff", "Due", "compare_in", "full_visit_every", "spread"]

DAY = 86400.0

#: A wait is multiplied by 0.8 to 1.2, so that accounts that failed together are not tried together.
_LEAST, _MOST = 0.8, 1.2
#: No server may ask for a longer pause, in seconds: nothing disables itself for ever.
_LONGEST_ASKED = 3600.0
#: How many accounts are first visited in a second.
_STARTS = 50.0
#: The longest time between two listings of a watched folder, in seconds.
_LONGEST_UNLISTED = 1800.0
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


def spread(accounts: int, every: float, *, luck: float) -> float:
    """Return seconds until the first visit of one of ``accounts`` that begin together; ``luck`` is from 0 to 1."""
    return luck * min(every, accounts / _STARTS)


def full_visit_every(every: float, *, watched: bool, folders: int) -> float:
    """Return seconds between two full visits: rarer where the one folder is watched, and proven in between."""
    return max(every, min(10 * every, _LONGEST_UNLISTED)) if watched and folders == 1 else every


def compare_in(compared_at: datetime | None, now: datetime, *, luck: float) -> float:
    """Return seconds until the full listing is compared with the ledger again: once a day, spread.

    What was never compared, or not for more than a day, is due within the next hours, not at once: all accounts may be so.
    """
    if compared_at is None:
        return luck * DAY
    left = DAY - (now - compared_at).total_seconds()
    # A comparison from the future is a clock that was put back.
    return min(max(left, 0.0), DAY) * (0.9 + 0.1 * luck) + luck * (DAY / 24 if left <= 0 else 0.0)


class Due:
    """Names by the time when each is due: one time a name, each step O(log n)."""

    def __init__(self) -> None:
        self._times: dict[str, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._times)

    def __getitem__(self, name: str) -> float:
        return self._times[name][0]

    def put(self, name: str, at: float) -> None:
        """Let ``name`` be due at that time, and at no other."""
        number = next(self._numbers)
        self._times[name] = (at, number)
        heapq.heappush(self._heap, (at, number, name))
        # What was put again leaves its old place behind.
        if len(self._heap) > 2 * len(self._times) + 16:
            self._heap = [(at, number, name) for name, (at, number) in self._times.items()]
            heapq.heapify(self._heap)

    def drop(self, name: str) -> None:
        """Let ``name`` not be due; nothing where it was not."""
        self._times.pop(name, None)

    def next(self) -> float | None:
        """Return when the next one is due; None where nobody is."""
        while self._heap and self._times.get(self._heap[0][2]) != self._heap[0][:2]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, now: float) -> Iterator[tuple[str, float]]:
        """Yield and drop who is due by now, with the time, earliest first."""
        while (at := self.next()) is not None and at <= now:
            name = heapq.heappop(self._heap)[2]
            del self._times[name]
            yield name, at
