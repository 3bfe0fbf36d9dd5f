"""Run the outbox: one thread asks the store which destinations are due, and a pool of threads delivers, one for each destination.

A destination whose server hangs or fails never takes the room of others (promise P4), see ``bounded_pool``.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.errors import AuthError, GatewaydError, PluginError, TransientError
from gatewayd.outgoing.destination_health import DestinationHealth
from gatewayd.outgoing.destinations import (
    DestinationPause,
    DestinationRun,
    changed_destinations,
    consent_mark,
    file_of,
    put_off_by_operators,
)
from gatewayd.outgoing.outbox import LIMIT, DeliveryRound, DeliveryTools, Outbox, abandoned
from gatewayd.runtime import journal
from gatewayd.runtime.backoff import Backoff
from gatewayd.runtime.bounded_pool import BoundedPool
from gatewayd.runtime.events import Events
from gatewayd.runtime.threads import WorkerThreads, started
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from concurrent.futures import Future

    from gatewayd.api.store import Store
    from gatewayd.config import Config
    from gatewayd.outgoing.outbox import Policy
    from gatewayd.runtime.instance import Instance

__all__ = ["Dispatcher"]

#: Seconds between two questions to the store what is due, and what is overdue.
_ASK, _OVERDUE = 1.0, 60.0
#: Seconds between two looks after the work, and while all is to end.
_LOOK, _LOOK_CLOSELY = 0.5, 0.02
#: Seconds that work which is to end may go on before its connection is aborted.
_GRACE = 0.5
#: The loop hangs if it has not turned for so many seconds. The store, which it waits for, has deadlines of its own.
_HANGS = 300.0
#: The wait between two questions to a store that is away.
_STORE_AWAY = Backoff(first=1.0, longest=30.0)


class Dispatcher:
    """Delivers from the first ``apply`` to ``stop``. Its public methods may be called from any thread."""

    def __init__(
        self,
        store: Store,
        instance: Instance,
        events: Events | None = None,
        *,
        policy: Policy | None = None,
        slow: float = 5.0,
    ) -> None:
        """``policy`` replaces the one that the config's limits make.

        ``slow`` is after how many seconds without a sign of life from its server a destination no longer counts as working.
        """
        self._store, self._instance, self._policy = store, instance, policy
        self._events = events or Events()
        self._inbox: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        #: Set by the first event of the loop.
        self._config: Config
        self._outbox: Outbox
        self._pool = BoundedPool(
            lambda number: WorkerThreads(1, f"delivery-{number}"),
            self._deliver,
            self._returned,
            limit=lambda: self._config.limits.deliveries,
            slow=slow,
        )
        self._rests: dict[str, DestinationPause] = {}
        #: Destinations that the store has not heard yet are to be tried at once; those left over by the process before are missing.
        self._hurried: set[str] = set()
        self._looked_back = False
        self._health = DestinationHealth(store, instance, self._events)
        self._settler: WorkerThreads | None = None
        self._ask_at = self._overdue_at = 0.0
        self._away = 0
        self._turned = time.monotonic()
        self._stopping = self._ended = False
        self._drained = threading.Event()
        self._thread: threading.Thread | None = None

    def apply(self, config: Config) -> None:
        """Work with this config from now on. A destination that rests is tried at once if its config has changed."""
        self._inbox.put(partial(self._take_over, config, first=self._thread is None))
        if self._thread is None:
            self._settler = WorkerThreads(1, "delivery-settler")
            self._thread = started(self._run, "posting")

    def retry(self, files: Collection[str]) -> None:
        """Try at once the destinations of these config files that rest: a secret of theirs has changed."""
        self._inbox.put(partial(self._try_again, files))

    def wake(self) -> None:
        """Ask the store at once what is due: there is something new."""
        self._inbox.put(self._ask_soon)

    def alive(self) -> bool:
        """Whether the loop turns."""
        return self._thread is None or time.monotonic() - self._turned < _HANGS

    def halt(self) -> None:
        """Begin nothing more, and let each round end after the delivery that it is sending. Does not wait."""
        self._stopping = True
        self._inbox.put(self._begin_to_stop)

    def stop(self, timeout: float) -> int:
        """End within ``timeout`` seconds, and return how many rounds did not: the next start tries their deliveries again."""
        if self._thread is None or self._settler is None:
            return 0
        until = time.monotonic() + timeout
        self.halt()
        self._drained.wait(timeout * 0.8)
        self._ended = True
        self._inbox.put(lambda: None)
        self._thread.join(timeout * 0.1)
        abandoned = len(self._pool.runs)
        all_threads = (*self._pool.shutdown(), self._settler)
        self._settler.shutdown(wait=False)
        # Threads that hang end with the process.
        for threads in () if abandoned else all_threads:
            threads.join(max(0.0, until - time.monotonic()))
        return abandoned

    # --- the loop -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """Wait until something happens or is due, and do it. A fault in one step keeps none of the others from being done."""
        while not self._ended:
            wait = _LOOK_CLOSELY if self._stopping else max(0.0, min(_LOOK, self._ask_at - time.monotonic()))
            with suppress(queue.Empty):
                self._guarded(self._inbox.get(timeout=wait))
            now = self._turned = time.monotonic()
            self._guarded(partial(self._look, now))
            if not self._stopping and now >= self._ask_at:
                self._guarded(partial(self._ask, now))
            if not self._stopping:
                self._guarded(partial(self._pool.start, DestinationRun))

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except GatewaydError as error:
            # The store is away.
            if not self._away:
                journal.outbox_waits(error)
            self._away += 1
            self._ask_at = time.monotonic() + _STORE_AWAY.wait(self._away, jitter=0.5)
        except Exception as error:  # noqa: BLE001  a bug must not end the thread
            journal.own_fault("posting", error)

    def _take_over(self, config: Config, *, first: bool) -> None:
        before = config if first else self._config
        self._config, self._outbox = config, Outbox(config, self._policy)
        # Only those that wait for the operator's file: a destination that rests after failures goes on resting.
        self._hurried |= put_off_by_operators(before, config)
        self._hurry(changed_destinations(before, config))

    def _try_again(self, files: Collection[str]) -> None:
        known = {*self._rests, *(run.destination for run in self._pool.runs)}
        self._hurry({destination for destination in known if file_of(destination) in files})

    def _hurry(self, destinations: set[str]) -> None:
        """Try at once what waits for these destinations, also after a round that is under way."""
        for run in self._pool.runs:
            run.outdated = run.outdated or run.destination in destinations
        for destination in destinations & self._rests.keys():
            self._rests[destination].until = 0.0
        self._hurried |= destinations
        self._ask_soon()

    def _ask_soon(self) -> None:
        if not self._away:
            self._ask_at = 0.0

    def _ask(self, now: float) -> None:
        """Ask the store which destinations are due, and let them wait for a thread."""
        self._ask_at = now + _ASK
        resting = [(one, rest.mark) for one, rest in self._rests.items() if rest.until > now and rest.mark is not None]
        if consented := {one for one, mark in resting if consent_mark(one, self._config) != mark}:
            self._hurry(consented)
        self._hurry_store()
        self._health.catch_up()
        # Deliveries of a round that is under way seem abandoned here; its destination is left out below.
        destinations = self._store.destinations(dead=partial(abandoned, self._instance))
        self._away = 0
        at_work = {run.destination for run in self._pool.runs}
        for destination, seconds in destinations.items():
            rest = self._rests.get(destination)
            at = max(now + seconds, rest.until if rest else 0.0)
            if at > now:
                self._ask_at = min(self._ask_at, at)
            elif destination not in at_work:
                # Behind those that wait already, however long it is due: a destination with much to send keeps no others waiting.
                self._pool.offer(destination, at=now, suspect=rest is not None)
        self._forget(self._rests.keys() - destinations.keys() - at_work)
        if now >= self._overdue_at:
            self._overdue_at = now + _OVERDUE
            for one in self._store.overdue(self._config.limits.warn):
                journal.delivery_overdue(one)

    def _forget(self, destinations: Collection[str]) -> None:
        """Forget destinations that rest, and to which nothing is to be delivered any more."""
        for destination in destinations:
            del self._rests[destination]
            kind, _, account = destination.partition(" ")
            if kind == "account":
                self._health.nothing_waits(account)

    def _hurry_store(self) -> None:
        """Let the deliveries to hurried destinations be due now; those of the process before, too, which may have been refused."""
        if not self._looked_back:
            paused = {f"account {one.account}" for one in self._store.healths() if one.condition == "paused"}
            waiting = self._store.destinations(dead=partial(abandoned, self._instance))
            # Nobody knows why deliveries to a webhook wait.
            self._hurried |= {one for one in waiting if one in paused or not one.startswith("account ")}
            self._looked_back = True
        hurried, self._hurried = self._hurried, set()
        try:
            if hurried:
                self._store.hurry(hurried)
        except TransientError:
            self._hurried = hurried
            raise

    def _look(self, now: float) -> None:
        self._pool.look(now)
        if self._stopping and not self._pool.runs:
            self._drained.set()

    def _begin_to_stop(self) -> None:
        for run in self._pool.runs:
            run.abort_at = min(run.abort_at, time.monotonic() + _GRACE)

    # --- the work -----------------------------------------------------------------------------------------------------

    def _deliver(self, run: DestinationRun, _: WorkerThreads) -> DeliveryRound:
        """Do one round at a destination; in its thread."""
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
            rest = _STORE_AWAY.wait(failures, jitter=0.5)
            done = DeliveryRound(destination=run.destination, error=error, rest=rest, failures=failures)
        else:
            bug = PluginError(f"the work on {run.destination} failed: {where(error)}")
            done = DeliveryRound(destination=run.destination, error=bug, rest=_OVERDUE, failures=failures)
        self._inbox.put(partial(self._finished, run, slot, done))

    def _finished(self, run: DestinationRun, slot: WorkerThreads, done: DeliveryRound) -> None:
        self._pool.ended(run, slot)
        before = self._rests.pop(run.destination, None)
        if done.error is not None:
            # Where the log-in was refused, deliveries go on as soon as the person has consented.
            mark = consent_mark(run.destination, self._config) if isinstance(done.error, AuthError) else None
            self._rests[run.destination] = DestinationPause(done.failures, time.monotonic() + done.rest, mark)
            journal.destination_failed(run.destination, done.error, retry_in=done.rest, failures=done.failures)
        elif before is not None and not done.tried:
            # Nothing was tried, so it rests as before.
            self._rests[run.destination] = before
        elif before is not None:
            journal.destination_healed(run.destination, failures=before.failures)
        if run.outdated:
            self._hurry({run.destination})
        elif done.taken >= LIMIT and done.error is None:
            self._ask_soon()
        rest = self._rests.get(run.destination)
        self._health.tell(done, failures=rest.failures if rest else 0)
