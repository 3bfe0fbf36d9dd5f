"""The fork server itself: one thread that forks children, reports how they end, and kills those that were released."""

from __future__ import annotations

import errno
import os
import pickle
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING

from gatewayd.runtime import gc_tuning
from gatewayd.runtime.forkserver.children import kill_group
from gatewayd.runtime.prctl import forbid_dumps, set_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.runtime.forkserver.children import ChildRequest

__all__ = ["main"]

#: The most files with a request: the connection for reports on the child, the request itself, the child's output, and its files.
_FILES = 16


@dataclass(slots=True)
class _Kept:
    """A child, and the connection to the process that asked for it."""

    pid: int
    #: Carries the child's id and exit code; when the other end is closed, the child is killed.
    status: socket.socket
    told: bool = False


class _Server:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._over = False
        #: By the number of ``status``.
        self._kept: dict[int, _Kept] = {}
        #: Children that were killed and have not ended yet.
        self._dying: set[int] = set()
        # The end of a child wakes ``poll`` through this pipe.
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    def serve(self) -> tuple[ChildRequest, list[int]] | None:
        """Fork for each request. Returns in a child: the request and the numbers of its files; in the server: None at the end."""
        while not self._over:
            poll = select.poll()
            for number in (self._woken, self._control.fileno(), *self._kept):
                poll.register(number, select.POLLIN)
            for number, _ in poll.poll():
                if child := self._seen_to(number):
                    return child
        while self._kept:
            self._let_go(self._kept.popitem()[1])
        return None

    def _seen_to(self, number: int) -> tuple[ChildRequest, list[int]] | None:
        if number == self._woken:
            self._tell()
        elif number in self._kept:
            self._let_go(self._kept.pop(number))
        else:
            asked, files, flags, _ = socket.recv_fds(self._control, 1, _FILES, socket.MSG_CMSG_CLOEXEC)
            self._over = not asked
            if flags & socket.MSG_CTRUNC:
                # Too many open files.
                _refuse(files, errno.EMFILE)
            elif asked:
                return self._forked(files)
        return None

    def _forked(self, files: list[int]) -> tuple[ChildRequest, list[int]] | None:
        with os.fdopen(files[1], "rb") as file:
            request: ChildRequest = pickle.load(file)  # noqa: S301  our parent's own bytes
        # Import before the fork, so that all children share the memory.
        import_module(request.program)
        gc_tuning.leave_all()
        begin, told = -1, -1
        try:
            begin, told = os.pipe()
            pid = os.fork()
        except OSError as error:
            _refuse([files[0], *files[2:], *(number for number in (begin, told) if number >= 0)], error.errno or 0)
            return None
        status = socket.socket(fileno=files[0])
        if not pid:
            os.close(told)
            self._become(status, request, files[2])
            if not os.read(begin, 1):
                os._exit(1)
            os.close(begin)
            return request, files[3:]
        for number in (begin, *files[2:]):
            os.close(number)
        self._keep(pid, status, told)
        return None

    def _keep(self, pid: int, status: socket.socket, told: int) -> None:
        # Server and child both do it, so that the child has its group before its id is reported.
        with suppress(OSError):
            os.setpgid(pid, pid)
        self._kept[status.fileno()] = _Kept(pid, status)
        with suppress(OSError):
            status.send(b"%d\n" % pid)
            # The child waits for this. If the server dies before, the asker gets a child with the same files from another
            # server, and this one must not run.
            os.write(told, b".")
        os.close(told)

    def _become(self, status: socket.socket, request: ChildRequest, output: int) -> None:
        """In a child: close all files of the server, and take over the environment of the process that asked for it."""
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for one in (self._control, status, *(kept.status for kept in self._kept.values())):
            one.close()
        for number in (self._woken, self._wake):
            os.close(number)
        for number in (1, 2):
            os.dup2(output, number)
        os.close(output)
        if isinstance(sys.stdout, TextIOWrapper):
            # Its output is read at once, and not lost when it is killed.
            sys.stdout.reconfigure(line_buffering=True)
        os.environ.clear()
        os.environ.update(request.environment)
        time.tzset()
        os.umask(request.umask)
        # If the asker may not enter its own working folder, the server, which it started, is in that folder already.
        with suppress(OSError):
            os.chdir(request.folder)

    def _tell(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._woken, 1 << 16)
        for kept in self._kept.values():
            # It stays a zombie until it is released, so that its id is not used again while it may still get signals.
            ended = None if kept.told else os.waitid(os.P_PID, kept.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended:
                kept.told = True
                code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
                with suppress(OSError):
                    kept.status.send(b"%d\n" % code)
        self._dying = {pid for pid in self._dying if not os.waitpid(pid, os.WNOHANG)[0]}

    def _let_go(self, kept: _Kept) -> None:
        kill_group(kept.pid)
        kept.status.close()
        if not os.waitpid(kept.pid, os.WNOHANG)[0]:
            self._dying.add(kept.pid)


def _refuse(files: Sequence[int], number: int) -> None:
    """Report over the first of the files, if there is one, why there is no child; and close them all."""
    if files:
        with suppress(OSError), socket.socket(fileno=files[0]) as status:
            status.send(b"0 %d\n" % number)
    for one in files[1:]:
        os.close(one)


def main(control: int, programs: Sequence[str]) -> None:
    """Serve until the control connection is closed; in a child, run its program. ``programs`` are imported before any fork."""
    # What it forks is never dumped either.
    forbid_dumps()
    for program in programs:
        import_module(program)
    with socket.socket(fileno=control) as connection:
        child = _Server(connection).serve()
    if child is None:
        return
    request, files = child
    set_name(f"gatewayd.{request.program.removesuffix('.program').rpartition('.')[2]}")
    sys.argv = [request.program, *map(str, files), *request.arguments]
    import_module(request.program).main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        # A plugin may have replaced it.
        with suppress(Exception):
            stream.flush()
    # A normal exit would free all modules, and so copy nearly all of the memory that is shared with the server.
    os._exit(0)
