"""Commands and replies on one logged-in connection: pipelined, streamed, never line by line.

poplib reads messages a line at a time and holds each whole; its ``_MAXLINE`` of 2048 bytes also refuses lines that real
mail has. So poplib connects, starts TLS and logs in, and from there on this reader takes the bytes from poplib's own file
in blocks and finds replies in them by ``bytes.find``. poplib's limit then bounds greeting and log-in only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from gatewayd import socket_errors
from gatewayd_pop3.faults import closed, garbled

if TYPE_CHECKING:
    import io
    import poplib
    from collections.abc import Iterator, Sequence

    from gatewayd_pop3.options import Pop3Options

__all__ = ["WINDOW", "Wire", "accepted"]

#: How many commands may be on their way. 64 are about 800 bytes, which fit into any socket's buffers: our writing never
#: waits for a server that itself waits until we read. The replies wait in TCP's buffers, not in ours.
WINDOW = 64
_BLOCK = 1 << 17
#: A status line that is longer is no POP3; a listing that is longer (two million messages) is no mailbox.
_MAX_LINE = 1 << 13
_MAX_LISTING = 1 << 26
#: A multi-line reply ends at a line that is a lone dot (RFC 1939 section 3). Only CRLF ends a line: a message that hides
#: ``LF . CRLF`` in itself must not be able to end its reply and to play the messages behind it.
_END = b"\r\n.\r\n"


class Wire:
    """One connection, in or out of step with its server."""

    def __init__(self, pop: poplib.POP3, options: Pop3Options) -> None:
        self.pop = pop
        self.where = f"{options.host}:{options.effective_port}"
        #: How many commands may be sent ahead; more than one only where the server offers PIPELINING.
        self.window = 1
        #: Whether every reply was read to its end. Out of step, the connection can only be dropped.
        self.in_step = True
        self._options = options
        self._file = cast("io.BufferedReader", pop.file)
        self._buffer = b""
        self._at = 0

    def replies(self, commands: Sequence[str]) -> Iterator[bytes]:
        """Send the commands, at most ``self.window`` ahead, and yield the status line of each in their order.

        The body of a reply that has one must be read by ``body`` before the next is asked for. Raises TransientError.
        """
        self._begin()
        sent = 0
        for done in range(len(commands)):
            # Refilled when half empty: a write then carries many commands.
            if sent < len(commands) and sent - done <= self.window // 2:
                self._send(commands[sent : done + self.window])
                sent = min(len(commands), done + self.window)
            yield self._status()
        self.in_step = True

    def ask(self, command: str, *, multiline: bool = False) -> tuple[bytes, bytes]:
        """Send one command; return its status line and, where it is ``multiline`` and no ``-ERR``, its body."""
        status = body = b""
        for status in self.replies([command]):
            body = b"".join(self._bounded()) if multiline and accepted(status) else b""
        return status, body

    def body(self) -> Iterator[bytes]:
        """Yield the body of the reply, unstuffed, in pieces as they come (RFC 1939 section 3).

        It begins with the status line's CRLF, which is skipped: so the first line stands behind a CRLF like any other.
        A piece never ends inside what may become ``_END`` or a stuffed dot, that is behind a CR among the last 4 bytes.
        """
        skip = 2
        self._at -= skip
        while (end := self._buffer.find(_END, self._at)) < 0:
            size = len(self._buffer)
            cut = self._buffer.find(b"\r", max(self._at, size - len(_END) + 1))
            cut = size if cut < 0 else cut
            piece = self._buffer[self._at : cut]
            self._buffer = self._buffer[cut:] + self._read()
            self._at = 0
            if piece:
                yield _unstuffed(piece)[skip:]
                skip = 0
        piece = self._buffer[self._at : end + 2]
        self._at = end + len(_END)
        yield _unstuffed(piece)[skip:]

    def _begin(self) -> None:
        if self._at < len(self._buffer):
            raise garbled(self.where, self._buffer[self._at :])
        self.in_step = False

    def _send(self, commands: Sequence[str]) -> None:
        text = "".join(f"{command}\r\n" for command in commands)
        with socket_errors(self._options, self._options.effective_port):
            self.pop.sock.sendall(text.encode("ascii"))

    def _read(self) -> bytes:
        with socket_errors(self._options, self._options.effective_port):
            block = self._file.read1(_BLOCK)
        if not block:
            raise closed(self.where)
        return block

    def _status(self) -> bytes:
        while (end := self._buffer.find(b"\r\n", self._at)) < 0:
            self._buffer = self._buffer[self._at :]
            self._at = 0
            if len(self._buffer) > _MAX_LINE:
                raise garbled(self.where, self._buffer)
            self._buffer += self._read()
        status = self._buffer[self._at : end]
        self._at = end + 2
        if not status.startswith((b"+OK", b"-ERR")):
            raise garbled(self.where, status)
        return status

    def _bounded(self) -> Iterator[bytes]:
        size = 0
        for piece in self.body():
            size += len(piece)
            if size > _MAX_LISTING:
                raise garbled(self.where, piece)
            yield piece


def accepted(status: bytes) -> bool:
    """Whether a status line says that the command was done."""
    return status.startswith(b"+")


def _unstuffed(piece: bytes) -> bytes:
    return piece.replace(b"\r\n..", b"\r\n.")
