"""Starts a worker process, speaks with it, and kills it."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from gatewayd.errors import TransientError
from gatewayd.matching.worker import PROGRAM, TaskReady
from gatewayd.runtime.forkserver import fork

if TYPE_CHECKING:
    from gatewayd.matching.worker import Reply, WorkerTask

__all__ = ["WorkerDied", "WorkerProcess"]

#: Seconds that one message may take over the connection once it has begun, and its largest size in bytes.
_MESSAGE, _LARGEST = 10, 256 << 20
#: Seconds for which it is waited until one that was killed is gone.
_GONE = 0.5
#: How much less of the processor a worker gets that has been at one call for long.
_NICER = 10


class WorkerDied(Exception):
    """The process has ended, or its connection makes no sense any more. The text says how."""


class WorkerProcess:
    """A worker process. Used by one thread at a time, but for ``end``."""

    def __init__(self, memory: int, generation: int = 0) -> None:
        """Start it; ``memory`` is what it may take, in bytes. It gets ready while the caller goes on. Raises TransientError."""
        with ExitStack() as ours:
            try:
                self._start(ours, memory)
            except OSError as error:
                advice = "See that this machine has memory, processes and open files left (ulimit -a)."
                raise TransientError(f"no worker process can be started: {error.strerror}", advice=advice) from error
            ours.pop_all()
        #: Which code it was started for.
        self.generation = generation
        #: It has taken its task in, and what it takes from now on is its work's time.
        self.ready = False
        #: It has been at one call for long; for so long that others go first.
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
            # What a matcher prints is no part of what a command says.
            self._child = fork(PROGRAM, [str(memory)], files=[far.fileno(), life], heard=True)
        self._connection = Connection(near.detach())

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return not self._child.ended()

    def send(self, task: WorkerTask) -> None:
        """Let it work; raises WorkerDied."""
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
        return f"it was ended by signal {-code} ({_named(-code)})" if code < 0 else f"it exited with {code}"

    def calm(self) -> None:
        """Let others have the processor first, from now on."""
        self.calmed = True
        self._child.calm(_NICER)

    def end(self) -> None:
        """Have it end at once, with its children; whoever uses it learns that it died. From any thread; never raises."""
        self._child.kill()

    def kill(self) -> None:
        """End it and let go of it. Never raises."""
        self.end()
        if not self._connection.closed:
            self._child.ended(_GONE)
            self._child.close()
            self._connection.close()
            os.close(self._life)


def _named(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
