"""Commands and replies on one connection: pipelined, streamed, never line by line, each within its deadline and its bounds.

Replies are found by ``bytes.find`` in blocks as they come. The standard library's client reads a line at a time, holds each
message whole, and refuses lines that real mail has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import ANSWER_BYTES, socket_errors
from gatewayd_pop3.faults import closed, garbled

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Sequence

    from gatewayd import Connection
    from gatewayd_pop3.options import Pop3Options

__all__ = ["UNBOUNDED", "WINDOW", "Wire", "accepted", "challenges"]

#: How many commands may be on their way. 64 are about 800 bytes, which fit into any socket's buffers: our writing never
#: waits for a server that itself waits until we read. The replies wait in TCP's buffers, not in ours.
WINDOW = 64
_BLOCK = 1 << 17
#: A status line that is longer is no POP3.
_MAX_LINE = 1 << 13
#: For messages: their bound is the spool's.
UNBOUNDED = 1 << 62
#: A multi-line reply ends at a line that is a lone dot (RFC 1939 section 3). Only CRLF ends a line: a message that hides
#: ``LF . CRLF`` in itself must not be able to end its reply and to play the messages behind it.
_END = b"\r\n.\r\n"
_REPLIES = (b"+OK", b"-ERR")


class Wire:
    """One connection, in or out of step with its server."""

    def __init__(self, connection: Connection, options: Pop3Options) -> None:
        """Take a connection whose first step, which lasts until the log-in is done, has begun."""
        self.where = connection.where
        #: How many commands may be sent ahead; more than one only where the server offers PIPELINING.
        self.window = 1
        #: Whether every reply was read to its end. Out of step, the connection can only be dropped.
        self.in_step = True
        #: From now on each reply has a deadline of its own.
        self.logged_in = False
        #: What must not be shown where the server repeats it.
        self.secrets: tuple[str, ...] = ()
        self.options = options
        self._connection = connection
        self._buffer = b""
        self._at = 0

    @property
    def came(self) -> int:
        """How many bytes came."""
        return self._connection.total

    def greeting(self) -> bytes:
        """Return what the server begins with."""
        return self._status()

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on in TLS; nothing that came in plain text may count from here on."""
        self._begin()
        with socket_errors(self.options, self.options.effective_port):
            self._connection.start_tls(context)
        self.in_step = True

    def close(self) -> None:
        """Close without a word, whatever its state: without QUIT a server deletes nothing (RFC 1939 section 6). Never raises."""
        self._connection.close()

    def cut(self) -> None:
        """Break the connection under whatever another thread does with it; that ends at once. Never raises."""
        self._connection.cut()

    def replies(self, commands: Sequence[str], *, seconds: float | None = None, limit: int = ANSWER_BYTES) -> Iterator[bytes]:
        """Send the commands, at most ``self.window`` ahead, and yield the status line of each in their order.

        The body of a reply that has one must be read by ``body`` before the next is asked for. Each reply must come within
        ``seconds`` (default: ``timeout``) and ``limit`` bytes. Raises TransientError.
        """
        self._begin()
        sent = 0
        for done, command in enumerate(commands):
            if self.logged_in:
                # What is on its way behind this reply comes with it.
                self._connection.step(command.partition(" ")[0], seconds=seconds, limit=limit + _BLOCK)
            # Refilled when half empty: a write then carries many commands.
            if sent < len(commands) and sent - done <= self.window // 2:
                text = "".join(f"{one}\r\n" for one in commands[sent : done + self.window])
                sent = min(len(commands), done + self.window)
                with socket_errors(self.options, self.options.effective_port):
                    # Names and passwords may be UTF-8 (RFC 6856 section 2.2); all else is ASCII.
                    self._connection.sendall(text.encode())
            yield self._status()
        self.in_step = True

    def ask(
        self, command: str, *, multiline: bool = False, seconds: float | None = None, limit: int = ANSWER_BYTES
    ) -> tuple[bytes, bytes]:
        """Send one command; return its status line and, where it is ``multiline`` and no ``-ERR``, its body."""
        status = body = b""
        for status in self.replies([command], seconds=seconds, limit=limit):
            body = b"".join(self.body()) if multiline and accepted(status) else b""
        return status, body

    def auth(self, line: str) -> bytes:
        """Send a line of AUTH (RFC 5034 section 4); return its reply, which may be a challenge. Raises TransientError."""
        self._begin()
        with socket_errors(self.options, self.options.effective_port):
            self._connection.sendall(f"{line}\r\n".encode())
        reply = self._status((*_REPLIES, b"+"))
        self.in_step = True
        return reply

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
            raise garbled(self.where, self._buffer[self._at :], self.secrets)
        self.in_step = False

    def _read(self) -> bytes:
        with socket_errors(self.options, self.options.effective_port):
            block = self._connection.recv(_BLOCK)
        if not block:
            raise closed(self.where)
        return block

    def _status(self, beginnings: tuple[bytes, ...] = _REPLIES) -> bytes:
        while (end := self._buffer.find(b"\r\n", self._at)) < 0:
            self._buffer = self._buffer[self._at :]
            self._at = 0
            if len(self._buffer) > _MAX_LINE:
                raise garbled(self.where, self._buffer, self.secrets)
            self._buffer += self._read()
        status = self._buffer[self._at : end]
        self._at = end + 2
        if not status.startswith(beginnings) or len(status) > _MAX_LINE:
            raise garbled(self.where, status, self.secrets)
        return status


def accepted(status: bytes) -> bool:
    """Whether a status line says that the command was done."""
    return status.startswith(b"+")


def challenges(reply: bytes) -> bool:
    """Whether a reply to AUTH wants a further line from us (RFC 5034 section 4)."""
    return reply == b"+" or reply.startswith(b"+ ")


def _unstuffed(piece: bytes) -> bytes:
    return piece.replace(b"\r\n..", b"\r\n.")
