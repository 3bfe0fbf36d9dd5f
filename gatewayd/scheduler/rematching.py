"""Matches again by itself what stands in error queues for a cause that may be over.

That is: a breaker wants a trial or has closed, an operator's directory is back or its file is sound again, or a matcher has
other code or options than when it last ran. One thread works through it, batch by batch, so that it is never in new mail's way.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

from gatewayd.api.queries import Query, Viewer
from gatewayd.errors import GatewaydError
from gatewayd.importing.rematch import retry, retry_put_off
from gatewayd.runtime import journal
from gatewayd.runtime.threads import started

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.api.store import Store
    from gatewayd.config import Config
    from gatewayd.matching import OperatorSpec
    from gatewayd.matching.worker_matching import WorkerMatching
    from gatewayd.outgoing.routing import Router

__all__ = ["Rematcher"]

#: What else than a matcher a fault may be of.
_DIRECTORY, _CONFIG = "directory", "config"
#: Stands for all that no time was left for. No matcher is called so.
_PUT_OFF = "put off"
#: Seconds that the thread waits for something to do at a time.
_WAIT = 1.0
#: Seconds after which what could not be done is tried again.
_AGAIN = 60.0


class _Stopped(Exception):
    """It is told to end."""


class Rematcher:
    """Its methods may be called from any thread; none of them waits but ``stop``."""

    def __init__(self, store: Store, workers: WorkerMatching) -> None:
        self._store = store
        self._workers = workers
        self._queue: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._queued: set[tuple[str, str]] = set()
        #: What could not be done, and when it is tried again.
        self._later: dict[tuple[str, str], float] = {}
        #: What could not be done, and why, as the log told it.
        self._failed: dict[tuple[str, str], str] = {}
        self._door = threading.Lock()
        self._stopping = threading.Event()
        self._specs: Mapping[str, OperatorSpec] = {}
        self._viewers: Mapping[str, Viewer] = {}
        self._fingerprints: Mapping[str, Mapping[str, str]] = {}
        self._router: Router | None = None
        self._thread: threading.Thread | None = None

    def apply(
        self,
        config: Config,
        specs: Mapping[str, OperatorSpec],
        fingerprints: Mapping[str, Mapping[str, str]],
        router: Router | None = None,
    ) -> None:
        """Work with this config from now on; ``fingerprints`` are those of all operators' matchers, by operator and kind."""
        self._specs, self._router = specs, router
        self._viewers = {name: Viewer(operator=name, users=tuple(one.users)) for name, one in config.operators.items()}
        self._fingerprints = fingerprints
        for name in specs:
            self.wake(name, _CONFIG)
        if self._thread is None:
            self._thread = started(self._run, "rematching")

    def wake(self, operator: str, by: str) -> None:
        """Match again what has faults of ``by``: a matcher, ``directory``, or ``config`` for all that other code may mend."""
        with self._door:
            if (operator, by) in self._queued:
                return
            self._queued.add((operator, by))
        self._queue.put((operator, by))

    def put_off(self, operator: str) -> None:
        """Match again what no time was left for."""
        self.wake(operator, _PUT_OFF)

    def directory_back(self, operator: str) -> None:
        """Match again what the directory could not be asked for."""
        self.wake(operator, _DIRECTORY)

    def breaker(self, operator: str, by: str, changed: str) -> None:
        """Match again what was not matched while a breaker was open, once it closes."""
        if changed == "closed":
            self.wake(operator, by)

    def look(self) -> None:
        """Give matchers whose breaker's time is up a trial, and directories that were down, also where no new mail comes."""
        for operator, by in self._workers.breakers.due():
            self.wake(operator, by)
        for operator in self._workers.directories.due():
            self.wake(operator, _DIRECTORY)
        with self._door:
            now = time.monotonic()
            again = [key for key, at in self._later.items() if at <= now]
            for key in again:
                del self._later[key]
        for operator, by in again:
            self.wake(operator, by)

    def stop(self, timeout: float) -> None:
        """End within ``timeout`` seconds, or leave the thread behind."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)

    # --- its thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                operator, by = self._queue.get(timeout=_WAIT)
            except queue.Empty:
                continue
            with self._door:
                self._queued.discard((operator, by))
            try:
                self._work(operator, by)
                self._failed.pop((operator, by), None)
            except _Stopped:
                return
            except GatewaydError as error:
                # The store is away, or no worker can be had.
                if self._failed.get((operator, by)) != error.sentences:
                    journal.rematch_failed(operator, error, by=by)
                self._failed[operator, by] = error.sentences
                self._put_off(operator, by)
            except Exception as error:  # noqa: BLE001  a bug must not end the thread
                journal.own_fault("rematching", error)
                self._put_off(operator, by)

    def _put_off(self, operator: str, by: str) -> None:
        with self._door:
            self._later[operator, by] = time.monotonic() + _AGAIN

    def _work(self, operator: str, by: str) -> None:
        spec, viewer = self._specs.get(operator), self._viewers.get(operator)
        if spec is None or viewer is None or spec.faulty:
            return
        if by == _CONFIG:
            self._what_changed(spec, viewer)
            self._put_off_again(spec, viewer)
        elif by == _PUT_OFF:
            self._put_off_again(spec, viewer)
        else:
            self._retry(spec, viewer, by)

    def _what_changed(self, spec: OperatorSpec, viewer: Viewer) -> None:
        name = spec.operator.name
        now, before = self._fingerprints.get(name, {}), self._store.fingerprints(name)
        self._retry(spec, viewer, _CONFIG)
        self._retry(spec, viewer, _DIRECTORY)
        for by, fingerprint in before.items():
            # Also of a matcher that is no longer asked: then its faults are no longer anybody's.
            if now.get(by) != fingerprint and by != _DIRECTORY:
                self._retry(spec, viewer, by)
        if now != before:
            # Only now: what was interrupted is done again after the next start.
            self._store.remember_fingerprints(name, now)

    def _put_off_again(self, spec: OperatorSpec, viewer: Viewer) -> None:
        done = mended = 0
        for batch in retry_put_off(self._store, self._workers, spec, viewer, Query(), router=self._router, keep_alive=self._go_on):
            self._go_on()
            done, mended = done + len(batch), mended + sum(not one.faults for one in batch)
        if done:
            journal.rematched(spec.operator.name, by=_PUT_OFF, done=done, mended=mended)

    def _retry(self, spec: OperatorSpec, viewer: Viewer, by: str) -> None:
        mended = done = 0
        query = Query(fault_by=by)
        for batch in retry(self._store, self._workers, spec, viewer, query, router=self._router, keep_alive=self._go_on):
            self._go_on()
            still = sum(any(fault.by == by for fault in one.faults) for one in batch)
            done, mended = done + len(batch), mended + len(batch) - still
            if batch and still == len(batch) and self._is_down(spec.operator.name, by):
                # What comes behind would only get the same fault.
                break
        if done:
            journal.rematched(spec.operator.name, by=by, done=done, mended=mended)

    def _is_down(self, operator: str, by: str) -> bool:
        return by == _DIRECTORY or (operator, by) in self._workers.breakers.open()

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise _Stopped
