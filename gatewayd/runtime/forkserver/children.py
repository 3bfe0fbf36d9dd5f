"""Ask the fork server for child processes, wait for their end, and kill them."""

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
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Child", "ChildRequest", "close", "fork", "kill_group", "prepare", "signal_name"]

#: Seconds that the server may take for its first child, with all imports, and for each further one, on a busy machine. If it
#: takes longer, it hangs: it may have been stopped.
_START, _ANSWER = 25.0, 10.0
#: Seconds that it may take to end once its control connection is closed.
_END = 5.0
#: The same for a server that has ended already, or hangs.
_GONE = 0.5
#: The modules that it imports before it forks, so that each child finds the same modules, whatever ran before.
_PROGRAMS = ("gatewayd.matching.worker", "gatewayd.registry.trial.program")
#: The first file number after the standard files, which may be closed in our process.
_FIRST_FREE = 3
#: How many servers ``fork`` tries: one may have been killed.
_TRIES = 2
#: The largest message about a child, in bytes.
_LARGEST = 64


def _folder() -> str:
    with suppress(OSError):
        return str(Path.cwd())
    # The folder was deleted; the server's working folder is the same one.
    return "."


def _umask() -> int:
    # umask(2) can't read it without changing it. Kernels before 4.7 don't have the line.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.partition(":")[2], 8) for line in lines if line.startswith("Umask:")), 0o022)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRequest:
    """A request for one child: its program, and the state of our process that it takes over."""

    #: A module of gatewayd's with a function ``main``, which gets the numbers of the files, then the other arguments.
    program: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    folder: str = field(default_factory=_folder)
    umask: int = field(default_factory=_umask)


def kill_group(pid: int) -> None:
    """Kill a child with its group. Never raises."""
    # The child may have moved to another group.
    for send in (os.killpg, os.kill):
        with suppress(OSError):
            send(pid, signal.SIGKILL)


class Child:
    """A process that was forked. Used by one thread at a time, but for ``kill``."""

    def __init__(self, pid: int, status: socket.socket) -> None:
        #: Its process id, which is also that of its group. While the server runs, the id is not used again before ``close``.
        self.pid = pid
        #: Its exit code, or the negative number of the signal that ended it; None while it runs, or if that is unknown.
        self.code: int | None = None
        self._status = status
        self._over = False
        self._let_go_of = False
        self._life = _life(pid)

    def ended(self, seconds: float = 0.0) -> bool:
        """Wait up to so many seconds for its end; return whether it has ended."""
        if not self._over and _readable(self._status, seconds):
            self._over = True
            # If the server has ended, the exit code is unknown.
            with suppress(OSError, ValueError):
                self.code = int(self._status.recv(_LARGEST))
        return self._over

    def calm(self, by: int) -> None:
        """Lower its scheduling priority, by this niceness (setpriority(2))."""
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self.pid, by)

    def kill(self) -> None:
        """Kill it with the processes that it forked. May be called from any thread; never raises."""
        # The process id may belong to another process by now.
        if self._let_go_of or (self._over and self.code is None and _is_over(self._life)):
            return
        kill_group(self.pid)

    def close(self) -> None:
        """Release it; if it still runs, it is killed."""
        # The server does the same, if it still runs.
        self.kill()
        self._let_go_of = True
        self._status.close()
        if self._life is not None:
            self._life.close()


class _Server:
    """The fork server of this process."""

    def __init__(self) -> None:
        self.user = (*os.getresuid(), *os.getresgid())
        self._has_answered = False
        with ExitStack() as ours:
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.callback(near.close)
            with far, socket.socket(fileno=fcntl.fcntl(far, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)) as theirs:
                # Without -P, modules in the working folder would come first. In a group of its own, it gets no signals from a
                # terminal.
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
        """Return a child, or None if the server has ended or hangs. Raises OSError if it can't fork."""
        with ExitStack() as stack:
            # Keeps messages apart: the child may have ended before its id is read.
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
        """Close its control connection, at which it ends, and kill it if it does not. Return its exit code, if known."""
        self._control.close()
        # In a fork of this process, which is not the server's parent, this returns at once.
        with suppress(subprocess.TimeoutExpired):
            return self._popen.wait(seconds)
        # It may have been stopped by a signal.
        self._popen.kill()
        with suppress(subprocess.TimeoutExpired):
            return self._popen.wait(_END)
        return None


def _life(pid: int) -> FileIO | None:
    """Return a file that becomes readable when a process ends (pidfd_open(2)); None if it has ended, or the kernel has none.

    Its start time in /proc would tell as much, but a unit with ProtectProc= shows no process that can't be dumped.
    """
    try:
        return FileIO(os.pidfd_open(pid))
    except OSError:
        return None


def _is_over(life: FileIO | None) -> bool:
    try:
        return life is None or _readable(life, 0.0)
    except ValueError:
        # Another thread has closed it.
        return True


def signal_name(number: int) -> str:
    """Return the name of a signal that ended a child, such as SIGKILL."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _readable(connection: socket.socket | FileIO, seconds: float) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


_lock = threading.Lock()
#: At most one server.
_servers: list[_Server] = []


@atexit.register
def close() -> None:
    """Close the server: the next child comes from a new one."""
    # Another thread may hold the lock while it waits for a server that hangs; that must not keep this process from ending.
    if _lock.acquire(timeout=_END):
        try:
            while _servers:
                _servers.pop().close()
        finally:
            _lock.release()


def prepare() -> None:
    """Start the server in the background, unless it runs already. Raises OSError."""
    with _lock:
        _server()


def _server() -> _Server:
    # After this process became another user, its children must not run as the former one.
    if _servers and _servers[0].user != (*os.getresuid(), *os.getresgid()):
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
    with Path(os.devnull).open("wb") as nowhere, _lock:
        output = sys.__stderr__ if heard and sys.__stderr__ and not sys.__stderr__.closed else nowhere
        for _ in range(_TRIES):
            child = _server().ask(request, [output.fileno(), *files])
            if child is not None:
                return child
            code = _servers.pop().close(_GONE)
    raise OSError(errno.ECHILD, f"the process that forks them ended or hung {_TRIES} times, at last with exit code {code}")
