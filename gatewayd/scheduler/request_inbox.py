"""Take requests of people from the store, and write progress, answers and the accounts' health there.

One thread does all of it, since the store may keep it waiting. Nothing is lost while the store fails.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from gatewayd.errors import GatewaydError
from gatewayd.runtime import journal
from gatewayd.runtime.threads import WorkerThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from gatewayd.api.health import AccountHealth, Answer, Condition, Request
    from gatewayd.scheduler.account_state import AccountState
    from gatewayd.scheduler.values import Dependencies
    from gatewayd.scheduler.visit_runner import RunningVisit

__all__ = ["RequestInbox"]

#: The part of a health whose changes are written soon; other changes are written now and then.
_Essence = tuple["Condition", int, str, object, object]
#: Conditions of an account whose last deliveries failed.
_FAILED = {"backing off", "paused"}


class RequestInbox:
    """Used by the loop's thread; ``asked`` is called in the inbox' own thread, with new requests."""

    def __init__(self, deps: Dependencies, asked: Callable[[Sequence[Request]], None]) -> None:
        self._deps = deps
        self._asked = asked
        self._thread = WorkerThreads(1, "requests")
        #: When there is something to do next, on the loop's clock.
        self.at = 0.0
        self._tell_at = 0.0
        self._polls = self._tells = False
        self._known: set[int] = set()
        self._answers: list[tuple[tuple[int, ...], Answer]] = []
        #: The health of accounts that nobody visits, until it is written. Used by the inbox' thread alone.
        self._others: dict[str, AccountHealth] = {}
        #: Nothing was written since this daemon began.
        self._first = False
        self._told_progress: dict[int, int] = {}
        #: Accounts whose health may have changed, and since when; and the last one that was written.
        self._changed: dict[str, tuple[AccountState, float]] = {}
        self._told: dict[str, _Essence] = {}

    # --- from the loop ----------------------------------------------------------------------------------------------

    def work(self, now: float, runs: Iterable[RunningVisit]) -> None:
        """Do whatever is due: read requests, write progress and health."""
        self.at = now + self._deps.timings.poll
        if not self._polls:
            self._polls = True
            progress = [(request, run.done, run.total) for run in runs for request in run.requests]
            news = [one for one in progress if one[1] and self._told_progress.get(one[0]) != one[1]]
            self._told_progress.update({request: done for request, done, _ in news})
            self._thread.submit(self._poll, news)
        if now >= self._tell_at and not self._tells and (healths := self._due_healths(now)):
            self._tell_at = now + self._deps.timings.tell
            self._tells = True
            self._thread.submit(self._tell, healths)

    def take(self, request: Request) -> bool:
        """Whether a request is new; from now on it is known."""
        if request.id in self._known:
            return False
        self._known.add(request.id)
        return True

    def changed(self, state: AccountState) -> None:
        """Take note that an account's health may have changed."""
        self._changed.setdefault(state.name, (state, time.monotonic()))

    def tell(self, healths: Sequence[AccountHealth], *, first: bool = False) -> None:
        """Write the health of accounts that nobody visits; ``first``: for the first time since this daemon began."""
        self._thread.submit(self._tell_others, healths, first=first)

    def forget(self, state: AccountState) -> None:
        """Write nothing more about an account, and leave its requests to the daemon that holds it."""
        self._changed.pop(state.name, None)
        self._told.pop(state.name, None)
        self._known.difference_update(request.id for request in state.asked)
        state.asked.clear()

    def answer(self, requests: tuple[int, ...], answer: Answer, *, seconds: float) -> None:
        """Write the answer to requests."""
        for request in requests:
            journal.request_answered(request, answer, seconds=seconds)
            self._told_progress.pop(request, None)
        self._thread.submit(self._send, [(requests, answer)])

    def unanswered(self, requests: Collection[int]) -> None:
        """Let requests be read again, since the visit that was to answer them was dropped."""
        self._known.difference_update(requests)

    def end(self, timeout: float) -> bool:
        """Write everything that is left; return whether that succeeded in time."""
        now = time.monotonic()
        # A copy, since entries are put back if the store fails.
        changed = [state for state, _ in list(self._changed.values()) if _ours(state)]
        healths = [(state, state.health(self._deps, now)) for state in changed]
        last = self._thread.submit(self._tell, healths) if healths else None
        self._thread.shutdown(wait=False)
        # Answers may wait, too.
        return self._thread.join(timeout) and (last is None or last.result())

    def _due_healths(self, now: float) -> list[tuple[AccountState, AccountHealth]]:
        due: list[tuple[AccountState, AccountHealth]] = []
        # Small changes are collected into one write now and then.
        ripe = any(now - since >= self._deps.timings.quiet for _, since in list(self._changed.values()))
        for name, (state, _) in list(self._changed.items()):
            if not _ours(state):
                del self._changed[name]
                continue
            essence = (state.shown, state.failures, state.error, state.mail_at, state.compared_at)
            before = self._told.get(name)
            if before == essence and not ripe:
                continue
            del self._changed[name]
            self._told[name] = essence
            health = state.health(self._deps, now)
            due.append((state, health))
            if before is None or (before[0], before[2]) != (health.condition, health.error):
                self._deps.events.account_changed(health, before[0] if before else "new")
        return due

    # --- in its own thread ------------------------------------------------------------------------------------------

    def _poll(self, progress: Sequence[tuple[int, int, int]]) -> None:
        try:
            # If the store is away, the requests stay there, and the leases' thread reports it.
            _attempt(partial(self._catch_up, progress))
        finally:
            self._polls = False

    def _catch_up(self, progress: Sequence[tuple[int, int, int]]) -> None:
        if self._answers:
            unsent, self._answers = self._answers, []
            self._send(unsent)
        if self._others:
            self._tell_others()
        for request, done, total in progress:
            self._deps.store.progress(request, done=done, total=total)
        new = [request for request in self._deps.store.requests() if request.id not in self._known]
        if new:
            self._asked(new)

    def _send(self, answers: Sequence[tuple[tuple[int, ...], Answer]]) -> None:
        for requests, answer in answers:
            if _attempt(partial(self._deps.store.answer, requests, answer)) == "done":
                self._known.difference_update(requests)
            else:
                self._answers.append((requests, answer))

    def _tell_others(self, healths: Sequence[AccountHealth] = (), *, first: bool = False) -> None:
        self._first |= first
        self._others |= {one.account: one for one in healths}

        def tell() -> None:
            # A failure that the previous daemon saw while sending stays; the next delivery shows whether it is over.
            failed = {one.account: one for one in self._deps.store.healths() if one.condition in _FAILED} if self._first else {}
            news = [
                replace(failed[one.account], holder=one.holder) if one.condition == "sending" and one.account in failed else one
                for one in self._others.values()
            ]
            if news:
                self._deps.store.tell(news)

        if _attempt(tell) != "away":
            self._first, self._others = False, {}

    def _tell(self, healths: Sequence[tuple[AccountState, AccountHealth]]) -> bool:
        try:
            result = _attempt(partial(self._deps.store.tell, [health for _, health in healths]))
            for state, _ in healths if result == "away" else ():
                self._changed.setdefault(state.name, (state, 0.0))
        finally:
            self._tells = False
        return result == "done"


def _attempt(call: Callable[[], object]) -> Literal["done", "away", "bug"]:
    """Call the store; return how that went. A bug of the store is logged here, so that it does not end the thread."""
    try:
        call()
    except GatewaydError:
        return "away"
    except Exception as error:  # noqa: BLE001  whatever a store raises
        journal.own_fault("requests", error)
        return "bug"
    return "done"


def _ours(state: AccountState) -> bool:
    """Whether this daemon reports an account; once it gives the lease up, others do."""
    return state.lease is not None and not state.leaving
