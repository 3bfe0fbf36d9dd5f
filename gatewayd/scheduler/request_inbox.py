"""What people asked for, and what is told to them through the store: requests, progress, answers and health.

All of it is done by one thread of its own, for the store may keep it waiting; a store that fails loses nothing of it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

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

#: What is always told soon when it changes; of the rest it is enough that it is told at times.
_Essence = tuple["Condition", int, str, object, object]
#: How an account is whose last deliveries failed.
_FAILED = {"backing off", "paused"}


class RequestInbox:
    """Used by the loop's thread; ``asked`` is called in the reception's own, with requests that are new to it."""

    def __init__(self, kit: Dependencies, asked: Callable[[Sequence[Request]], None]) -> None:
        self._kit = kit
        self._asked = asked
        self._thread = WorkerThreads(1, "reception")
        #: When there is something to do next, on the loop's clock.
        self.at = 0.0
        self._tell_at = 0.0
        self._polls = self._tells = False
        self._known: set[int] = set()
        self._answers: list[tuple[tuple[int, ...], Answer]] = []
        #: What is to be told of accounts that nobody has in his charge. Used by the reception's thread alone.
        self._others: dict[str, AccountHealth] = {}
        #: It is the first that is told.
        self._first = False
        self._told_progress: dict[int, int] = {}
        #: Accounts of which there is something to tell, since when; and what was told last.
        self._changed: dict[str, tuple[AccountState, float]] = {}
        self._told: dict[str, _Essence] = {}

    # --- from the loop ----------------------------------------------------------------------------------------------

    def work(self, now: float, runs: Iterable[RunningVisit]) -> None:
        """Do what is due: ask for requests, tell progress, tell health."""
        self.at = now + self._kit.pace.poll
        if not self._polls:
            self._polls = True
            self._thread.submit(self._poll, self._progress(runs))
        if now >= self._tell_at and not self._tells and (healths := self._due_healths(now)):
            self._tell_at = now + self._kit.pace.tell
            self._tells = True
            self._thread.submit(self._tell, healths)

    def take(self, request: Request) -> bool:
        """Whether a request is new; it is known from now on."""
        if request.id in self._known:
            return False
        self._known.add(request.id)
        return True

    def changed(self, charge: AccountState) -> None:
        """Remember that there is something to tell of an account."""
        self._changed.setdefault(charge.name, (charge, time.monotonic()))

    def tell(self, healths: Sequence[AccountHealth], *, first: bool = False) -> None:
        """Tell how accounts are that nobody has in his charge; ``first``: nobody told anything since this daemon began."""
        self._thread.submit(self._tell_others, healths, first=first)

    def forget(self, charge: AccountState) -> None:
        """Tell nothing more of an account, and let whoever has it now answer what was asked for."""
        self._changed.pop(charge.name, None)
        self._told.pop(charge.name, None)
        self._known.difference_update(request.id for request in charge.asked)
        charge.asked.clear()

    def answer(self, requests: tuple[int, ...], answer: Answer, *, seconds: float) -> None:
        """Tell what came of requests."""
        for request in requests:
            journal.request_answered(request, answer, seconds=seconds)
            self._told_progress.pop(request, None)
        self._thread.submit(self._send, [(requests, answer)])

    def unanswered(self, requests: Collection[int]) -> None:
        """Let requests that a visit was to answer be asked again: it did not come to an end."""
        self._known.difference_update(requests)

    def end(self, timeout: float) -> bool:
        """Tell what is left to tell; return whether that came to pass in time."""
        now = time.monotonic()
        # A copy: a store that fails gives back to it what was to be told.
        changed = [charge for charge, _ in list(self._changed.values()) if _ours(charge)]
        healths = [(charge, charge.health(self._kit.instance.name, now)) for charge in changed]
        last = self._thread.submit(self._tell, healths) if healths else None
        self._thread.shutdown(wait=False)
        # Answers may wait, too.
        return self._thread.join(timeout) and (last is None or last.result())

    def _progress(self, runs: Iterable[RunningVisit]) -> Sequence[tuple[int, int, int]]:
        news = [(request, run.done, run.total) for run in runs for request in run.requests]
        news = [one for one in news if one[1] and self._told_progress.get(one[0]) != one[1]]
        self._told_progress.update({request: done for request, done, _ in news})
        return news

    def _due_healths(self, now: float) -> list[tuple[AccountState, AccountHealth]]:
        due: list[tuple[AccountState, AccountHealth]] = []
        # What hardly changed is told all together: one write now and then, not one a second.
        ripe = any(now - since >= self._kit.pace.quiet for _, since in list(self._changed.values()))
        for name, (charge, _) in list(self._changed.items()):
            if not _ours(charge):
                del self._changed[name]
                continue
            essence = (charge.shown, charge.failures, charge.error, charge.mail_at, charge.compared_at)
            before = self._told.get(name)
            if before == essence and not ripe:
                continue
            del self._changed[name]
            self._told[name] = essence
            health = charge.health(self._kit.instance.name, now)
            due.append((charge, health))
            if before is None or (before[0], before[2]) != (health.condition, health.error):
                self._kit.events.account_changed(health, before[0] if before else "new")
        return due

    # --- in its own thread ------------------------------------------------------------------------------------------

    def _poll(self, progress: Sequence[tuple[int, int, int]]) -> None:
        try:
            if self._answers:
                unsent, self._answers = self._answers, []
                self._send(unsent)
            if self._others:
                self._tell_others()
            for request, done, total in progress:
                self._kit.store.progress(request, done=done, total=total)
            new = [request for request in self._kit.store.requests() if request.id not in self._known]
            if new:
                self._asked(new)
        except GatewaydError:
            # The store is away, and the leases' thread says so; what was asked for stands there still.
            return
        except Exception as error:  # noqa: BLE001  a store's bug must not keep people unheard for ever
            journal.own_fault("reception", error)
        finally:
            self._polls = False

    def _send(self, answers: Sequence[tuple[tuple[int, ...], Answer]]) -> None:
        for requests, answer in answers:
            try:
                self._kit.store.answer(requests, answer)
            except GatewaydError:
                self._answers.append((requests, answer))
            except Exception as error:  # noqa: BLE001  who asked waits for it all the same
                journal.own_fault("reception", error)
                self._answers.append((requests, answer))
            else:
                self._known.difference_update(requests)

    def _tell_others(self, healths: Sequence[AccountHealth] = (), *, first: bool = False) -> None:
        self._first |= first
        self._others |= {one.account: one for one in healths}
        try:
            # What the daemon before found out by sending stands: what was refused then is tried by that.
            failed = {one.account: one for one in self._kit.store.healths() if one.condition in _FAILED} if self._first else {}
            news = [
                replace(failed[one.account], holder=one.holder) if one.condition == "sending" and one.account in failed else one
                for one in self._others.values()
            ]
            if news:
                self._kit.store.tell(news)
        except GatewaydError:
            return
        except Exception as error:  # noqa: BLE001  as above
            journal.own_fault("reception", error)
        self._first, self._others = False, {}

    def _tell(self, healths: Sequence[tuple[AccountState, AccountHealth]]) -> bool:
        try:
            self._kit.store.tell([health for _, health in healths])
        except GatewaydError:
            for charge, _ in healths:
                self._changed.setdefault(charge.name, (charge, 0.0))
            return False
        except Exception as error:  # noqa: BLE001  as above
            journal.own_fault("reception", error)
            return False
        finally:
            self._tells = False
        return True


def _ours(charge: AccountState) -> bool:
    """Whether it is we who tell how an account is: if it is given up, by now or soon, others do."""
    return charge.lease is not None and not charge.leaving
