"""HTTP/1.1 over TLS (RFC 9112), fast: each connection has a thread, which reads requests and answers them, or fails to."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from typing import Self

__all__ = ["HttpsListener", "ServedConnection", "ServedRequest", "ServedResponse"]

_PIECE = 1 << 16
#: Bounds in bytes. Graph itself takes no request above 4 MB: the rest is read to be refused by HTTP's means.
_MAX_HEAD, _MAX_BODY = 1 << 16, 64 << 20
#: How often a stalled connection is checked for a client that has gone, in seconds.
_CHECK = 0.02
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_BODYLESS = {204, 304}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRequest:
    """One request, read as a whole."""

    method: str
    #: Path and query, as they came.
    target: str
    #: By their names in lower case.
    headers: Mapping[str, str]
    body: bytes = b""
    #: The port that it came to.
    port: int = 0


@dataclass(slots=True, kw_only=True)
class ServedResponse:
    """One response, with ``Content-Length``, or in chunks (RFC 9112 section 7.1) of at most 64 KiB."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunked: bool = False

    def encoded(self) -> bytes:
        """Return its bytes."""
        lines = [f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        body = self.body
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
            pieces = (body[start : start + _PIECE] for start in range(0, len(body), _PIECE))
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        elif self.status not in _BODYLESS:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class ServedConnection:
    """One connection of a client. Its methods are called in its own thread, except for ``break_off``."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, stopping: threading.Event) -> None:
        """Raises OSError if the client has gone already."""
        # The handshake comes later, in the connection's thread, so that ``break_off`` can end it.
        self._sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._stopping = stopping
        self._came = bytearray()
        self.port = int(self._sock.getsockname()[1])
        self.is_open = True

    def requests(self) -> Iterator[ServedRequest]:
        """Yield request after request until either side closes the connection."""
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError, EOFError, ValueError):
            self._sock.do_handshake()
            while self.is_open:
                request = self._request()
                yield request
                self.is_open = self.is_open and request.headers.get("connection", "").lower() != "close"

    def send(self, response: ServedResponse) -> None:
        """Send a response whole."""
        self._send(response.encoded())

    def send_half(self, response: ServedResponse) -> None:
        """Send a response up to the middle of its body. The connection is of no use afterwards."""
        data = response.encoded()
        head = data.index(b"\r\n\r\n") + 4
        self._send(data[: head + (len(data) - head) // 2])
        self.is_open = False

    def reset(self) -> None:
        """Break the connection by a TCP reset."""
        with suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.is_open = False

    def stall(self) -> None:
        """Send nothing until the client has gone, or the server ends."""
        while not self._stopping.wait(_CHECK):
            with suppress(BlockingIOError):
                # Below TLS: any byte is that of a client that says goodbye, since it waits for its answer.
                socket.socket.recv(self._sock, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                break
        self.is_open = False

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than the server runs."""
        self._stopping.wait(seconds)

    def close(self) -> None:
        """Close the connection."""
        self.is_open = False
        with suppress(OSError):
            self._sock.close()

    def break_off(self) -> None:
        """End what the connection's thread waits for."""
        with suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def _send(self, data: bytes) -> None:
        try:
            self._sock.sendall(data)
        except OSError:
            self.is_open = False

    def _request(self) -> ServedRequest:
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        method, target, _version = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if headers.get("expect", "").lower() == "100-continue":
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return ServedRequest(method=method, target=target, headers=headers, body=self._body(headers), port=self.port)

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self._exactly(int(headers.get("content-length", "0")))
        body = bytearray()
        while size := int(self._until(b"\r\n").partition(b";")[0], 16):
            body += self._exactly(size + 2)[:-2]
            if len(body) > _MAX_BODY:
                raise ValueError("a body beyond all bounds")
        while self._until(b"\r\n"):
            pass
        return bytes(body)

    def _until(self, end: bytes) -> bytes:
        start = 0
        while (at := self._came.find(end, start)) < 0:
            if len(self._came) > _MAX_HEAD:
                raise ValueError("a head beyond all bounds")
            start = max(0, len(self._came) - len(end))
            self._receive()
        found = bytes(self._came[:at])
        del self._came[: at + len(end)]
        return found

    def _exactly(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_BODY:
            raise ValueError("a body beyond all bounds")
        while len(self._came) < size:
            self._receive()
        found = bytes(self._came[:size])
        del self._came[:size]
        return found

    def _receive(self) -> None:
        piece = self._sock.recv(_PIECE)
        if not piece:
            raise EOFError
        self._came += piece


class HttpsListener:
    """Listens on a port of its own; ``serve`` is called for each request, in the thread of its connection."""

    def __init__(self, context: ssl.SSLContext, serve: Callable[[ServedRequest, ServedConnection], None]) -> None:
        self._context = context
        self._serve = serve
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[ServedConnection, threading.Thread] = {}

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name="graph-listener", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        # Closing alone would not wake the thread that waits for connections.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        self.break_connections()
        for thread in self._threads():
            thread.join(60)

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return len(self._threads())

    def break_connections(self) -> None:
        """Break every connection; new ones are taken."""
        with self._lock:
            connections = [*self._open]
        for connection in connections:
            connection.break_off()

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return [*self._open.values()]

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._stopping.is_set():
                self._start(self._socket.accept()[0])

    def _start(self, sock: socket.socket) -> None:
        with suppress(OSError):
            connection = ServedConnection(sock, self._context, self._stopping)
            thread = threading.Thread(target=self._run, args=[connection], name="graph-connection", daemon=True)
            with self._lock:
                self._open[connection] = thread
            thread.start()

    def _run(self, connection: ServedConnection) -> None:
        try:
            for request in connection.requests():
                self._serve(request, connection)
        finally:
            connection.close()
            with self._lock:
                del self._open[connection]
