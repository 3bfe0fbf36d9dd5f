"""smtplib's client on a ``Connection``: one deadline for each step as a whole, and bounds on the length of replies.

smtplib waits its timeout anew for each byte, reads reply lines without end, and loses the cause when it can't send.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd import LEAST_RATE, Connection
from gatewayd_smtp.faults import closed, garbled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed import ReadableBuffer

    from gatewayd_smtp.options import SmtpOptions

__all__ = ["SmtpClient", "stuffed"]

#: RFC 5321 section 4.5.3.1.5 allows 512 bytes a line; no reply has a hundred.
_MAX_LINE, _MAX_LINES = 1 << 13, 100
_REPLY = re.compile(rb"[2-5][0-9][0-9](?:[ -]|\r?$)")
_BLOCK = 1 << 16


class SmtpClient(smtplib.SMTP):
    """A connection; ``open`` connects it. Raises the errors of sockets, and TransientError for a reply that is no SMTP."""

    #: smtplib's own ``sock`` and ``file`` stay empty.
    connection: Connection

    def __init__(self, options: SmtpOptions) -> None:
        self._options = options
        self._buffer = b""
        #: If set, each step has its own deadline. Until the log-in is done, all is one step.
        self.logged_in = False
        #: The last mail was answered before its end, and may be once more: no reply behind it can be told from that.
        self.hasty = False
        #: Secrets that errors must not show if the server repeats them.
        self.secrets: tuple[str, ...] = ()
        # The name is set once our own address is known: left to itself, smtplib asks the name server for one.
        super().__init__(local_hostname="localhost", timeout=options.timeout)

    def open(self, context: ssl.SSLContext | None) -> tuple[int, bytes]:
        """Connect, with TLS from the first byte if given a context, and return the greeting."""
        options = self._options
        self.connection = Connection(options, options.effective_port, context)
        try:
            self.local_hostname = options.hello or _literal(self.connection.getsockname()[0])
            return self.getreply()
        except BaseException:
            self.close()
            raise

    def wrap(self, context: ssl.SSLContext) -> None:
        """Start TLS. Data that came in plain text is an error (RFC 3207 section 4.2)."""
        if self._buffer:
            raise garbled(self._options, self._buffer, self.secrets)
        self.connection.start_tls(context)

    @property
    def is_open(self) -> bool:
        """Whether we have not closed it."""
        return self.connection.fileno() >= 0

    def close(self) -> None:
        """Close the connection without QUIT. Never raises."""
        self.connection.close()

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command. What the server said before it was asked is no answer to it."""
        if self._buffer:
            raise garbled(self._options, self._buffer, self.secrets)
        super().putcmd(cmd, args)

    def send(self, s: ReadableBuffer | str) -> None:
        """Send a command, or a piece of a mail."""
        self.connection.sendall(s.encode() if isinstance(s, str) else memoryview(s).cast("B"))

    def send_data(self, pieces: Iterable[bytes]) -> None:
        """Send a mail and the dot behind it, with dots at the beginning of lines doubled (RFC 5321 section 4.5.2).

        The last line is ended. Small pieces go out together: each is a packet else. A server may refuse a mail before its end,
        and then hang up; it can't have taken it over, whatever it says.
        """
        self._step("the mail", self._options.command_seconds, rate=LEAST_RATE)
        waiting = bytearray()
        for piece in stuffed(pieces):
            waiting += piece
            if len(waiting) >= _BLOCK:
                self.send(waiting)
                waiting = bytearray()
        self.connection.setblocking(False)
        with suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self._buffer += self.connection.recv(_MAX_LINE)
        self.hasty = bool(self._buffer)
        if self._buffer.startswith(b"2"):
            raise garbled(self._options, self._buffer, self.secrets)
        self._step("the mail", self._options.command_seconds, rate=LEAST_RATE)
        self.send(waiting + b".\r\n")

    def getreply(self) -> tuple[int, bytes]:
        """Return a whole reply as its code and its lines; it must have come within the timeout."""
        return self.reply("a reply", self._options.timeout)

    def ask(self, command: str) -> tuple[int, bytes]:
        """Send a command of a mail's transaction and return its reply, which may take longer than others."""
        self.putcmd(command)
        return self.reply(command.partition(" ")[0], self._options.command_seconds)

    def reply(self, what: str, seconds: float) -> tuple[int, bytes]:
        """Return a whole reply as its code and its lines; it must have come within so many seconds. Errors name ``what``."""
        self._step(what, seconds)
        lines: list[bytes] = []
        first = b""
        while True:
            line = self._line()
            # Each line has the same code (RFC 5321 section 4.2.1): one that says yes and no is neither.
            if not _REPLY.match(line) or len(lines) >= _MAX_LINES or first not in (b"", line[:1]):
                raise garbled(self._options, line, self.secrets)
            first = line[:1]
            lines.append(line[4:].strip())
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)

    def _step(self, what: str, seconds: float, *, rate: int = 0) -> None:
        if self.logged_in:
            self.connection.step(what, seconds=seconds, rate=rate, limit=_MAX_LINES * _MAX_LINE)

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _MAX_LINE:
                raise garbled(self._options, self._buffer, self.secrets)
            block = self.connection.recv(_MAX_LINE)
            if not block:
                raise closed(self._options)
            self._buffer += block
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        return line


def stuffed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a mail with the dots at the beginning of its lines doubled, wherever the pieces begin."""
    # What stands before the first line ends a line.
    before = b"\r\n"
    for piece in pieces:
        joined = before + piece
        yield joined.replace(b"\r\n.", b"\r\n..")[len(before) :]
        before = joined[-2:]


def _literal(address: str) -> str:
    """Return our own address as EHLO takes it in place of a name (RFC 5321 section 4.1.3)."""
    return f"[IPv6:{address.partition('%')[0]}]" if ":" in address else f"[{address}]"
