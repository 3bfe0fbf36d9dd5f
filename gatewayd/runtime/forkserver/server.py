"""The fork server itself: one thread that forks, tells how children end, and ends those that nobody asks about any more."""

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
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.runtime import gc_tuning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.runtime.forkserver.values import ChildRequest

__all__ = ["main"]

#: How many files come with a request: the connection over which its child is told of, the request itself, what the child prints to,
#: and what it is given.
_FILES = 16


@dataclass(slots=True)
class _Kept:
    """A child, and the connection to who asked for it."""

    pid: int
    #: It is told of the child's id and exit code; once it is closed, the child is ended.
    status: socket.socket
    told: bool = False


class _Server:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._over = False
        #: By the number of ``status``.
        self._kept: dict[int, _Kept] = {}
        #: What was killed and is not gone yet.
        self._dying: set[int] = set()
        # A child that ends wakes us; what else does is in ``poll`` itself.
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    def serve(self) -> tuple[ChildRequest, list[int]] | None:
        """Fork for each request. Return it in the child, with the numbers of its files; and None when all is over."""
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
                # We can't have that many open.
                _refuse(files, errno.EMFILE)
            elif asked:
                return self._forked(files)
        return None

    def _forked(self, files: list[int]) -> tuple[ChildRequest, list[int]] | None:
        with os.fdopen(files[1], "rb") as file:
            request: ChildRequest = pickle.load(file)  # noqa: S301  our parent's own bytes
        # Before the fork, so that its children share it all.
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
        # Both do it: whoever comes first, it has a group of its own when it is told of.
        with suppress(OSError):
            os.setpgid(pid, pid)
        self._kept[status.fileno()] = _Kept(pid, status)
        with suppress(OSError):
            status.send(b"%d\n" % pid)
            # Where we die before, the asker asks another server for a child that has the same files: there must not be two.
            os.write(told, b".")
        os.close(told)

    def _become(self, status: socket.socket, request: ChildRequest, output: int) -> None:
        """Let go, in a child, of all that is the server's, and take over what is the asker's."""
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
            # What it prints is read at once, and not lost when it is killed.
            sys.stdout.reconfigure(line_buffering=True)
        os.environ.clear()
        os.environ.update(request.environment)
        time.tzset()
        os.umask(request.umask)
        # The asker may be in a folder that it may not enter: then the server, which it started, is in it.
        with suppress(OSError):
            os.chdir(request.folder)

    def _tell(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._woken, 1 << 16)
        for kept in self._kept.values():
            # It stays a zombie until it is let go of: so its number is nobody else's as long as somebody may send it a signal.
            ended = None if kept.told else os.waitid(os.P_PID, kept.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended:
                kept.told = True
                code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
                with suppress(OSError):
                    kept.status.send(b"%d\n" % code)
        self._dying = {pid for pid in self._dying if not os.waitpid(pid, os.WNOHANG)[0]}

    def _let_go(self, kept: _Kept) -> None:
        # It may have gone to another group.
        for send in (os.killpg, os.kill):
            with suppress(OSError):
                send(kept.pid, signal.SIGKILL)
        kept.status.close()
        if not os.waitpid(kept.pid, os.WNOHANG)[0]:
            self._dying.add(kept.pid)


def _refuse(files: Sequence[int], number: int) -> None:
    """Say why there is no child, over the first of the files, if they came at all; and let go of them."""
    if files:
        with suppress(OSError), socket.socket(fileno=files[0]) as status:
            status.send(b"0 %d\n" % number)
    for one in files[1:]:
        os.close(one)


def main(control: int, programs: Sequence[str]) -> None:
    """Serve until nobody can ask any more; in a child, be the program that was asked for. All find the ``programs`` imported."""
    for program in programs:
        import_module(program)
    with socket.socket(fileno=control) as connection:
        child = _Server(connection).serve()
    if child is None:
        return
    request, files = child
    # What ps(1) and top(1) call it, who show 15 characters (proc_pid_comm(5)).
    with suppress(OSError):
        Path("/proc/self/comm").write_text(f"gatewayd.{request.program.removesuffix('.program').rpartition('.')[2]}")
    sys.argv = [request.program, *map(str, files), *request.arguments]
    import_module(request.program).main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        # It may be a plugin's.
        with suppress(Exception):
            stream.flush()
    # Python would take apart all that was imported, and so copy nearly all of the memory that is shared with the server.
    os._exit(0)
