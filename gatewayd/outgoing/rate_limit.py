"""Limit how much mail rules send to a target within an hour: more than that is a circle that nothing else has found."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from gatewayd.message.envelope import compared

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Rate"]

#: Seconds in which forwards to a target are counted.
_HOUR = 3600.0
#: One sender may have a thirtieth of a target's mails, and ten at least.
_SENDERS, _LEAST = 30, 10
#: The most mails of a target itself that are sent to it.
_ITSELF = 5
#: A program that answers may write from another address each time: ``ticket+4711@``, ``bounce-17@``.
_TAG = re.compile(r"\+[^@]*@")
_DIGITS = re.compile(r"[0-9]+")
_NO_MORE = "no more are let through"


class Rate:
    """Counts what rules send to each target of this process within an hour. Used by any number of threads at once.

    A target that has had its limit gets no more until the oldest mail is an hour old. Of one sender it gets far fewer: that finds
    whoever answers each forward with a mail that is forwarded in turn. The counts are lost when the process ends.
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

        ``remembered`` is how many senders are counted at a time.
        """
        self._remembered = remembered
        self._limit = limit
        self._per_sender = max(_LEAST, limit // _SENDERS) if per_sender is None else per_sender
        self._clock = clock
        self._lock = threading.Lock()
        #: For each target, and for each sender to a target, when each of the mails will be an hour old, the oldest first.
        self._targets: dict[str, deque[float]] = {}
        self._senders: dict[str, deque[float]] = {}
        #: Until when a mail was refused, by target or sender.
        self._tripped: dict[str, float] = {}

    def refusal(self, operator: str, target: str, sender: str = "", *, itself: bool = False) -> str:
        """Return why the target gets no more for now, in words; empty if it gets this mail, which is counted then.

        ``sender`` is the address that the mail is from, empty if there is none. ``itself``: the mail would go to that address.
        """
        key, now = f"{operator}/{target}", self._clock()
        known = _DIGITS.sub("0", _TAG.sub("@", compared(sender)))
        limit = min(self._per_sender, _ITSELF) if itself else self._per_sender
        with self._lock:
            if known and len(self._senders) >= self._remembered and f"{key} from {known}" not in self._senders:
                self._forget(now)
            if known and self._full(self._senders, f"{key} from {known}", limit, now):
                sent = f"{limit} mails of {sender} to {target}"
                return f"rules have sent {sent} within an hour, and {_NO_MORE} (forwards_per_sender)"
            if self._full(self._targets, key, self._limit, now):
                return f"rules have sent {self._limit} mails to {target} within an hour, and {_NO_MORE} (forwards_per_hour)"
        return ""

    @property
    def senders(self) -> int:
        """How many senders are counted, each for each target."""
        return len(self._senders)

    def open(self) -> tuple[str, ...]:
        """Return what gets no more after a refusal: ``operator/target``, or ``operator/target from sender``."""
        now = self._clock()
        return tuple(sorted(key for key, until in list(self._tripped.items()) if until > now))

    def _full(self, counted: dict[str, deque[float]], key: str, limit: int, now: float) -> bool:
        """Whether ``key`` has had its limit within the hour; if not, one more is counted."""
        sent = counted.setdefault(key, deque())
        while sent and sent[0] <= now:
            sent.popleft()
        if len(sent) >= limit:
            self._tripped[key] = sent[0] if sent else now + _HOUR
            return True
        sent.append(now + _HOUR)
        return False

    def _forget(self, now: float) -> None:
        """Forget the senders whose mails are all an hour old; if there are none, the half that came first."""
        items = list(self._senders.items())
        old = [key for key, sent in items if not sent or sent[-1] <= now]
        for key in old or [key for key, _ in items[: len(items) // 2]]:
            self._senders.pop(key, None)
            self._tripped.pop(key, None)
