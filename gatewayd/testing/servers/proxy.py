"""A TCP proxy between a client under test and a real server, which breaks the connection on demand."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import islice, repeat
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Literal

from gatewayd.testing.renamed import renamed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Self

__all__ = ["FaultProxy", "StreamFault", "free_ports"]

_CHUNK = 1 << 16
#: Ports below are the administrator's (ip(7), ip_unprivileged_port_start).
_PRIVILEGED = 1024
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
#: Not the module's own generator: a test may have seeded it, as others have in other processes.
_RANDOM = SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFault:
    """What goes wrong on each connection, once the server has sent ``after`` bytes on it."""

    #: ``cut``: the stream ends. ``reset``: TCP reset. ``silence``: nothing more comes, and nothing is closed.
    #: ``garbage``: these bytes come in place of the server's, then the stream ends.
    do: Literal["cut", "reset", "silence", "garbage"]
    after: int = 0
    garbage: bytes = b"\x00\xff\x80 garbage \r\n{99999999999999999999}\r\n"


@dataclass(slots=True)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    number: int = 0
    #: Bytes of the server's that went to the client.
    sent: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class FaultProxy:
    """Forwards to ``host:port``; use it as a context manager. What is set on it holds from then on, live.

    Its own thread runs an event loop. ``on_bytes`` and faults fire at exact places in the server's stream.
    """

    def __init__(
        self, host: str, port: int, *, address: str = "127.0.0.1", fault: StreamFault | None = None, latency: float = 0.0
    ) -> None:
        self._target = (host, port)
        self._address = address
        self.fault = fault
        #: Seconds that each piece from the server is held back.
        self.latency = latency
        #: How many connections a fault has struck so far.
        self.struck = 0
        #: Whether ``sent_by_clients`` is kept.
        self.record = False
        #: Told of each piece before it goes on, in the proxy's thread: the connection's number, and who sent it.
        self.hear: Callable[[int, Literal["client", "server"], bytes], None] | None = None
        self._recorded = bytearray()
        self._total = 0
        self._call: tuple[int, Callable[[int], None]] | None = None
        self._loop = asyncio.new_event_loop()
        self._connections: list[_Connection] = []
        self._handlers: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy")
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def sent_by_clients(self) -> bytes:
        """What all clients sent while ``record`` was set, in the order in which it came."""
        return bytes(self._recorded)

    def call_at(self, count: int, on_bytes: Callable[[int], None]) -> None:
        """Call ``on_bytes``, once, in the proxy's thread, when the server's next ``count`` bytes went through.

        They are counted over all connections. It is given how many went through in all; the client has no byte more.
        """
        self._call = (self._total + count, on_bytes)

    def refuse(self) -> None:
        """Refuse further connections; those that stand go on."""
        self._run(self._unlisten())

    def accept(self) -> None:
        """Accept connections again, on the same port."""
        self._run(self._listen())

    # --- in the proxy's thread ------------------------------------------------------------------------------------

    def _run(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, self._address, self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _unlisten(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _close(self) -> None:
        await self._unlisten()
        tasks = [task for connection in self._connections for task in connection.tasks] + list(self._handlers)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._connections:
            connection.client.transport.abort()
            if connection.server is not None:
                connection.server.transport.abort()
        # One turn of the loop, in which the transports close their sockets.
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(client=writer, number=len(self._connections))
        self._connections.append(connection)
        handler = asyncio.current_task()
        if handler is not None:
            self._handlers.add(handler)
        if await self._goes_wrong(connection):
            return
        with suppress(OSError):
            answers, connection.server = await asyncio.open_connection(*self._target)
            connection.tasks = [
                asyncio.create_task(self._upwards(reader, connection)),
                asyncio.create_task(self._downwards(answers, connection)),
            ]
            return
        writer.close()

    async def _upwards(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        assert connection.server is not None  # noqa: S101  set before this task began
        with suppress(OSError):
            while piece := await reader.read(_CHUNK):
                if self.record:
                    self._recorded += piece
                if self.hear:
                    self.hear(connection.number, "client", piece)
                connection.server.write(piece)
                await connection.server.drain()
        connection.server.close()

    async def _downwards(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        with suppress(OSError):
            while piece := await reader.read(_CHUNK):
                if self.latency:
                    await asyncio.sleep(self.latency)
                if self.hear:
                    self.hear(connection.number, "server", piece)
                if not await self._forward(piece, connection):
                    return
        connection.client.close()

    async def _forward(self, piece: bytes, connection: _Connection) -> bool:
        """Send a piece on, in parts where something is to happen inside it. Return whether the connection goes on."""
        while piece:
            # A fault that was set since the last piece came lets nothing more through.
            if await self._goes_wrong(connection):
                return False
            part = piece[: self._next_stop(connection)]
            piece = piece[len(part) :]
            connection.client.write(part)
            await connection.client.drain()
            connection.sent += len(part)
            self._total += len(part)
            if self._call and self._total >= self._call[0]:
                _, on_bytes = self._call
                self._call = None
                on_bytes(self._total)
            if await self._goes_wrong(connection):
                return False
        return True

    def _next_stop(self, connection: _Connection) -> int | None:
        stops = [self._call[0] - self._total] if self._call else []
        if self.fault:
            stops.append(self.fault.after - connection.sent)
        return min((stop for stop in stops if stop > 0), default=None)

    async def _goes_wrong(self, connection: _Connection) -> bool:
        fault = self.fault
        if fault is None or connection.sent < fault.after:
            return False
        self.struck += 1
        if fault.do == "garbage":
            connection.client.write(fault.garbage)
            with suppress(OSError):
                await connection.client.drain()
        if fault.do == "reset":
            raw: socket.socket = connection.client.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.client.transport.abort()
        elif fault.do != "silence":
            connection.client.close()
        return True


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that are free, and that the system gives to nobody who asks for any port.

    Such ports lie below ``ip_local_port_range`` (ip(7)): a server may be started on one later, and started again.
    """
    lowest = int(_RANGE.read_text().split()[0])
    # Where nearly all ports may be given to anybody, any of them has to do.
    first, end = (lowest // 2, lowest) if lowest > _PRIVILEGED * 2 else (0, 1)
    # All are held until there are enough, so that none comes twice.
    with ExitStack() as held:
        listeners = (_listener(_RANDOM.randrange(first, end)) for _ in repeat(None))
        found = [held.enter_context(one) for one in islice(filter(None, listeners), count)]
        return [int(one.getsockname()[1]) for one in found]


def _listener(port: int) -> socket.socket | None:
    """Return a socket that listens on the port, None where somebody else has it."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return None


if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, {"Fault": "StreamFault"})
