"""IDLE: the server says when something comes to the folder that is open (RFC 2177).

imaplib 3.11 knows no IDLE, so while it lasts we read the socket ourselves: imaplib's file is taken away, which also frees
its buffer, and given back at the end. Thousands of these wait in one thread, so none of ``listen`` and ``renew`` waits, and
whatever a server sends, one call takes a bounded piece of it.
"""

from __future__ import annotations

import re
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from gatewayd import Heard, Watch
from gatewayd_imap.faults import errors, said

if TYPE_CHECKING:
    import io

    from gatewayd_imap.client import Client
    from gatewayd_imap.options import ImapOptions

__all__ = ["Idle"]

#: A line that is longer is no IMAP; and so much is read at once.
_BOUND = 1 << 16
#: What TLS may hold in one record. So one read empties it, and what is left is in the socket, where a selector sees it.
_PIECE = 1 << 14

_GO_ON = b"+"
_COUNT = re.compile(rb"(\d{1,10}) (EXISTS|EXPUNGE)\b", re.IGNORECASE)
#: A timeout of 0 would not wait at all.
_AT_ONCE = 1e-6
_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Idle(Watch):
    """A connection that waits in IDLE, in the folder that it has open."""

    __slots__ = ("_buffer", "_client", "_exists", "_expected", "_news", "_options", "_refused", "_tag", "ended")

    def __init__(self, client: Client, options: ImapOptions, *, exists: int | None, news: bool) -> None:
        """``exists`` is how many messages EXAMINE has just told, ``news`` whether there is something to tell already."""
        self._client = client
        self._options = options
        self._exists = exists
        self._news = news
        #: The beginning of a line whose end has not come yet.
        self._buffer = b""
        #: The answers that are still to come, in their order: a tag's, or that we may go on.
        self._expected: tuple[bytes, ...] = ()
        self._tag = client.idle_tag()
        #: The server does not wait, and says so.
        self._refused = False
        #: The connection is imaplib's again.
        self.ended = False

    def begin(self) -> bool:
        """Send IDLE and wait until the server waits; False where it refuses: then the session goes on without."""
        deadline = self._deadline()
        self._take_file()
        with errors(self._options, "IDLE"):
            self._ask(b"%b IDLE\r\n" % self._tag, _GO_ON, deadline)
        if self._refused:
            self._finish(deadline)
            return False
        self._client.sock.setblocking(False)
        return True

    def fileno(self) -> int:
        """See ``Watch``."""
        return self._client.sock.fileno()

    def listen(self) -> Heard:
        """See ``Watch``."""
        asked = bool(self._expected)
        with errors(self._options, "IDLE"):
            self._read_what_came()
            if self._refused:
                raise self._client.abort("the server no longer waits")
        news, self._news = self._news, False
        return Heard(news=news, proven=asked and not self._expected)

    def renew(self) -> None:
        """See ``Watch``: DONE and the next IDLE at once, so that the server is never without."""
        ends, self._tag = self._tag, self._client.idle_tag()
        with errors(self._options, "IDLE"):
            self._send(b"DONE\r\n%b IDLE\r\n" % self._tag)
        self._expected = (ends, _GO_ON)

    def end(self) -> bool:
        """See ``Watch``."""
        deadline = self._deadline()
        with errors(self._options, "IDLE"):
            # The server must have begun to wait before it is told to end that.
            self._await(deadline)
            if not self._refused:
                self._ask(b"DONE\r\n", self._tag, deadline)
        self._finish(deadline)
        return self._news

    def leave(self) -> None:
        """End the waiting and the session, without staying for an answer. Never raises."""
        with suppress(OSError):
            self._client.sock.setblocking(False)
            self._client.sock.send(b"DONE\r\n%b LOGOUT\r\n" % self._client.idle_tag())

    # --- the connection -------------------------------------------------------------------------------------------

    def _take_file(self) -> None:
        """Take imaplib's file away, and what it has read ahead over to us."""
        self._client.sock.setblocking(False)
        with errors(self._options, "IDLE"), suppress(*_NOTHING_YET):
            self._take(cast("io.BufferedReader", self._client.file).peek())
        self._client.file.close()

    def _finish(self, deadline: float) -> None:
        """Give the connection back to imaplib, at the beginning of a line."""
        self._expected = ()
        with errors(self._options, "IDLE"):
            self._await(deadline)
        self._client.sock.settimeout(self._options.timeout)
        self._client.file = self._client.sock.makefile("rb")
        self.ended = True

    def _send(self, text: bytes) -> None:
        if self._client.sock.send(text) < len(text):
            raise self._client.abort("the server takes nothing more")

    def _read_what_came(self) -> None:
        size = 0
        with suppress(*_NOTHING_YET):
            while size < _BOUND:
                size += self._read()

    def _ask(self, text: bytes, answer: bytes, deadline: float) -> None:
        self._client.sock.settimeout(self._options.timeout)
        self._client.sock.sendall(text)
        self._expected = (answer,)
        self._await(deadline)

    def _await(self, deadline: float) -> None:
        """Wait for what is expected, and for the end of a line that has begun."""
        while self._expected or self._buffer:
            self._client.sock.settimeout(max(deadline - time.monotonic(), _AT_ONCE))
            self._read()

    def _deadline(self) -> float:
        return time.monotonic() + self._options.timeout

    def _read(self) -> int:
        piece = self._client.sock.recv(_PIECE)
        if not piece:
            raise self._client.abort("the server closed the connection")
        self._take(piece)
        return len(piece)

    def _take(self, piece: bytes) -> None:
        *lines, self._buffer = (self._buffer + piece).split(b"\n")
        if max(map(len, (*lines, self._buffer))) > _BOUND:
            raise self._client.abort(f"a line of more than {_BOUND} bytes")
        for line in lines:
            self._line(line)

    def _line(self, line: bytes) -> None:
        if line.startswith(b"* "):
            self._untagged(line)
        elif not line.startswith(_GO_ON):
            self._tagged(line)
        elif self._expected[:1] == (_GO_ON,):
            self._expected = self._expected[1:]

    def _tagged(self, line: bytes) -> None:
        tag, _, answer = line.partition(b" ")
        word = answer[:3].rstrip().upper()
        if tag == self._tag and self._expected and word in (b"NO", b"BAD"):
            self._refused, self._expected = True, ()
        elif self._expected[:1] == (tag,) and word == b"OK":
            self._expected = self._expected[1:]
        else:
            # Also where it ends the IDLE by itself: what comes from then on would not be told.
            raise self._client.abort(f"expected IDLE to go on, got {said(line)!r}")

    def _untagged(self, line: bytes) -> None:
        """Only mail that came is news (RFC 3501 section 7.3.1): flags, deleted mail and signs of life are none."""
        if line[2:5].upper() == b"BYE":
            raise self._client.abort(said(line[2:]))
        told = _COUNT.match(line, 2)
        if told and told[2].upper() == b"EXISTS":
            self._news |= int(told[1]) != self._exists
            self._exists = int(told[1])
        elif told and self._exists:
            self._exists -= 1
