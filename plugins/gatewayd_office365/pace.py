"""Bound how many requests of one app are in flight, and wait as long as Microsoft asks: for all accounts of this process.

Source: "Microsoft Graph service-specific throttling limits": for each app and mailbox 10,000 requests in ten minutes, and four at a
time. Documents differ on whether the latter is for each mailbox or for the app as a whole, so the bound over all mailboxes follows
what is answered. An answer does not tell whom it counts: code, text and headers are the same. So it counts for its mailbox, and
for the app once another mailbox is answered the same before the first one's time is over.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatewayd import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["OF_MAILBOX", "PATIENCE", "Pace", "Turn", "pace_of"]

#: Requests in flight: for one mailbox, and over all mailboxes at first and at most.
OF_MAILBOX = 4
_FIRST, _MOST = 8.0, 64.0
#: Whoever would have to wait longer than so many seconds for Microsoft is told to come back, and keeps no thread.
PATIENCE = 10.0
#: Seconds to wait for other requests of the app.
_QUEUE = 120.0
#: Seconds to wait if Microsoft does not say how long: doubled each time, and spread.
_BACK_OFF, _LONGEST = 1.0, 600.0
#: No answer keeps an app off for more seconds: it may be a proxy's.
_LONGEST_ASKED = 3600.0
#: More doublings than lead to ``_LONGEST``.
_DOUBLINGS = 20


class Turn:
    """One request in flight, until it is ended."""

    def __init__(self, pace: Pace, mailbox: str) -> None:
        self._pace = pace
        self.mailbox = mailbox
        self.began = time.monotonic()

    def succeeded(self) -> None:
        """Tell that Microsoft has taken the request."""
        self._pace.succeeded(self)

    def put_off(self, *, throttled: bool, retry_after: float | None) -> float:
        """Tell that Microsoft wants to be asked later; return in how many seconds. See ``Pace.put_off``."""
        return self._pace.put_off(self, throttled=throttled, retry_after=retry_after)

    def end(self) -> None:
        """Tell that the request is no longer in flight; once."""
        self._pace.end(self)


class Pace:
    """The pace of one app at one address of Graph. Any thread may use it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._in_flight: Counter[str] = Counter()
        self._bound = _FIRST
        #: How many wait, and of those, how many go first; by mailbox.
        self._waiting: Counter[str] = Counter()
        self._urgent: Counter[str] = Counter()
        #: No request before this moment: of the app (the empty text), and of single mailboxes.
        self._not_before: dict[str, float] = {}
        #: How often one after the other, and when last, mailboxes were put off without being told for how long.
        self._failures: Counter[str] = Counter()
        self._failed_at: dict[str, float] = {}
        self._halved_at = 0.0
        #: Until when mailboxes are throttled; and since when nobody knows whether the app is, 0 where that is known.
        self._throttled: dict[str, float] = {}
        self._asking_since = 0.0
        #: What mailboxes are called by which the app asks for them: two names of one are called the same. Empty: not known yet.
        self._called: dict[str, str] = {}

    @property
    def bound(self) -> int:
        """How many requests may be in flight over all mailboxes now; 0 while Microsoft asks the app to wait."""
        return 0 if self._not_before.get("", 0.0) > time.monotonic() else self._bound_now()

    def is_ambiguous(self, mailbox: str) -> bool:
        """Whether a mailbox may be in use under another name, too: some are named by their ids, and others by addresses.

        Then ``call`` is to be told; until then each name counts as a mailbox.
        """
        with self._changed:
            called = self._called.setdefault(mailbox.casefold(), "")
            return not called and len({"@" in name for name in self._called}) > 1

    def call(self, mailbox: str, called: str) -> None:
        """Take in what a mailbox is called by whatever name it is asked for: the id of its Inbox, which no other one has."""
        with self._changed:
            self._called[mailbox.casefold()] = called

    @contextmanager
    def turn(self, mailbox: str, *, urgent: bool, stopped: Callable[[], bool]) -> Iterator[Turn]:
        """Have a request in flight while the block lasts; see ``begin``."""
        turn = self.begin(mailbox, urgent=urgent, stopped=stopped)
        try:
            yield turn
        finally:
            turn.end()

    def begin(self, mailbox: str, *, urgent: bool, stopped: Callable[[], bool]) -> Turn:
        """Wait until a request may begin; it is in flight until ``Turn.end``. Whoever has one in flight uses ``begin_now``.

        ``urgent`` requests go before others: new mail before backlog. Raises TransientError where ``stopped``, or where Microsoft
        asked for more than ``PATIENCE`` seconds.
        """
        with self._changed:
            mailbox = self._known_as(mailbox)
            if self._wait(mailbox, urgent=urgent) > 0:
                self._queue(mailbox, urgent=urgent, stopped=stopped)
            self._in_flight[mailbox] += 1
            return Turn(self, mailbox)

    def begin_now(self, mailbox: str, *, urgent: bool) -> Turn | None:
        """Begin one more request beside others in flight; None if it would have to wait, or if anybody waits for the app.

        So nobody who has requests in flight waits for those of others, who would perhaps wait for his.
        """
        with self._changed:
            mailbox = self._known_as(mailbox)
            if any(map(self._may_begin, self._waiting)) or self._put_off(mailbox) > 0 or self._wait(mailbox, urgent=urgent) > 0:
                return None
            self._in_flight[mailbox] += 1
            return Turn(self, mailbox)

    def end(self, turn: Turn) -> None:
        """Count a request as no longer in flight."""
        with self._changed:
            _count_down(self._in_flight, turn.mailbox)
            if self._waiting:
                self._changed.notify_all()

    def wake(self) -> None:
        """Have all who wait look whether they are stopped."""
        with self._changed:
            self._changed.notify_all()

    def succeeded(self, turn: Turn) -> None:
        """Widen the bound a little."""
        with self._changed:
            self._bound = min(_MOST, self._bound + 1 / self._bound)
            self._failures.pop(turn.mailbox, None)
            if self._not_before.get(turn.mailbox, 0.0) <= time.monotonic():
                self._not_before.pop(turn.mailbox, None)
                self._throttled.pop(turn.mailbox, None)
                if turn.began > self._asking_since:
                    # The app is not throttled.
                    self._asking_since = 0.0
                    self._changed.notify_all()

    def put_off(self, turn: Turn, *, throttled: bool, retry_after: float | None) -> float:
        """Begin no request for the mailbox for ``retry_after`` seconds, or for longer each time if that is None. Return how long.

        The fault may be the mailbox's own, and must not delay others. If it is ``throttled``, the bound over all mailboxes is
        halved, once for all requests of the same moment, and of others one request at a time shows whether the app is. If so, all
        wait for the longest time.
        """
        now = time.monotonic()
        with self._changed:
            if throttled and turn.began > self._halved_at:
                self._bound, self._halved_at = max(1.0, self._bound / 2), now
            whose = turn.mailbox
            wait = self._back_off(whose, turn.began, now) if retry_after is None else min(retry_after, _LONGEST_ASKED)
            self._not_before[whose] = max(self._not_before.get(whose, 0.0), now + wait)
            if throttled:
                self._throttle(whose, now)
            return max(self._not_before.get(one, 0.0) for one in ("", whose)) - now

    def _throttle(self, mailbox: str, now: float) -> None:
        """Take in that a mailbox is throttled; if another one is, too, the app is."""
        others = [until for one, until in self._throttled.items() if one != mailbox and until > now]
        self._throttled[mailbox] = self._not_before[mailbox]
        if others:
            self._not_before[""] = max(*others, self._throttled[mailbox], self._not_before.get("", 0.0))
        self._asking_since = 0.0 if others else now

    def _bound_now(self) -> int:
        """Return how many requests may be in flight: one, while nobody knows whether the app is throttled."""
        asks = self._asking_since and max(self._throttled.values(), default=0.0) > time.monotonic()
        return 1 if asks else int(self._bound)

    def _back_off(self, whose: str, began: float, now: float) -> float:
        if began > self._failed_at.get(whose, 0.0):
            self._failures[whose] += 1
            self._failed_at[whose] = now
        doublings = min(_DOUBLINGS, max(0, self._failures[whose] - 1))
        return min(_LONGEST, _BACK_OFF * 2.0**doublings) * random.uniform(0.5, 1.0)  # noqa: S311  jitter

    def _known_as(self, mailbox: str) -> str:
        return self._called.get(mailbox.casefold()) or mailbox.casefold()

    def _queue(self, mailbox: str, *, urgent: bool, stopped: Callable[[], bool]) -> None:
        counters = [self._waiting, self._urgent] if urgent else [self._waiting]
        for counter in counters:
            counter[mailbox] += 1
        try:
            self._wait_in_line(mailbox, urgent=urgent, stopped=stopped)
        finally:
            for counter in counters:
                _count_down(counter, mailbox)
            # Those who let it go first look again.
            self._changed.notify_all()

    def _wait_in_line(self, mailbox: str, *, urgent: bool, stopped: Callable[[], bool]) -> None:
        until = time.monotonic() + _QUEUE
        while (wait := self._wait(mailbox, urgent=urgent)) > 0:
            # Before each wait: whoever is stopped meanwhile is woken.
            if stopped():
                raise TransientError("the connection was aborted")
            self._changed.wait(min(wait, until - time.monotonic()))
            if time.monotonic() >= until:
                raise TransientError(
                    f"no request of this app may begin within {_QUEUE:g} s: others of it are in flight",
                    advice="If it lasts, give some accounts an app of their own.",
                )

    def _wait(self, mailbox: str, *, urgent: bool) -> float:
        """Return for how many seconds to wait, or until something changes; 0 where the request may begin."""
        wait = self._put_off(mailbox)
        if wait > PATIENCE:
            raise TransientError(f"Microsoft asks to be left alone for {wait:.0f} s more", retry_after=wait)
        if wait > 0:
            return wait
        full = self._is_full(mailbox) or self._in_flight.total() >= self._bound_now()
        return _QUEUE if full or (not urgent and any(map(self._may_begin, self._urgent))) else 0.0

    def _put_off(self, mailbox: str) -> float:
        """Return for how many seconds Microsoft wants no request for a mailbox; 0 or less if it takes one."""
        return max(self._not_before.get("", 0.0), self._not_before.get(mailbox, 0.0)) - time.monotonic()

    def _may_begin(self, mailbox: str) -> bool:
        """Whether requests of a mailbox wait for others of the app alone: what waits for its own mailbox keeps nobody back."""
        return self._not_before.get(mailbox, 0.0) <= time.monotonic() and not self._is_full(mailbox)

    def _is_full(self, mailbox: str) -> bool:
        return self._in_flight[mailbox] >= OF_MAILBOX


def _count_down(counter: Counter[str], mailbox: str) -> None:
    """Count one less. Only what is above zero is left."""
    if counter[mailbox] > 1:
        counter[mailbox] -= 1
    else:
        del counter[mailbox]


_paces: dict[tuple[str, str], Pace] = {}
_opening = threading.Lock()


def pace_of(address: str, app: str) -> Pace:
    """Return the pace of an app at an address of Graph. There are as many as apps were ever named in the config."""
    with _opening:
        return _paces.setdefault((address, app), Pace())
