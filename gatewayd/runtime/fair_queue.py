"""Serve names that wait: first due, first served, each once, and none behind a group that is full, such as a host. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FairQueue", "Ticket"]


@dataclass(frozen=True, slots=True, order=True)
class Ticket:
    """A place in the line."""

    at: float
    #: Who came first, of those that are due at the same time.
    number: int
    name: str = field(compare=False)
    #: The bounded groups of which it takes up one place each, such as its host.
    groups: tuple[str, ...] = field(compare=False)


class FairQueue:
    """Gives the first place of which every group has room.

    Who waits for a group that is full is parked with that group, so that each step costs O(log n), however many wait.
    """

    def __init__(self, limit: Callable[[str], int]) -> None:
        """``limit`` says how many of a group may be out at a time."""
        self._limit = limit
        self._waiting: dict[str, Ticket] = {}
        self._ready: list[Ticket] = []
        self._parked: dict[str, list[Ticket]] = {}
        self._out: Counter[str] = Counter()
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, name: str) -> bool:
        return name in self._waiting

    def add(self, name: str, groups: Sequence[str], *, at: float) -> None:
        """Let ``name`` wait; nothing where it waits already."""
        if name not in self._waiting:
            place = self._waiting[name] = Ticket(at, next(self._numbers), name, tuple(groups))
            heapq.heappush(self._ready, place)

    def drop(self, name: str) -> None:
        """Let ``name`` leave; nothing where it does not wait."""
        place = self._waiting.pop(name, None)
        for group in place.groups if place else ():
            # It may have been called from this group's park, and nobody after it would be.
            self._call(group)

    def take(self) -> Ticket | None:
        """Return the first for whom there is room, and count it out of its groups; None where there is nobody."""
        while self._ready:
            place = heapq.heappop(self._ready)
            if self._waiting.get(place.name) is not place:
                continue
            full = next((group for group in place.groups if not self._has_room(group)), None)
            if full is None:
                del self._waiting[place.name]
                self._out.update(place.groups)
                return place
            heapq.heappush(self._parked.setdefault(full, []), place)
            for group in place.groups:
                self._call(group)
        return None

    def back(self, groups: Sequence[str]) -> None:
        """Give back one of each of these groups."""
        for group in groups:
            self._out[group] -= 1
            if not self._out[group]:
                del self._out[group]
            self._call(group)

    def waiting_for(self, group: str) -> list[str]:
        """Return who waits for room in this group."""
        return [place.name for place in self._parked.get(group, ()) if self._waiting.get(place.name) is place]

    def full(self) -> list[str]:
        """Return the groups for whose room somebody waits."""
        return list(self._parked)

    def look(self) -> None:
        """Let those go on who wait for groups that have more room by now, because their limits grew."""
        for group in list(self._parked):
            for _ in range(max(0, self._limit(group) - self._out[group])):
                self._call(group)

    def out(self, group: str) -> int:
        """Return how many of a group are out."""
        return self._out[group]

    def _has_room(self, group: str) -> bool:
        return self._out[group] < self._limit(group)

    def _call(self, group: str) -> None:
        """Put the first ticket that is parked with a group back into the queue, if the group has room."""
        parked = self._parked.get(group)
        while parked and self._has_room(group):
            place = heapq.heappop(parked)
            if self._waiting.get(place.name) is place:
                heapq.heappush(self._ready, place)
                break
        if parked is not None and not parked:
            del self._parked[group]
