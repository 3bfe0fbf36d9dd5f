"""One worker process and the connection to it."""

from __future__ import annotations

import os
import pickle
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewayd.worker import Ended, Labour, Next

__all__ = ["Died", "Process"]

#: Seconds that one message may take over the connection once it has begun.
_MESSAGE = 10

#: How much less of the processor a worker gets that has been at one call for long.
_NICER = 10


class Died(Exception):
    """The process has ended, or its connection makes no sense any more. The text says how."""


class Process:
    """A worker process. Used by one thread at a time, but for ``kill``."""

    def __init__(self, memory: int) -> None:
        """Start it; ``memory`` is what it may take, in bytes. It gets ready while the caller goes on."""
        ours, theirs = socket.socketpair()
        limit = struct.pack("ll", _MESSAGE, 0)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        with theirs:
            command = [sys.executable, "-m", "gatewayd.worker", str(theirs.fileno()), str(memory)]
            # What a matcher prints is no part of what a command says.
            self._popen = subprocess.Popen(  # noqa: S603  our own interpreter and module
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=sys.__stderr__ or subprocess.DEVNULL
            )
        self._connection = Connection(ours.detach())
        #: It has been at one call for long.
        self.overdue = False
        #: Which code it was started for.
        self.generation = 0

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def send(self, labour: Labour) -> None:
        """Let it work; raises Died."""
        try:
            self._connection.send_bytes(pickle.dumps(labour, 5))
        except OSError as error:
            raise Died(self._how(str(error))) from error

    def receive(self, timeout: float) -> Next | Ended | None:
        """Return its next reply, None where there is none within ``timeout`` seconds; raises Died."""
        try:
            if not self._connection.poll(timeout):
                return None
            reply: Next | Ended = pickle.loads(self._connection.recv_bytes())  # noqa: S301  our own worker's
        except (EOFError, OSError) as error:
            raise Died(self._how(str(error) or "it closed the connection")) from error
        except Exception as error:
            raise Died(f"its answer can't be read: {type(error).__name__}") from error
        return reply

    def _how(self, otherwise: str) -> str:
        with suppress(subprocess.TimeoutExpired):
            code = self._popen.wait(1)
            return f"it was ended by signal {-code}" if code < 0 else f"it exited with {code}"
        return otherwise

    def calm(self) -> None:
        """Let others have the processor first, from now on."""
        self.overdue = True
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self.pid, _NICER)

    def kill(self) -> None:
        """End it at once. Never raises."""
        with suppress(OSError):
            self._popen.kill()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(5)
        with suppress(OSError):
            self._connection.close()
