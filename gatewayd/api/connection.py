"""A connection to a server, for any protocol. Each step on it has one deadline as a whole, and a bound in bytes.

A socket's own timeout restarts with each byte, so a server that sends a byte a second never exceeds it. A ``Connection`` has
the methods that imaplib, poplib and smtplib call on a socket: ``makefile``, ``recv``, ``sendall``, ``shutdown`` and ``close``.
"""

from __future__ import annotations

import io
import math
import socket
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gatewayd.api.hosts import Deadline, looked_up, reached
from gatewayd.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatewayd.api.hosts import Peer

__all__ = ["ANSWER_BYTES", "LEAST_RATE", "Connection"]

#: The lowest rate at which data may move after a step's first seconds, in bytes per second.
LEAST_RATE = 8 << 10
#: How many bytes may arrive in one step, by default.
ANSWER_BYTES = 4 << 20
_PIECE = 1 << 16
#: In how many pieces data may arrive: ``_PIECES`` over the whole connection, and one more for each ``_LEAST_PIECE`` bytes. TLS
#: returns each record by itself, and a record may hold a single byte.
_PIECES, _LEAST_PIECE = 50_000, 32
#: The step from the look-up of the host to the log-in.
_CONNECT = "connect"
_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Connection:
    """A connection, plain or in TLS. It is used by one thread at a time, except for ``cut``.

    Its methods raise the errors of sockets and TLS (see ``socket_errors``), and TransientError if a step exceeds its bounds.
    """

    def __init__(
        self,
        server: Peer,
        port: int,
        context: ssl.SSLContext | None = None,
        *,
        most: float = math.inf,
        made: Callable[[Connection], object] = lambda _: None,
    ) -> None:
        """Connect, with TLS from the first byte if there is a ``context``.

        It connects to no address but those that ``server.permitted`` returns. ``made`` is called with the connection before it
        connects, so that another thread can cut it meanwhile.
        This begins a step of ``server.timeout`` in all, and at most ``most`` seconds, including the look-up of the host's name. The
        protocol's log-in belongs to the same step.
        """
        self._server = server
        self.where = f"{server.host}:{port}"
        #: How many bytes arrived in all.
        self.total = self._pieces = 0
        self._sock: socket.socket | None = None
        self._cut = False
        #: Something arrived: the server does not wait for us to speak first.
        self._greeted = False
        self._waiting = True
        self.step(_CONNECT, rate=0, most=most)
        made(self)
        try:
            self._sock = self._connected(port)
            if context:
                self.start_tls(context)
        except BaseException:
            self.close()
            raise

    def step(
        self,
        what: str,
        *,
        seconds: float | None = None,
        rate: int = LEAST_RATE,
        most: float = math.inf,
        limit: int = ANSWER_BYTES,
    ) -> None:
        """Begin a step, which ``what`` names in errors. It may take ``seconds`` (default: the server's ``timeout``).

        Each n bytes that move extend it by n / ``rate`` seconds, but never to more than ``seconds`` from now: so a long step has a
        lowest rate, and one that stalls ends. With ``rate=0`` nothing extends it. It never lasts longer than ``most`` seconds in
        all. At most ``limit`` bytes may arrive.
        """
        self._what = what
        self._seconds = min(self._server.timeout if seconds is None else seconds, most)
        self._rate, self._limit = rate, limit
        self._came = 0
        self._last = time.monotonic() + most
        self._until = time.monotonic() + self._seconds
        self._waiting = True

    @property
    def room(self) -> int:
        """How many bytes may still arrive in this step."""
        return max(0, self._limit - self._came)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Start TLS, within the present step. Files from ``makefile`` are of no use afterwards."""
        # Set before the handshake, so that ``cut`` can end it.
        self._sock = wrapped = context.wrap_socket(
            self._open(), server_hostname=self._server.host.rstrip("."), do_handshake_on_connect=False
        )
        self._arm()
        try:
            wrapped.do_handshake()
        except TimeoutError:
            raise self._late() from None
        self._greeted = True

    @property
    def certificate(self) -> Mapping[str, Any]:
        """The fields of the server's trusted certificate, as ``ssl`` returns them; empty without TLS."""
        return (self._sock.getpeercert() or {}) if isinstance(self._sock, ssl.SSLSocket) else {}

    # --- what libraries ask of a socket -----------------------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        """Return up to ``size`` bytes; none at the stream's end."""
        sock, size = self._arm(), self._most(size)
        try:
            piece = sock.recv(size)
        except TimeoutError:
            raise self._late() from None
        self._count(len(piece))
        return piece

    def recv_into(self, buffer: bytearray | memoryview) -> int:
        """Read into a buffer, and return the number of bytes; 0 at the stream's end."""
        sock, size = self._arm(), self._most(len(buffer))
        try:
            count = sock.recv_into(memoryview(buffer)[:size])
        except TimeoutError:
            raise self._late() from None
        self._count(count)
        return count

    def sendall(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, piece by piece, so that a server that takes them slowly meets the deadline."""
        view = memoryview(data)
        while view:
            view = view[self.send(view[:_PIECE]) :]

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Send some of the bytes; return how many."""
        sock = self._arm()
        try:
            count = sock.send(data)
        except TimeoutError:
            raise self._late() from None
        self._moved(count)
        return count

    def makefile(self, mode: str = "rb", *, size: int = io.DEFAULT_BUFFER_SIZE) -> io.BufferedReader:
        """Return a reader that reads up to ``size`` bytes at once. Closing it does not close the connection."""
        del mode
        return io.BufferedReader(_Reader(self), size)

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001  as sockets have it
        """With False, do not wait until the next ``step``: reading without data raises BlockingIOError, or its like in TLS."""
        self._waiting = flag
        self._open().setblocking(flag)

    def fileno(self) -> int:
        """Return the file descriptor, for selectors; -1 if closed."""
        return self._sock.fileno() if self._sock else -1

    def getsockname(self) -> tuple[str, int]:
        """Return our own address and port."""
        host, port, *_ = self._open().getsockname()
        return str(host), int(port)

    def shutdown(self, how: int) -> None:
        """End one or both directions."""
        self._open().shutdown(how)

    def close(self) -> None:
        """Close the connection without saying goodbye. Never raises."""
        sock, self._sock = self._sock, None
        if sock is not None:
            with suppress(OSError):
                sock.close()

    def cut(self) -> None:
        """Break the connection while another thread uses it; that thread's step ends at once. Never raises."""
        self._cut = True
        sock = self._sock
        if sock is not None:
            with suppress(OSError):
                # SSLSocket's own shutdown first drops TLS, and the other thread could then send in plain text.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    # --- bounds -----------------------------------------------------------------------------------------------------

    def _connected(self, port: int) -> socket.socket:
        """Return a socket connected to the first of the host's addresses that answers. The look-up is part of the step."""
        until = Deadline(self._until, lambda: self._cut)
        try:
            places = looked_up(self._server.host, port, until)
        except TimeoutError:
            text = f"{self.where}: the host was not found within {round(self._seconds, 1):g} s: no name server answers"
            raise TransientError(text, advice="See to the name server of this machine (resolv.conf).") from None
        try:
            sock = reached(self._server.permitted(places), until)
        except TimeoutError:
            raise self._late() from None
        # The second piece of a command must not wait until the first is acknowledged.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise self._late()
        return left

    def _moved(self, size: int) -> None:
        if self._rate:
            self._until = min(self._until + size / self._rate, time.monotonic() + self._seconds, self._last)

    def _open(self) -> socket.socket:
        if self._cut:
            raise ConnectionAbortedError("it was aborted")
        if self._sock is None:
            raise BrokenPipeError("it is closed")
        return self._sock

    def _arm(self) -> socket.socket:
        """Return the socket, with the rest of the step as its timeout."""
        sock = self._open()
        if self._waiting:
            sock.settimeout(self._left())
        return sock

    def _most(self, size: int) -> int:
        """Return how much of ``size`` may be read now."""
        if self._waiting and not self.room:
            raise TransientError(
                f"{self.where}: {self._what}: more than {self._limit} bytes came, which is the bound of this step",
                advice="If it lasts, the server is faulty or is none of this protocol.",
            )
        return min(size, self.room) if self._waiting else size

    def _count(self, came: int) -> None:
        self._came += came
        self.total += came
        self._pieces += 1
        if self._pieces > _PIECES + self.total // _LEAST_PIECE:
            raise TransientError(
                f"{self.where}: {self._what}: {self.total} bytes came in {self._pieces} pieces",
                advice="If it lasts, the server is faulty: it sends byte by byte.",
            )
        self._moved(came)
        self._greeted = self._greeted or came > 0

    def _late(self) -> TransientError:
        text = f"{self.where}: {self._what}: no answer within {round(self._seconds, 1):g} s"
        advice = "Check host, port and firewall; raise `timeout` if the server is slow."
        if self._came:
            more = f" and a second more for each {self._rate} bytes" if self._rate else ""
            text = (
                f"{self.where}: {self._what}: no whole answer within {round(self._seconds, 1):g} s{more}, only {self._came} bytes"
            )
            advice = "Raise `timeout` if the server is slow."
        elif self._sock and self._what == _CONNECT and not self._greeted and self._server.security != "tls":
            advice = f"Perhaps the port speaks TLS from the first byte: then use `security: tls`. Else: {advice}"
        return TransientError(text, advice=advice)


class _Reader(io.RawIOBase):
    """Reads from a connection, as a file."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]  # io hands in a memoryview
        """See ``Connection.recv_into``; None if there is no data yet and the connection does not wait."""
        try:
            return self._connection.recv_into(buffer)
        except _NOTHING_YET:
            return None
