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

    def __init__(self, limits: LimitsConfig, clock: Callable[[], float] = time.monotonic, *, of_users: int | None = None) -> None:
        """``of_users``: how many messages may be new, for a mailbox that a user added; None for any other."""
        self._clock = clock
        self._messages = "limits.day_messages" if of_users is None else "accounts_of_users.day_messages"
        messages = limits.day_messages if of_users is None else min(of_users, limits.day_messages)
        self._whole = {"limits.day_bytes": float(limits.day_bytes), self._messages: float(messages)}
        self._left = dict(self._whole)
        self._at = clock()

    def take(self, *, size: int = 0, messages: int = 0) -> None:
        """Count bytes and new messages that came."""
        now = self._clock()
        passed, self._at = now - self._at, now
        for limit, number in (("limits.day_bytes", size), (self._messages, messages)):
            whole = self._whole[limit]
            self._left[limit] = min(whole, self._left[limit] + whole * passed / _DAY) - number

    def check(self) -> None:
        """Raise TransientError if more came than may; its ``retry_after`` says when enough has come back."""
        self.take()
        for limit, left in self._left.items():
            if left < 0:
                whole, came = self._whole[limit], "messages were new" if limit == self._messages else "bytes came"
                what = f"more {came} within a day than `{limit}` allows, which is {whole:.0f}"
                raise TransientError(what, advice=_ADVICE, retry_after=_WAIT - left / whole * _DAY)
