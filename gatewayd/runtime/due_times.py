"""Keep a queue of names by due time, and compute when visits and full comparisons are due. Pure: no threads, and no clock: times
are seconds of one monotonic clock.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

__all__ = ["DAY", "DueTimes", "compare_in", "full_visit_every", "spread"]

DAY = 86400.0

#: How many accounts are first visited in a second.
_STARTS = 50.0
#: The longest time between two listings of a watched folder, in seconds.
_LONGEST_UNLISTED = 1800.0


def spread(accounts: int, every: float, *, jitter: float) -> float:
    """Return seconds until the first visit of one of ``accounts`` that begin together; ``jitter`` is from 0 to 1."""
    return jitter * min(every, accounts / _STARTS)


def full_visit_every(every: float, *, watched: bool, folders: int) -> float:
    """Return seconds between two full visits: rarer where the one folder is watched, and proven in between."""
    return max(every, min(10 * every, _LONGEST_UNLISTED)) if watched and folders == 1 else every


def compare_in(compared_at: datetime | None, now: datetime, *, jitter: float) -> float:
    """Return seconds until the full listing is compared with the ledger again: once a day, spread.

    What was never compared, or not for more than a day, is due within the next hours, not at once: all accounts may be so.
    """
    if compared_at is None:
        return jitter * DAY
    left = DAY - (now - compared_at).total_seconds()
    # A comparison from the future is a clock that was put back.
    return min(max(left, 0.0), DAY) * (0.9 + 0.1 * jitter) + jitter * (DAY / 24 if left <= 0 else 0.0)


class DueTimes:
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
