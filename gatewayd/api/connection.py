"""One connection to a server. Each step on it has one deadline as a whole, and a bound in bytes. It knows no protocol.

A socket's own timeout begins anew with each byte: a server that sends a byte a second never meets it. A ``Connection`` has
what imaplib, poplib and smtplib ask of a socket: ``makefile``, ``recv``, ``sendall``, ``shutdown`` and ``close``.
"""

from __future__ import annotations

import io
import math
import socket
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from gatewayd.api.hosts import Deadline, looked_up, reached
from gatewayd.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.api.hosts import HostAddress, Peer

    Choose: TypeAlias = Callable[[Sequence[HostAddress]], Sequence[HostAddress]]

__all__ = ["ANSWER_BYTES", "LEAST_RATE", "Connection"]

#: The slowest that data may move, in bytes a second, when a step's first seconds are over.
LEAST_RATE = 8 << 10
#: How many bytes may come in one step that does not say otherwise.
ANSWER_BYTES = 4 << 20
_PIECE = 1 << 16
#: In how many pieces that may come: so many over the whole connection, and one more for each so many bytes. TLS hands each record
#: on by itself, and one may hold a single byte.
_PIECES, _LEAST_PIECE = 50_000, 32
#: The step that begins with the look-up of the host and ends with the log-in.
_CONNECT = "connect"
_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Connection:
    """A connection, plain or in TLS. Used by one thread at a time, but for ``cut``.

    Its methods raise what sockets and TLS raise (see ``socket_errors``), and TransientError where a step meets its bounds.
    """

    def __init__(
        self,
        server: Peer,
        port: int,
        context: ssl.SSLContext | None = None,
        *,
        choose: Choose = lambda places: places,
        made: Callable[[Connection], object] = lambda _: None,
    ) -> None:
        """Connect, with TLS from the first byte if there is a context.

        ``choose`` says which of the host's addresses are tried. ``made`` is told of the connection before, so that another thread
        can cut it while it is made.

        This begins a step of ``server.timeout`` in all, the look-up of the host's name included, which a protocol goes on with
        until its log-in is done.
        """
        self._server = server
        self.where = f"{server.host}:{port}"
        #: How many bytes came since it was made.
        self.total = self._pieces = 0
        self._sock: socket.socket | None = None
        self._cut = False
        #: Something came: it is no server that waits for us to speak first.
        self._greeted = False
        self._waiting = True
        self.step(_CONNECT, rate=0)
        made(self)
        try:
            self._sock = self._connected(port, choose)
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
        """Begin a step. It may take ``seconds`` (default: the server's ``timeout``), and what moves lengthens that.

        Each n bytes give n / ``rate`` seconds more, but never are more than ``seconds`` left: so a long step has a least rate, and
        one that stalls ends; ``rate=0``: nothing lengthens it. ``most``: nothing lengthens it beyond so many seconds in all. At
        most ``limit`` bytes may come. ``what`` names it in errors.
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
        """How many bytes may still come in this step."""
        return max(0, self._limit - self._came)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on in TLS, within the step that was begun. Files made before are of no use any more."""
        # Kept before the handshake, which ``cut`` must be able to end.
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
        """What the server's trusted certificate says, as ``ssl`` reads it; empty without TLS."""
        return (self._sock.getpeercert() or {}) if isinstance(self._sock, ssl.SSLSocket) else {}

    # --- what libraries ask of a socket -----------------------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        """Return up to ``size`` bytes that came; none at the stream's end."""
        sock, size = self._arm(), self._most(size)
        try:
            piece = sock.recv(size)
        except TimeoutError:
            raise self._late() from None
        self._count(len(piece))
        return piece

    def recv_into(self, buffer: bytearray | memoryview) -> int:
        """Fill a buffer with what came, and return how much that is; 0 at the stream's end."""
        sock, size = self._arm(), self._most(len(buffer))
        try:
            count = sock.recv_into(memoryview(buffer)[:size])
        except TimeoutError:
            raise self._late() from None
        self._count(count)
        return count

    def sendall(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, piece by piece: a server that takes them drop by drop meets the deadline."""
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

    def makefile(self, mode: str = "rb") -> io.BufferedReader:
        """Return a reader of what comes. To close it does nothing to the connection."""
        del mode
        return io.BufferedReader(_Reader(self))

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001  as sockets have it
        """With False: wait for nothing until the next ``step``; what has not come yet is a BlockingIOError or its like in TLS."""
        self._waiting = flag
        self._open().setblocking(flag)

    def fileno(self) -> int:
        """Return what a selector waits on; -1 when it is closed."""
        return self._sock.fileno() if self._sock else -1

    def getsockname(self) -> tuple[str, int]:
        """Return our own address and port."""
        host, port, *_ = self._open().getsockname()
        return str(host), int(port)

    def shutdown(self, how: int) -> None:
        """End one or both directions."""
        self._open().shutdown(how)

    def close(self) -> None:
        """Close it without a word. Never raises."""
        sock, self._sock = self._sock, None
        if sock is not None:
            with suppress(OSError):
                sock.close()

    def cut(self) -> None:
        """Break it under whatever another thread does with it; that thread's step ends at once. Never raises."""
        self._cut = True
        sock = self._sock
        if sock is not None:
            with suppress(OSError):
                # Not SSLSocket's own: that one first lets go of TLS, so that the other thread could send a last word in plain text.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    # --- bounds -----------------------------------------------------------------------------------------------------

    def _connected(self, port: int, choose: Choose) -> socket.socket:
        """Return a connection to the first of the host's addresses that answers; the look-up is within the step, too."""
        until = Deadline(self._until, lambda: self._cut)
        try:
            places = looked_up(self._server.host, port, until)
        except TimeoutError:
            text = f"{self.where}: the host was not found within {round(self._seconds, 1):g} s: no name server answers"
            raise TransientError(text, advice="See to the name server of this machine (resolv.conf).") from None
        try:
            sock = reached(choose(places), until)
        except TimeoutError:
            raise self._late() from None
        # A command that is sent in two pieces must not wait until the first is acknowledged.
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
        """Return the socket, with what is left of the step as its timeout."""
        sock = self._open()
        if self._waiting:
            sock.settimeout(self._left())
        return sock

    def _most(self, size: int) -> int:
        """Return how much of ``size`` may come now."""
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
    """What comes, as a file."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]  # io hands in a memoryview
        """See ``Connection.recv_into``; None where nothing has come yet, and nothing is waited for."""
        try:
            return self._connection.recv_into(buffer)
        except _NOTHING_YET:
            return None
