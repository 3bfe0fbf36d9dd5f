"""The limits of one visit in bytes, messages and time, so that no server keeps it for ever."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.api.values import Came

if TYPE_CHECKING:
    from gatewayd.api.session import Session
    from gatewayd.importing.daily_quota import DailyQuota
    from gatewayd.importing.fetching import Batch
    from gatewayd.importing.values import Bounds

__all__ = ["ListingFull", "Meter", "VisitFull"]

_REST = "what is left is had by the next visit"


class ListingFull(Exception):
    """As much of a folder was listed as may be in one visit; its text says so."""


class VisitFull(Exception):
    """The visit has taken what it may; its text says what that is."""


class Meter:
    """Counts bytes and seconds from the visit's begin on."""

    def __init__(self, bounds: Bounds, allowance: DailyQuota | None = None) -> None:
        """``allowance`` is what this and further visits may take together; None: whatever there is."""
        self._bounds = bounds
        self._allowance = allowance
        self._began = time.monotonic()
        self._session: Session | None = None
        #: How many bytes had come over the session before, and how many came of messages: not every transport counts.
        self._before = self._fetched = 0
        #: How many bytes came over the sessions that broke in this visit.
        self._broken = 0
        self._listed = 0
        #: How many bytes were taken of the allowance.
        self._taken = 0

    def opened(self, session: Session, *, before: bool) -> None:
        """Count what comes over this session from now on; ``before``: it served other visits."""
        self._broken = self._came()
        self._session = session
        self._before = session.came if before else 0

    def fetched(self, batch: Batch) -> None:
        """Count a batch."""
        self._fetched += sum(one.source.size for one in batch.came if isinstance(one, Came))

    def listed(self, new: int) -> None:
        """Count new messages that were entered; raises ListingFull where they are as many as may be, or the visit is full.

        A listing that takes all of each visit would otherwise keep what waits in its folder from ever being fetched. Raises
        TransientError as ``check`` does, where that was so before these: what was entered is fetched.
        """
        self._listed += new
        if self._allowance:
            self._allowance.check()
            self._allowance.take(messages=new)
        if self._listed >= self._bounds.visit_messages:
            raise ListingFull(
                f"{self._listed} messages were new in this visit, and `limits.visit_messages` allows no more: {_REST}"
            )
        if full := self._full():
            raise ListingFull(full)

    def check(self) -> None:
        """Raise VisitFull where it has taken what it may; TransientError where that is all that there is for a day."""
        if full := self._full():
            raise VisitFull(full)
        if self._allowance:
            self._allowance.check()

    def _full(self) -> str:
        """Return what it has taken that it may not go beyond; empty where it may go on."""
        bounds = self._bounds
        if self.count() > bounds.visit_bytes:
            return f"more than {bounds.visit_bytes} bytes came, which is `limits.visit_bytes`: {_REST}"
        if time.monotonic() - self._began > bounds.visit_time:
            return f"it took more than {bounds.visit_time:g} s, which is `limits.visit_time`: {_REST}"
        return ""

    def count(self) -> int:
        """Return how many bytes came by now, and take them of the allowance."""
        size = max(self._came(), self._fetched)
        if self._allowance:
            self._allowance.take(size=size - self._taken)
        self._taken = size
        return size

    def _came(self) -> int:
        return self._broken + (self._session.came - self._before if self._session else 0)
