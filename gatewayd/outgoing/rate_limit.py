"""How much rules send to a target before it counts as a circle that nothing else has found."""

from __future__ import annotations

import re
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd.message.envelope import compared

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Rate"]

#: The span in which forwards to a target are counted, in seconds.
_HOUR = 3600.0
#: Mails of one sender: so many times fewer than those of all, but so many at least.
_SENDERS, _LEAST = 30, 10
#: What a target wrote itself is sent to it so often at most.
_ITSELF = 5
#: A program that answers may write from another address each time: ``ticket+4711@``, ``bounce-17@``.
_TAG = re.compile(r"\+[^@]*@")
_DIGITS = re.compile(r"[0-9]+")
_NO_MORE = "no more are let through"


class Rate:
    """Counts what rules send to each target of this process within an hour. Used by any number of threads at once.

    A target that has had as many as it may gets no more until the oldest of them is an hour old. Of one sender it gets far
    fewer: whoever answers each forward with a mail that is forwarded in turn is found by that, whatever its mails look like.
    Both are remembered until this process ends.
    """

    def __init__(
        self,
        limit: int = 1000,
        clock: Callable[[], float] = time.monotonic,
        *,
        per_sender: int | None = None,
        remembered: int = 10_000,
    ) -> None:
        """``limit`` is that of a target, ``per_sender`` that of each sender to it; None: a thirtieth, and 10 at least.

        ``remembered`` is how many senders are at a time.
        """
        self._remembered = remembered
        self._limit = limit
        self._per_sender = max(_LEAST, limit // _SENDERS) if per_sender is None else per_sender
        self._clock = clock
        #: For each target, when each of its forwards will be an hour old, the oldest first.
        self._places: dict[str, deque[float]] = {}
        #: The same for each sender to a target, of those that there were.
        self._senders: dict[str, deque[float]] = {}
        self._tripped: dict[str, float] = {}

    def tripped(self, operator: str, target: str) -> bool:
        """Whether the target has had too many within the hour; if not, this one is counted."""
        return bool(self.refusal(operator, target))

    def refusal(self, operator: str, target: str, sender: str = "", *, itself: bool = False) -> str:
        """Return what the target has had too many of within the hour, in words; if nothing, this one is counted.

        ``sender`` is the address that the mail is from; empty where there is none. ``itself``: the mail would go to that address.
        """
        key, now = f"{operator}/{target}", self._clock()
        known = _DIGITS.sub("0", _TAG.sub("@", compared(sender)))
        limit = min(self._per_sender, _ITSELF) if itself else self._per_sender
        if known and self._heard(f"{key} from {known}", limit, now):
            sent = f"{limit} mails of {sender} to {target}"
            return f"rules have sent {sent} within an hour, and {_NO_MORE} (forwards_per_sender)"
        if self._full(key, now):
            return f"rules have sent {self._limit} mails to {target} within an hour, and {_NO_MORE} (forwards_per_hour)"
        return ""

    @property
    def senders(self) -> int:
        """How many senders it remembers, each for each target."""
        return len(self._senders)

    def open(self) -> tuple[str, ...]:
        """Return what was refused something and still has had too many: ``operator/target``, or ``operator/target from sender``."""
        now = self._clock()
        return tuple(sorted(key for key, until in list(self._tripped.items()) if until > now))

    def _full(self, key: str, now: float) -> bool:
        places = self._places.setdefault(key, deque([now] * self._limit))
        try:
            # A place is out of everybody's reach while it is looked at: no lock is needed, and none is taken twice.
            free_at = places.popleft()
        except IndexError:
            free_at = now + _HOUR
        else:
            if free_at <= now:
                places.append(now + _HOUR)
                return False
            places.appendleft(free_at)
        self._tripped[key] = free_at
        return True

    def _heard(self, key: str, limit: int, now: float) -> bool:
        """Whether a sender has had as many. There are far more senders than targets, so that only what was sent takes memory.

        Two threads may let one more pass than they should: that ends no later.
        """
        if len(self._senders) >= self._remembered and key not in self._senders:
            self._forget(now)
        taken = self._senders.setdefault(key, deque())
        with suppress(IndexError):
            while taken[0] <= now:
                taken.popleft()
        if len(taken) >= limit:
            self._tripped[key] = taken[0] if taken else now + _HOUR
            return True
        taken.append(now + _HOUR)
        return False

    def _forget(self, now: float) -> None:
        """Forget the senders whose forwards are all an hour old, or the half that came first where there are none."""
        items = list(self._senders.items())
        old = [key for key, taken in items if not taken or taken[-1] <= now]
        for key in old or [key for key, _ in items[: len(items) // 2]]:
            self._senders.pop(key, None)
            self._tripped.pop(key, None)
