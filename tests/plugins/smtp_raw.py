"""A server that speaks SMTP badly, over a real socket."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.patience import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Raw:
    """Answers each command by its first word: ``CUT`` at an answer's end hangs up, ``DRIP`` sends it byte by byte for ever.

    ``WAIT`` answers as it should, after four seconds.
    """

    security: Literal["none"] = "none"
    ca_file = Path("no-such-file")

    def __init__(self, replies: Mapping[bytes, bytes], address: str) -> None:
        self.host = address
        self.replies = {b"": b"220 x\r\n", b"EHLO": b"250 x\r\n", **replies}
        self.heard = b""
        self._listener = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.port = int(self._listener.getsockname()[1])
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        with self._listener, suppress(OSError):
            connection, _ = self._listener.accept()
            with connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        more = self._say(connection, self.replies[b""])
        within = False
        while more and (line := lines.readline()):
            self.heard += line
            word = line.split(None, 1)[0].upper() if line.strip() else b""
            if within:
                within = line != b".\r\n"
                more = within or self._say(connection, self.replies.get(b".", b"250 ok\r\n"))
                continue
            reply = self.replies.get(word, b"250 ok\r\n")
            within = word == b"DATA" and reply.startswith((b"354", b"WAIT"))
            more = self._say(connection, reply)

    def _say(self, connection: socket.socket, reply: bytes) -> bool:
        if reply == b"DRIP":
            while True:
                connection.sendall(b"2")
                time.sleep(0.1)
        if reply == b"WAIT":
            time.sleep(4)
            reply = b"354 go\r\n" if self.heard.endswith(b"DATA\r\n") else b"250 ok\r\n"
        connection.sendall(reply.removesuffix(b"CUT"))
        return not reply.endswith(b"CUT")


@contextmanager
def speaking(replies: Mapping[bytes, bytes], *, address: str = "127.0.0.1") -> Iterator[Raw]:
    server = Raw(replies, address)
    server.thread.start()
    yield server
    # It is still waiting for somebody where nobody came.
    with suppress(OSError), socket.create_connection((server.host, server.port), 1):
        pass
    server.thread.join(LONG)
