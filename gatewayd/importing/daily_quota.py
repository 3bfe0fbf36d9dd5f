"""Limit what one account's server may send in a day, so that visit after visit it takes no more than its share of the disk."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.config import LimitsConfig

__all__ = ["DailyQuota"]

_DAY = 86400.0
#: A quota that is used up is waited for until so many seconds' worth of it has come back.
_WAIT = 3600.0
_ADVICE = "It goes on by itself. Raise the limit where so much is meant to come; else see to what the server lists and sends."


class DailyQuota:
    """A day's bytes and new messages; what was taken comes back evenly over the next day. Used by one thread at a time."""

    def __init__(self, limits: LimitsConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bytes = _Bucket(limits.day_bytes, "bytes came", "day_bytes")
        self._messages = _Bucket(limits.day_messages, "messages were new", "day_messages")
        self._at = clock()

    def take(self, *, size: int = 0, messages: int = 0) -> None:
        """Count what came."""
        now = self._clock()
        passed, self._at = now - self._at, now
        for bucket, number in ((self._bytes, size), (self._messages, messages)):
            bucket.left = min(bucket.whole, bucket.left + bucket.whole * passed / _DAY) - number

    def check(self) -> None:
        """Raise TransientError if more came than may; its ``retry_after`` says when enough has come back."""
        self.take()
        for bucket in (self._bytes, self._messages):
            if bucket.left < 0:
                raise bucket.empty()


class _Bucket:
    def __init__(self, whole: int, what: str, limit: str) -> None:
        self.whole = whole
        self.left = float(whole)
        self._what = what
        self._limit = limit

    def empty(self) -> TransientError:
        wait = _WAIT - self.left / self.whole * _DAY
        what = f"more {self._what} within a day than `limits.{self._limit}` allows, which is {self.whole}"
        return TransientError(what, advice=_ADVICE, retry_after=wait)
