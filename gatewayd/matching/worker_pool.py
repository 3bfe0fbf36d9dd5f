"""The worker processes for one purpose: how many there may be, and who gets the next. No purpose waits for another."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from gatewayd.errors import TransientError
from gatewayd.matching.worker_process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WorkerPool"]

#: Seconds after which whoever waits for a process looks again whether he is still wanted.
_LOOK = 0.5


class WorkerPool:
    """Processes that are kept, or started for each use. Every method may be called from any thread.

    At most ``limit`` processes run at once. Those that are at one call for long don't count, as long as there are no more than
    ``more`` of them: others must not wait for them.
    """

    def __init__(self, limit: int, *, more: int, memory: int, keep: bool, calm: bool = False) -> None:
        self.limit = limit
        #: What a process that is started from now on may take, in bytes.
        self.memory = memory
        self._more = more
        self._keep = keep
        self._calm = calm
        self._door = threading.Condition()
        self._idle: list[WorkerProcess] = []
        self._all: set[WorkerProcess] = set()
        #: Who waits, first come first served.
        self._line: deque[object] = deque()
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
        """Return a process that is free, which the caller then must ``give_back``, ``discard`` or ``end``.

        ``wanted`` is called now and then while it waits; what it raises ends the waiting. Raises TransientError where none can
        be started, or once the pool is closed.
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
        """Wait for one's turn; return a process that is idle, None where a new one may be started."""
        with self._door:
            self._line.append(ticket)
            try:
                while not self._is_turn(ticket) or not ((process := self._kept(dead)) or self._has_room()):
                    wanted()
                    self._door.wait(_LOOK)
                self._starting += process is None
            finally:
                self._line.remove(ticket)
                self._door.notify_all()
        return process

    def _is_turn(self, ticket: object) -> bool:
        if self._closed:
            raise _closing()
        return self._line[0] is ticket

    def _kept(self, dead: list[WorkerProcess]) -> WorkerProcess | None:
        """Return one that is idle; those that have died meanwhile are added to the ``dead``."""
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
        """Return a new one. That may take long where something is wrong: nobody else must wait for it, least of all who closes."""
        process = None
        try:
            process = WorkerProcess(self.memory, self._generation)
        finally:
            with self._door:
                self._starting -= 1
                self._all.update([process] if process else [])
                self._door.notify_all()
                closed = self._closed
        if closed:
            self.end(process)
            raise _closing()
        if self._calm:
            process.calm()
        return process

    def give_back(self, process: WorkerProcess) -> None:
        """Take back a process that has done its work."""
        with self._door:
            wanted = self._keep and not self._closed and len(self._all) <= self.limit
            if wanted and not process.calmed and process.generation == self._generation:
                process.overdue = False
                self._idle.append(process)
                self._door.notify_all()
                return
        self.end(process)

    def discard(self, process: WorkerProcess) -> None:
        """End a process that went wrong."""
        with self._door:
            self.deaths += 1
        self.end(process)

    def end(self, process: WorkerProcess) -> None:
        """End a process that nobody needs any more."""
        process.kill()
        with self._door:
            self._all.discard(process)
            self._door.notify_all()

    def slow(self, process: WorkerProcess) -> None:
        """Take note that a process has been at one call for long."""
        with self._door:
            process.overdue = True
            self._door.notify_all()

    def renew(self) -> None:
        """Replace processes as they become free."""
        with self._door:
            self._generation += 1
            idle, self._idle = self._idle, []
        for process in idle:
            self.end(process)

    def close(self) -> None:
        """End all processes; who uses one learns that it died."""
        with self._door:
            self._closed = True
            self._door.notify_all()
            idle, self._idle = self._idle, []
            used = self._all.difference(idle)
        # Their connections are closed by who uses them: a number that is closed here may be another file's there.
        for process in used:
            process.end()
        for process in idle:
            self.end(process)


def _closing() -> TransientError:
    return TransientError("the worker processes are being ended", advice="The daemon stops; the next start goes on.")
