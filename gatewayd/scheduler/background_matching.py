"""Run a thread that matches filed mail again, batch by batch, beside the matching of new mail."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from gatewayd.runtime import journal
from gatewayd.runtime.threads import started

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.api.store import Store
    from gatewayd.errors import GatewaydError
    from gatewayd.matching import OperatorSpec
    from gatewayd.matching.worker_matching import WorkerMatching
    from gatewayd.outgoing.routing import Router

__all__ = ["BackgroundMatching", "Stopped"]


class Stopped(Exception):
    """The thread is told to end, in the middle of its work."""


class BackgroundMatching(ABC):
    """The thread, from the first ``_apply`` to ``stop``."""

    #: The thread's name, and the room that the log gives for its bugs.
    _room: str

    def __init__(self, store: Store, workers: WorkerMatching) -> None:
        self._store = store
        self._workers = workers
        #: Guards what other threads ask for, and wakes the thread.
        self._lock = threading.Condition()
        self._stopping = threading.Event()
        self._specs: Mapping[str, OperatorSpec] = {}
        self._router: Router | None = None
        #: Errors that the log has already, by operator and matcher.
        self._failed: dict[tuple[str, str], str] = {}
        self._thread: threading.Thread | None = None

    def _apply(self, specs: Mapping[str, OperatorSpec], router: Router | None) -> None:
        self._specs, self._router = specs, router
        if self._thread is None:
            self._thread = started(self._run, self._room)

    def stop(self, timeout: float) -> None:
        """End within ``timeout`` seconds, or leave the thread behind."""
        self._stopping.set()
        with self._lock:
            self._lock.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except Stopped:
                return
            except Exception as error:  # noqa: BLE001  a bug must not end the thread
                journal.own_fault(self._room, error)

    @abstractmethod
    def _turn(self) -> None:
        """Wait a second at most for something to do, and do it; called again and again."""

    def _go_on(self) -> None:
        """Raise Stopped if the thread is to end; called between two batches."""
        if self._stopping.is_set():
            raise Stopped

    def _report(self, operator: str, by: str, error: GatewaydError) -> None:
        """Log why something can't be matched now, once for each cause: the store is away, or no worker can be had."""
        if self._failed.get((operator, by)) != error.sentences:
            journal.rematch_failed(operator, error, by=by)
        self._failed[operator, by] = error.sentences
