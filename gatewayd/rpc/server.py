"""Listen at a Unix socket: take one call a connection, and answer it. Few are answered at once, and each has its deadline."""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError, PermanentError, TransientError
from gatewayd.rpc.framing import CALL_BYTES, receive, send
from gatewayd.runtime import journal
from gatewayd.runtime.threads import WorkerThreads, started

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

__all__ = ["RpcServer"]

#: How many calls are answered at once, and how many more may wait in the system's queue.
_THREADS, _BACKLOG = 8, 128
#: Seconds for the call to come, and for its answer to be taken.
_TAKE = 10.0
#: The socket was closed, or shut down, while a thread waited for a connection.
_ENDED = {errno.EBADF, errno.EINVAL}
#: The number of a user whom a user namespace does not know (user_namespaces(7)).
_UNKNOWN = 65534
#: struct ucred (unix(7)): pid, uid and gid.
_UCRED = struct.Struct("3i")


class RpcServer:
    """Serves from its making until ``close``."""

    def __init__(self, path: Path, answer: Callable[[bytes], bytes], *, uids: Collection[int], gid: int | None = None) -> None:
        """Listen at ``path``.

        ``answer``: turns a call into its answer, in any of several threads, and never raises. ``uids``: whose processes may call.
        ``gid``: the group that may connect, besides the own user.

        Raises PermanentError if another process listens there, and TransientError if the socket can't be made.
        """
        self._path = path
        self._answer = answer
        self._uids = frozenset(uids)
        self._gid = gid
        self._sock = _listening(path, gid)
        self._threads = WorkerThreads(_THREADS, "rpc")
        started(self._accept, "rpc-accept")

    def close(self) -> None:
        """Listen no more. What is being answered is not waited for."""
        # It wakes the thread in ``accept``.
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        with suppress(OSError):
            self._path.unlink()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError as error:
                if self._sock.fileno() < 0 or error.errno in _ENDED:
                    return
                # Too many files are open: it passes.
                time.sleep(0.1)
                continue
            try:
                self._threads.submit(self._serve, sock)
            except RuntimeError:
                sock.close()
                return

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            try:
                self._served(sock)
            except TransientError:
                # Who does not say all of a call, or does not take its answer, learns nothing.
                return
            except Exception as error:  # noqa: BLE001  a bug must not end the thread
                journal.own_fault("rpc", error)

    def _served(self, sock: socket.socket) -> None:
        _, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        # With PrivateUsers= (systemd.exec(5)) all users but root and our own have one number: then the group tells, by which they
        # could connect at all.
        if uid not in self._uids and (uid, gid) != (_UNKNOWN, self._gid):
            return
        call = receive(sock, time.monotonic() + _TAKE, most=CALL_BYTES)
        send(sock, self._answer(call), time.monotonic() + _TAKE)


def _listening(path: Path, gid: int | None) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_dead(path)
        # The rights that the file gets at its making (unix(7)): nobody else connects before the group may.
        os.fchmod(sock.fileno(), 0o600)
        sock.bind(str(path))
        if gid is not None:
            # A unit may keep us from giving files away; where the web's group is our own, nothing is to be given.
            if path.stat().st_gid != gid:
                os.chown(path, -1, gid)
            path.chmod(0o660)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise TransientError(f"{path}: the daemon can't listen there: {error.strerror or error}") from error
    except GatewaydError:
        sock.close()
        raise
    return sock


def _remove_dead(path: Path) -> None:
    """Remove the socket of a process that was killed. Raises TransientError if one listens there."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise TransientError(f"{path}: expected a socket, or nothing")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise PermanentError(f"{path}: another daemon listens there", advice="Give each daemon a `web: socket` of its own.")
