"""End a visit that has taken its share of bytes, messages or time, so that no server keeps it for ever."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.api.values import Came

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.api.session import Session
    from gatewayd.config import LimitsConfig
    from gatewayd.importing.daily_quota import DailyQuota
    from gatewayd.importing.fetching import Batch

__all__ = ["ListingFull", "Meter", "VisitFull"]

_REST = "what is left is had by the next visit"


class ListingFull(Exception):
    """No more of a folder is listed in this visit; the text says why."""


class VisitFull(Exception):
    """The visit has reached a limit, or gives way; the text says which."""


class Meter:
    """Counts bytes, messages and seconds from the beginning of the visit."""

    def __init__(
        self, limits: LimitsConfig, quota: DailyQuota | None = None, *, gives_way: Callable[[], bool] = lambda: False
    ) -> None:
        """``quota`` is what the account's visits may take together in a day; None is no limit. See ``VisitTools.gives_way``."""
        self._gives_way = gives_way
        self.gave_way = False
        self._limits = limits
        self._quota = quota
        self._began = time.monotonic()
        self._session: Session | None = None
        #: Bytes that came over the session before this visit, and bytes of messages: not every transport counts what comes.
        self._before = self._fetched = 0
        #: Bytes that came over the sessions that broke in this visit.
        self._broken = 0
        self._listed = 0
        #: Bytes that were taken from the quota.
        self._taken = 0

    def opened(self, session: Session, *, before: bool) -> None:
        """Count what comes over this session from now on; ``before``: it served other visits."""
        self._broken = self._came()
        self._session = session
        self._before = session.came if before else 0

    def fetched(self, batch: Batch) -> None:
        """Count a batch."""
        self._fetched += sum(one.source.size for one in batch.came if isinstance(one, Came))

    def listed(self, new: int, *, resumes: bool) -> None:
        """Count new messages that were entered. Raises ListingFull if the visit may list no more, or is full.

        Otherwise a listing that takes up each visit would keep the mail that waits in its folder from ever being fetched. Raises
        TransientError as ``check`` does if the day's quota was used up before these messages.

        ``resumes``: the next visit goes on with the listing where it is. One that begins anew gives no way, or it would never end.
        """
        self._listed += new
        if self._quota:
            self._quota.check()
            self._quota.take(messages=new)
        full = self._full(gives_way=resumes)
        if self._listed >= self._limits.visit_messages:
            full = f"{self._listed} messages were new in this visit, and `limits.visit_messages` allows no more: {_REST}"
        if full:
            raise ListingFull(full)

    def check(self, *, gives_way: bool = True) -> None:
        """Raise VisitFull if the visit has reached a limit or gives way, TransientError if the day's quota is used up.

        ``gives_way``: False before the first step. A visit that gave way each time it had logged in would never do anything.
        """
        if full := self._full(gives_way=gives_way):
            raise VisitFull(full)
        if self._quota:
            self._quota.check()

    def _full(self, *, gives_way: bool) -> str:
        """Return why the visit is to end; empty if it may go on."""
        limits = self._limits
        if self.count() > limits.visit_bytes:
            return f"more than {limits.visit_bytes} bytes came, which is `limits.visit_bytes`: {_REST}"
        if time.monotonic() - self._began > limits.visit_time:
            return f"it took more than {limits.visit_time:g} s, which is `limits.visit_time`: {_REST}"
        if gives_way and self._gives_way():
            self.gave_way = True
            return f"other accounts waited for their turn: {_REST}"
        return ""

    def count(self) -> int:
        """Return how many bytes have come, and take them from the quota."""
        size = max(self._came(), self._fetched)
        if self._quota:
            self._quota.take(size=size - self._taken)
        self._taken = size
        return size

    def _came(self) -> int:
        return self._broken + (self._session.came - self._before if self._session else 0)
