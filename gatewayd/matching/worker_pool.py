"""A pool of worker processes: at most so many at once, first come first served. Each purpose has its own pool."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from gatewayd.errors import TransientError
from gatewayd.matching.worker_process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WorkerPool"]

#: Seconds between two calls of ``wanted`` while a caller waits for a process.
_LOOK = 0.5


class WorkerPool:
    """Processes that are kept, or started for each use. Every method may be called from any thread.

    At most ``limit`` processes run at once. Those that are at one call for long don't count, as long as there are no more than
    ``more`` of them: others must not wait for them.
    """

    def __init__(self, limit: int, *, more: int, memory: int, keep: bool, calm: bool = False) -> None:
        """``memory``: bytes that a process may take. ``keep``: for further tasks. ``calm``: with a lower scheduling priority."""
        self.limit = limit
        #: For processes that are started from now on.
        self.memory = memory
        self._more = more
        self._keep = keep
        self._calm = calm
        self._lock = threading.Condition()
        self._idle: list[WorkerProcess] = []
        self._all: set[WorkerProcess] = set()
        #: The callers that wait, the first one first.
        self._queue: deque[object] = deque()
        self._generation = 0
        self._closed = False
        #: How many are being started.
        self._starting = 0
        #: How many processes had to be replaced.
        self.deaths = 0

    @property
    def count(self) -> int:
        """How many processes there are."""
        return len(self._all)

    def take(self, wanted: Callable[[], object] = lambda: None) -> WorkerProcess:
        """Return a process that is free. The caller must ``give_back``, ``discard`` or ``end`` it.

        ``wanted`` is called now and then while the caller waits; an error that it raises ends the waiting. Raises TransientError
        where no process can be started, or the pool is closed.
        """
        ticket = object()
        dead: list[WorkerProcess] = []
        try:
            process = self._waited(ticket, dead, wanted)
        finally:
            for one in dead:
                one.kill()
        return process or self._started()

    def _waited(self, ticket: object, dead: list[WorkerProcess], wanted: Callable[[], object]) -> WorkerProcess | None:
        """Wait for the caller's turn; return a process that is idle, None where a new one may be started."""
        with self._lock:
            self._queue.append(ticket)
            try:
                while not self._is_turn(ticket) or not ((process := self._kept(dead)) or self._has_room()):
                    wanted()
                    self._lock.wait(_LOOK)
                self._starting += process is None
            finally:
                self._queue.remove(ticket)
                self._lock.notify_all()
        return process

    def _is_turn(self, ticket: object) -> bool:
        if self._closed:
            raise _closing()
        return self._queue[0] is ticket

    def _kept(self, dead: list[WorkerProcess]) -> WorkerProcess | None:
        """Return a process that is idle; add those that have died meanwhile to ``dead``."""
        while self._idle:
            process = self._idle.pop()
            if process.alive:
                return process
            self._all.discard(process)
            self.deaths += 1
            dead.append(process)
        return None

    def _has_room(self) -> bool:
        slow = sum(process.overdue for process in self._all)
        return len(self._all) + self._starting < self.limit + min(slow, self._more)

    def _started(self) -> WorkerProcess:
        """Return a new process. To start it may take long: nobody else must wait for it, least of all ``close``."""
        process = None
        try:
            process = WorkerProcess(self.memory, self._generation)
        finally:
            with self._lock:
                self._starting -= 1
                self._all.update([process] if process else [])
                self._lock.notify_all()
                closed = self._closed
        if closed:
            self.end(process)
            raise _closing()
        if self._calm:
            process.calm()
        return process

    def give_back(self, process: WorkerProcess) -> None:
        """Take back a process that has done its task."""
        with self._lock:
            wanted = self._keep and not self._closed and len(self._all) <= self.limit
            if wanted and not process.calmed and process.generation == self._generation:
                process.overdue = False
                self._idle.append(process)
                self._lock.notify_all()
                return
        self.end(process)

    def discard(self, process: WorkerProcess) -> None:
        """End a process that has failed."""
        with self._lock:
            self.deaths += 1
        self.end(process)

    def end(self, process: WorkerProcess) -> None:
        """End a process that is not needed any more."""
        process.kill()
        with self._lock:
            self._all.discard(process)
            self._lock.notify_all()

    def slow(self, process: WorkerProcess) -> None:
        """Note that a process has been at one call for long, and no longer counts as busy."""
        with self._lock:
            process.overdue = True
            self._lock.notify_all()

    def renew(self) -> None:
        """Replace processes as they become free."""
        with self._lock:
            self._generation += 1
            idle, self._idle = self._idle, []
        for process in idle:
            self.end(process)

    def close(self) -> None:
        """End all processes; the users of those at work get WorkerDied."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
            idle, self._idle = self._idle, []
            used = self._all.difference(idle)
        # Their users close their connections: a file number that is closed here may be another file's by then.
        for process in used:
            process.end()
        for process in idle:
            self.end(process)


def _closing() -> TransientError:
    return TransientError("the worker processes are being ended", advice="The daemon stops; the next start goes on.")
