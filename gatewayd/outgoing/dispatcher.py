"""Delivers what is due: one thread asks the store which destinations are, others work on them, each destination by one at a time.

A destination whose server hangs or fails never takes the others' room (promise P4): what says nothing for a while no longer counts
as working, and what failed the last time has room of its own.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError, PluginError
from gatewayd.outgoing.destination_health import DestinationHealth
from gatewayd.outgoing.destination_run import DestinationPause, DestinationRun, file_of
from gatewayd.outgoing.outbox import LIMIT, DeliveryRound, DeliveryTools, Outbox, abandoned
from gatewayd.outgoing.retry_now import RetryNow, changed_destinations, put_off_by_operators
from gatewayd.registry.loading import where
from gatewayd.runtime import journal
from gatewayd.runtime.backoff import Backoff
from gatewayd.runtime.events import Events
from gatewayd.runtime.fair_queue import FairQueue
from gatewayd.runtime.threads import WorkerThreads, started

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from concurrent.futures import Future

    from gatewayd.api.store import Store
    from gatewayd.config import Config
    from gatewayd.outgoing.outbox import Policy
    from gatewayd.runtime.instance import Instance

__all__ = ["Dispatcher"]

#: Groups of the line, as in the pool of visits.
_WORKING, _ALL, _SUSPECTS = "working", "all", "suspects"
#: How many destinations there may be in all for one that works: the others wait for servers that say nothing.
_WAITING = 4
#: How often the store is asked what is due, and what is overdue, in seconds.
_ASK, _OVERDUE = 1.0, 60.0
#: How often the work is looked after, in seconds; and while all is to end.
_LOOK, _LOOK_CLOSELY = 0.5, 0.02
#: How long work that is to end may go on before its connection is aborted, in seconds.
_GRACE = 0.5
#: Without a turn for so many seconds the loop hangs. It asks the store, which has its own deadlines.
_HANGS = 300.0
#: Between two questions to a store that is away.
_STORE_AWAY = Backoff(first=1.0, longest=30.0)


class Dispatcher:
    """Works the outbox from the first ``apply`` to ``stop``. Its methods may be called from any thread."""

    def __init__(
        self,
        store: Store,
        instance: Instance,
        events: Events | None = None,
        *,
        policy: Policy | None = None,
        slow: float = 5.0,
    ) -> None:
        """``policy`` takes the place of the one that the config's limits make.

        After ``slow`` seconds without a word from its server a destination no longer counts as working.
        """
        self._store = store
        self._instance = instance
        self._events = events or Events()
        self._policy = policy
        self._slow = slow
        self._inbox: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        #: What is worked with; taken over before anything else.
        self._config: Config
        self._outbox: Outbox
        self._line = FairQueue(self._limit)
        self._runs: dict[str, DestinationRun] = {}
        self._rests: dict[str, DestinationPause] = {}
        self._due = RetryNow(store, instance)
        self._health = DestinationHealth(store, instance, self._events)
        self._idle: list[WorkerThreads] = []
        self._slots: list[WorkerThreads] = []
        self._settler: WorkerThreads | None = None
        self._ask_at = self._overdue_at = 0.0
        self._away = 0
        self._turned = time.monotonic()
        self._stopping = self._ended = False
        self._drained = threading.Event()
        self._thread: threading.Thread | None = None

    def apply(self, config: Config) -> None:
        """Work with this config from now on. A destination that rests is tried at once if its file says something else by now."""
        self._inbox.put(partial(self._take_over, config, first=self._thread is None))
        if self._thread is None:
            self._settler = WorkerThreads(1, "delivery-settler")
            self._thread = started(self._run, "posting")

    def retry(self, files: Collection[str]) -> None:
        """Try at once what rests and goes by these files of the config: a secret of theirs has changed."""
        self._inbox.put(partial(self._try_again, files))

    def wake(self) -> None:
        """Ask at once what is due: there is something new."""
        self._inbox.put(self._ask_soon)

    def alive(self) -> bool:
        """Whether the loop turns."""
        return self._thread is None or time.monotonic() - self._turned < _HANGS

    def halt(self) -> None:
        """Begin nothing more, and end what is under way behind what it has in hand; does not wait for it."""
        self._stopping = True
        self._inbox.put(self._begin_to_stop)

    def stop(self, timeout: float) -> int:
        """End within ``timeout`` seconds, and return how many destinations did not: what they took is tried by the next start."""
        if self._thread is None or self._settler is None:
            return 0
        until = time.monotonic() + timeout
        self.halt()
        self._drained.wait(timeout * 0.8)
        self._ended = True
        self._inbox.put(lambda: None)
        self._thread.join(timeout * 0.1)
        abandoned = len(self._runs)
        for threads in (*self._slots, self._settler):
            threads.shutdown(wait=False)
        # What hangs is left behind: it ends with the process.
        for threads in () if abandoned else (*self._slots, self._settler):
            threads.join(max(0.0, until - time.monotonic()))
        return abandoned

    # --- the loop -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended:
            self._turn()

    def _turn(self) -> None:
        """Wait for something to happen or to be due, and do it. A fault in one costs nothing but that."""
        now = time.monotonic()
        wait = _LOOK_CLOSELY if self._stopping else max(0.0, min(_LOOK, self._ask_at - now))
        with suppress(queue.Empty):
            self._guarded(self._inbox.get(timeout=wait))
        now = self._turned = time.monotonic()
        self._guarded(partial(self._look, now))
        if not self._stopping and now >= self._ask_at:
            self._guarded(partial(self._ask, now))
        if not self._stopping:
            self._guarded(self._start)

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except GatewaydError as error:
            # The store is away.
            if not self._away:
                journal.outbox_waits(error)
            self._away += 1
            self._ask_at = time.monotonic() + _STORE_AWAY.wait(self._away, luck=0.5)
        except Exception as error:  # noqa: BLE001  a bug must not end the thread
            journal.own_fault("posting", error)

    def _take_over(self, config: Config, *, first: bool) -> None:
        before = config if first else self._config
        self._config, self._outbox = config, Outbox(config, self._policy)
        # A destination that rests for its own trouble goes on resting, whatever became of an operator's file.
        self._due.add(put_off_by_operators(before, config))
        self._hurry(changed_destinations(before, config))

    def _try_again(self, files: Collection[str]) -> None:
        self._hurry({destination for destination in (*self._rests, *self._runs) if file_of(destination) in files})

    def _hurry(self, destinations: Collection[str]) -> None:
        """Try what waits in destinations at once, also behind what is under way there."""
        for run in (self._runs[destination] for destination in destinations if destination in self._runs):
            run.outdated = True
        for rest in (self._rests[destination] for destination in destinations if destination in self._rests):
            rest.until = 0.0
        self._due.add(destinations)
        self._ask_soon()

    def _ask_soon(self) -> None:
        if not self._away:
            self._ask_at = 0.0

    def _ask(self, now: float) -> None:
        """Let all destinations that are due stand in line."""
        self._ask_at = now + _ASK
        self._due.tell()
        self._health.catch_up()
        # What is taken of a destination that is at work is not looked at below.
        destinations = self._store.destinations(dead=partial(abandoned, self._instance))
        self._away = 0
        for destination, seconds in destinations.items():
            rest = self._rests.get(destination)
            at = max(now + seconds, rest.until if rest else 0.0)
            if at > now:
                self._ask_at = min(self._ask_at, at)
            elif destination not in self._runs:
                # Behind those that wait already, however long it is due: a destination with much to go keeps no others waiting.
                self._line.add(destination, (_SUSPECTS,) if rest else (_ALL, _WORKING), at=now)
        # What nobody delivers to any more need not be remembered.
        self._rests = {
            destination: rest
            for destination, rest in self._rests.items()
            if destination in destinations or destination in self._runs
        }
        if now >= self._overdue_at:
            self._overdue_at = now + _OVERDUE
            for one in self._store.overdue(self._config.limits.warn):
                journal.delivery_overdue(one)

    def _start(self) -> None:
        while (place := self._line.take()) is not None:
            try:
                slot = self._idle.pop() if self._idle else self._new_slot()
            except RuntimeError:
                # No thread can be had: it stands in line again when the store is asked the next time.
                self._line.back(place.groups)
                raise
            run = self._runs[place.name] = DestinationRun(place.name, place.groups)
            slot.submit(self._deliver, run).add_done_callback(partial(self._returned, run, slot))

    def _look(self, now: float) -> None:
        """Find the destinations whose servers say nothing: their room is given to others. And end what was told to end."""
        for run in self._runs.values():
            run.look(now)
            if not run.slow and _WORKING in run.groups and now - run.moved > self._slow:
                run.slow = True
                self._line.back([_WORKING])
        if self._stopping and not self._runs:
            self._drained.set()

    def _begin_to_stop(self) -> None:
        for run in self._runs.values():
            run.abort_at = min(run.abort_at, time.monotonic() + _GRACE)

    # --- the work -----------------------------------------------------------------------------------------------------

    def _deliver(self, run: DestinationRun) -> DeliveryRound:
        """Do one round on a destination; in its thread."""
        assert self._settler is not None  # noqa: S101  it was made with the first thread
        tools = DeliveryTools(
            store=self._store,
            instance=self._instance,
            settler=self._settler,
            events=self._events,
            opened=run.opened,
            moved=run.move,
            stopping=lambda: self._stopping,
        )
        rest = self._rests.get(run.destination)
        return self._outbox.deliver(run.destination, tools, failures=rest.failures if rest else 0)

    def _returned(self, run: DestinationRun, slot: WorkerThreads, future: Future[DeliveryRound]) -> None:
        error, before = future.exception(), self._rests.get(run.destination)
        failures = before.failures + 1 if before else 1
        if error is None:
            done = future.result()
        elif isinstance(error, GatewaydError):
            rest = _STORE_AWAY.wait(failures, luck=0.5)
            done = DeliveryRound(destination=run.destination, error=error, rest=rest, failures=failures)
        else:
            bug = PluginError(f"the work on {run.destination} failed: {where(error)}")
            done = DeliveryRound(destination=run.destination, error=bug, rest=_OVERDUE, failures=failures)
        self._inbox.put(partial(self._finished, run, slot, done))

    def _finished(self, run: DestinationRun, slot: WorkerThreads, done: DeliveryRound) -> None:
        del self._runs[run.destination]
        self._idle.append(slot)
        self._line.back([group for group in run.groups if not (run.slow and group == _WORKING)])
        before = self._rests.pop(run.destination, None)
        if done.error is not None:
            self._rests[run.destination] = DestinationPause(done.failures, time.monotonic() + done.rest)
            journal.destination_failed(run.destination, done.error, retry_in=done.rest, failures=done.failures)
        elif before is not None and not done.tried:
            # Nothing was tried: it is as it was.
            self._rests[run.destination] = before
        elif before is not None:
            journal.destination_healed(run.destination, failures=before.failures)
        if run.outdated:
            self._hurry({run.destination})
        elif done.taken >= LIMIT and done.error is None:
            self._ask_soon()
        rest = self._rests.get(run.destination)
        self._health.tell(done, failures=rest.failures if rest else 0)

    def _new_slot(self) -> WorkerThreads:
        slot = WorkerThreads(1, f"delivery-{len(self._slots) + 1}")
        self._slots.append(slot)
        return slot

    def _limit(self, group: str) -> int:
        destinations = self._config.limits.deliveries
        return _WAITING * destinations if group == _ALL else destinations
