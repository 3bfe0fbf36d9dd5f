"""Let people try log-ins to mailboxes only so often, and few at once: others' servers are not to be asked by us without end."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatewayd.access.throttle import Allowance, Allowances
from gatewayd.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.access.people import Person

__all__ = ["MailboxTries"]

#: Tries of one person.
_BY_PERSON = Allowance(10, 60.0)
#: How many are tried at once: the other calls have threads left.
_AT_ONCE = 3


class MailboxTries:
    """Used by all threads that answer calls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._allowances = Allowances(_BY_PERSON)
        self._running: set[tuple[str, str]] = set()

    @contextmanager
    def one(self, person: Person) -> Iterator[None]:
        """Try within the block. Raises TransientError, with the seconds to wait, where there were or are too many."""
        who = (person.operator, person.user)
        with self._lock:
            now = time.monotonic()
            wait = self._allowances.wait(who, now)
            if wait or who in self._running or len(self._running) >= _AT_ONCE:
                after = max(wait, 10.0)
                raise TransientError("too many tries", advice=f"Try again in {after:.0f} seconds.", retry_after=after)
            self._allowances.count(who, now)
            self._running.add(who)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(who)
