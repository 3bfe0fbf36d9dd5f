"""One connection under http.client: to a judged address only, with a limit on each step, on the whole, and on what is read."""

from __future__ import annotations

import io
import socket
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd import TransientError, tls_context
from gatewayd_webhook.addresses import is_public, resolved
from gatewayd_webhook.faults import errors, private

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from gatewayd_webhook.options import WebhookOptions

__all__ = ["Line"]

_PIECE = 1 << 16
#: How much of one answer is read, headers and all: nobody needs more, and memory is ours.
_MAX_ANSWER = 1 << 16


class Line:
    """A connection to the server, with what http.client asks of a socket. Used by one thread, but for ``cut``."""

    def __init__(self, options: WebhookOptions) -> None:
        self._options = options
        self._sock: socket.socket | None = None
        self._cut = False
        self._until = 0.0
        self._room = 0
        self._ended = False

    def begin(self) -> None:
        """Begin a request: from now on the deadline runs. Connects where there is no connection of use.

        Raises AuthError, TransientError, or ConfigError for an unusable ``ca_file``.
        """
        self._until = time.monotonic() + self._options.deadline
        self._room = _MAX_ANSWER
        if self._ended or not self._alive():
            self.drop()
            self._connected()

    def _alive(self) -> bool:
        """Whether the other side keeps the connection open and silent: an answer to nothing is none of ours."""
        sock = self._sock
        if sock is None:
            return False
        sock.settimeout(0)
        try:
            sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def _connected(self) -> None:
        try:
            with errors(self._options):
                self._connect()
        except BaseException:
            self.drop()
            raise

    def _connect(self) -> None:
        options = self._options
        context = tls_context(options.ca_file) if options.parts.scheme == "https" else None
        found = [place for place in resolved(options.host, options.port) if options.may_be_private or is_public(place[1])]
        if not found:
            raise private(options)
        sock = self._reached(found)
        if context:
            # Kept before the handshake, which ``cut`` must be able to end.
            self._sock = sock = context.wrap_socket(sock, server_hostname=options.host.rstrip("."), do_handshake_on_connect=False)
            self._step(sock)
            sock.do_handshake()

    def _reached(self, found: list[tuple[socket.AddressFamily, IPv4Address | IPv6Address]]) -> socket.socket:
        """Return a connection to the first of these addresses that answers."""
        refusal: OSError = TimeoutError()
        for family, address in found:
            sock = self._sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                self._step(sock)
                sock.connect((str(address), self._options.port))
            except OSError as error:
                sock.close()
                self._sock = None
                refusal = error
                continue
            # A request is two writes, headers and body: the second must not wait until the first is confirmed.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        raise refusal

    def _step(self, sock: socket.socket) -> None:
        """Give the next step its time: that of a step, or what is left of the whole."""
        if self._cut:
            raise TransientError(f"{self._options.where}: the connection was aborted")
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(min(left, self._options.timeout))

    # --- what http.client asks for ------------------------------------------------------------------------------------

    def sendall(self, data: bytes) -> None:
        """Send bytes, piece by piece: a server that takes them drop by drop meets the deadline."""
        sock = self._open()
        view = memoryview(data)
        while view:
            self._step(sock)
            view = view[sock.send(view[:_PIECE]) :]

    def receive(self, buffer: memoryview) -> int:
        """Fill a buffer with what comes, and return how much it was; 0 at the end."""
        if not self._room:
            raise ValueError(f"an answer of more than {_MAX_ANSWER} bytes")
        sock = self._open()
        self._step(sock)
        count = sock.recv_into(buffer[: self._room])
        self._room -= count
        return count

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a reader of one answer; what http.client does to it, it does not do to the connection."""
        del mode
        return io.BufferedReader(_Answer(self))

    def close(self) -> None:
        """Take note that the connection is of no use any more: it is dropped before the next request, or at the end."""
        self._ended = True

    def _open(self) -> socket.socket:
        if self._sock is None:
            raise BrokenPipeError("there is no connection")
        return self._sock

    # --- the end ------------------------------------------------------------------------------------------------------

    def drop(self) -> None:
        """Close the connection. Never raises."""
        sock, self._sock, self._ended = self._sock, None, False
        if sock is not None:
            with suppress(OSError):
                sock.close()

    def cut(self) -> None:
        """Break the connection under what another thread does with it. Never raises, and none is made anew after it."""
        self._cut = True
        sock = self._sock
        if sock is not None:
            with suppress(OSError):
                # Not SSLSocket's own, which first lets go of TLS: the other thread could send a last word in plain text.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Answer(io.RawIOBase):
    """One answer, as a file."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # io hands in a memoryview
        """See ``Line.receive``."""
        return self._line.receive(buffer)
