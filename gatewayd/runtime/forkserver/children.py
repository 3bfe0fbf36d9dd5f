"""The fork server and its children, seen from who asks for them."""

from __future__ import annotations

import atexit
import errno
import fcntl
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.runtime.forkserver.values import ChildRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Child", "close", "fork", "prepare", "signal_name"]

#: Seconds that the server may take for its first child, with all imports, and for each further one, on a busy machine. One that
#: takes longer hangs: it was stopped, say.
_START, _ANSWER = 25.0, 10.0
#: Seconds that it may take to end when nobody can ask it any more.
_END = 5.0
#: And one that has ended, or hangs.
_GONE = 0.5
#: What it imports before it forks: so each child finds the same there, whatever was asked for before.
_PROGRAMS = ("gatewayd.matching.worker", "gatewayd.registry.trial.program")
#: The first number that is not one of the standard files': whoever starts us may have closed those.
_FIRST_FREE = 3
#: How many servers may turn out to be dead: somebody may have ended one.
_TRIES = 2
#: Bytes that it says of one child at once.
_LARGEST = 64


class Child:
    """A process that was forked. Used by one thread at a time, but for ``kill``."""

    def __init__(self, pid: int, status: socket.socket) -> None:
        #: Its process id, which is also that of its group. As long as there is the server, it is nobody else's until ``close``.
        self.pid = pid
        #: Its exit code, or less than zero for the signal that ended it; None while it runs, or where nobody knows.
        self.code: int | None = None
        self._status = status
        self._over = False
        self._let_go_of = False
        self._born = _born(pid)

    def ended(self, seconds: float = 0.0) -> bool:
        """Wait up to so many seconds for its end; return whether it has ended."""
        if not self._over and _readable(self._status, seconds):
            self._over = True
            # Without the server nobody knows its exit code.
            with suppress(OSError, ValueError):
                self.code = int(self._status.recv(_LARGEST))
        return self._over

    def calm(self, by: int) -> None:
        """Let others have the processor first, by so much niceness (setpriority(2))."""
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self.pid, by)

    def kill(self) -> None:
        """End it at once, with what it has forked. From any thread; never raises."""
        # Its number may be somebody else's by now.
        if self._let_go_of or (self._over and self.code is None and _born(self.pid) != self._born):
            return
        # It may have gone to another group.
        for send in (os.killpg, os.kill):
            with suppress(OSError):
                send(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let go of it; if it still runs, it is ended."""
        # The server does it, too, if there still is one.
        self.kill()
        self._let_go_of = True
        self._status.close()


class _Server:
    """The fork server of this process."""

    def __init__(self) -> None:
        self.user = _user()
        self._has_answered = False
        with ExitStack() as ours:
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.callback(near.close)
            with far, socket.socket(fileno=fcntl.fcntl(far, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)) as theirs:
                # Without -P modules of the folder in which we were started would come first. A group of its own: what a terminal
                # sends to those that it sees, it must not get.
                self._popen = subprocess.Popen(  # noqa: S603  our own interpreter and module
                    [sys.executable, "-P", "-m", "gatewayd.runtime.forkserver", str(theirs.fileno()), *_PROGRAMS],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    process_group=0,
                )
            ours.pop_all()
        self._control = near

    def ask(self, request: ChildRequest, files: Sequence[int]) -> Child | None:
        """Return a child, None where the server is there no more, or hangs. Raises OSError where it can't fork."""
        with ExitStack() as stack:
            # Pieces stay pieces: a child may have ended before its id is read.
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.callback(near.close)
            with far, os.fdopen(os.memfd_create("request"), "wb") as file:
                file.write(pickle.dumps(request, 5))
                file.flush()
                os.lseek(file.fileno(), 0, os.SEEK_SET)
                try:
                    socket.send_fds(self._control, [b"."], [far.fileno(), file.fileno(), *files], socket.MSG_DONTWAIT)
                except (ConnectionError, BlockingIOError):
                    return None
            if not _readable(near, _ANSWER if self._has_answered else _START):
                return None
            pid, _, refused = near.recv(_LARGEST).partition(b" ")
            self._has_answered = True
            if refused:
                raise OSError(int(refused), os.strerror(int(refused)))
            if not pid:
                return None
            stack.pop_all()
            return Child(int(pid), near)

    def close(self, seconds: float = _END) -> int | None:
        """Let go of it: it ends when nobody can ask it any more, or is killed. Return its exit code, if it is known."""
        self._control.close()
        # A process that this one has forked is not its parent, and need not wait.
        with suppress(subprocess.TimeoutExpired):
            return self._popen.wait(seconds)
        # It may be stopped.
        self._popen.kill()
        with suppress(subprocess.TimeoutExpired):
            return self._popen.wait(_END)
        return None


def _born(pid: int) -> str:
    """Return what tells a process from a later one of its number (proc(5), stat: starttime); empty where there is none."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""


def signal_name(number: int) -> str:
    """Return the name of a signal that ended a child, such as SIGKILL."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _user() -> tuple[int, ...]:
    return (*os.getresuid(), *os.getresgid())


def _readable(connection: socket.socket, seconds: float) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


_door = threading.Lock()
#: One at most.
_servers: list[_Server] = []


@atexit.register
def close() -> None:
    """Let go of the server: the next child comes from a new one."""
    # Whoever waits for one that hangs must not keep us from ending.
    if _door.acquire(timeout=_END):
        try:
            while _servers:
                _servers.pop().close()
        finally:
            _door.release()


def prepare() -> None:
    """Have the server start, if there is none, while the caller does other things. Raises OSError."""
    with _door:
        _server()


def _server() -> _Server:
    # A process that became another user must not have children of the one that it was.
    if _servers and _servers[0].user != _user():
        _servers.pop().close()
    if not _servers:
        _servers.append(_Server())
    return _servers[0]


def fork(program: str, arguments: Sequence[str], *, files: Sequence[int], heard: bool) -> Child:
    """Return a process that runs ``main`` of a module of gatewayd's, in a group of its own.

    ``main`` is given the numbers that the ``files`` have there, then the ``arguments``. What it prints goes to our standard error
    if it is to be ``heard``. Environment, working folder and umask are ours. Raises OSError where no process can be had.
    """
    request = ChildRequest(program=program, arguments=tuple(arguments))
    with Path(os.devnull).open("wb") as nowhere, _door:
        output = sys.__stderr__ if heard and sys.__stderr__ and not sys.__stderr__.closed else nowhere
        for _ in range(_TRIES):
            child = _server().ask(request, [output.fileno(), *files])
            if child is not None:
                return child
            code = _servers.pop().close(_GONE)
    raise OSError(errno.ECHILD, f"the process that forks them ended or hung {_TRIES} times, at last with exit code {code}")
