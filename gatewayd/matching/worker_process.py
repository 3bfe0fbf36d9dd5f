"""Start a worker process, exchange messages with it, and kill it."""

from __future__ import annotations

import os
import pickle
import socket
import struct
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from gatewayd.errors import TransientError
from gatewayd.matching.worker_messages import TaskReady
from gatewayd.runtime.forkserver import fork, signal_name

if TYPE_CHECKING:
    from gatewayd.matching.worker_messages import Reply, WordsTask, WorkerTask

__all__ = ["WorkerDied", "WorkerProcess"]

#: What the fork server is asked for.
_PROGRAM = "gatewayd.matching.worker"
#: Seconds that one message may take over the connection once it has begun, and its largest size in bytes.
_MESSAGE, _LARGEST = 10, 256 << 20
#: Seconds to wait for the end of a process that was killed.
_GONE = 0.5
#: By how much the niceness of a worker rises that has been at one call for long.
_NICER = 10


class WorkerDied(Exception):
    """The process has ended, or can't be understood any more. The text says how."""


class WorkerProcess:
    """A worker process. Used by one thread at a time, but for ``end``."""

    def __init__(self, memory: int, generation: int = 0) -> None:
        """Start it. It gets ready while the caller goes on. Raises TransientError where no process can be had.

        ``memory``: how many bytes it may take. ``generation``: of which code it is, see ``WorkerPool.renew``.
        """
        with ExitStack() as ours:
            try:
                self._start(ours, memory)
            except OSError as error:
                advice = "See that this machine has memory, processes and open files left (ulimit -a)."
                raise TransientError(f"no worker process can be started: {error.strerror}", advice=advice) from error
            ours.pop_all()
        self.generation = generation
        #: It has read its task: from now on its time counts.
        self.ready = False
        #: It has been at one call for long; and for so long that other processes have the processor first.
        self.overdue = False
        self.calmed = False

    def _start(self, ours: ExitStack, memory: int) -> None:
        life, self._life = os.pipe()
        ours.callback(os.close, self._life)
        with ExitStack() as theirs:
            theirs.callback(os.close, life)
            near, far = socket.socketpair()
            ours.callback(near.close)
            theirs.enter_context(far)
            limit = struct.pack("ll", _MESSAGE, 0)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            # What a matcher prints goes to standard error, not into the output of a command.
            self._child = fork(_PROGRAM, [str(memory)], files=[far.fileno(), life], heard=True)
        self._connection = Connection(near.detach())

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return not self._child.ended()

    def send(self, task: WorkerTask | WordsTask) -> None:
        """Send it a task; raises WorkerDied."""
        self.ready = False
        try:
            self._connection.send_bytes(pickle.dumps(task, 5))
        except OSError as error:
            raise WorkerDied(self._how(str(error))) from error

    def receive(self, timeout: float) -> Reply | None:
        """Return its next reply, None where there is none within ``timeout`` seconds; raises WorkerDied."""
        try:
            if not self._connection.poll(timeout):
                return None
            reply: Reply = pickle.loads(self._connection.recv_bytes(_LARGEST))  # noqa: S301  our own worker's
        except EOFError as error:
            raise WorkerDied(self._how("it closed the connection")) from error
        except OSError as error:
            raise WorkerDied(self._how(f"its answer can't be had: {error}")) from error
        except Exception as error:
            raise WorkerDied(f"its answer can't be read: {type(error).__name__}") from error
        self.ready = self.ready or isinstance(reply, TaskReady)
        return reply

    def _how(self, otherwise: str) -> str:
        self._child.ended(1)
        code = self._child.code
        if code is None:
            return otherwise
        return f"it was ended by signal {-code} ({signal_name(-code)})" if code < 0 else f"it exited with {code}"

    def calm(self) -> None:
        """Lower its scheduling priority."""
        self.calmed = True
        self._child.calm(_NICER)

    def end(self) -> None:
        """End it at once, with its children; its user gets WorkerDied. May be called from any thread; never raises."""
        self._child.kill()

    def kill(self) -> None:
        """End it and close its files. Never raises."""
        self.end()
        if not self._connection.closed:
            self._child.ended(_GONE)
            self._child.close()
            self._connection.close()
            os.close(self._life)
