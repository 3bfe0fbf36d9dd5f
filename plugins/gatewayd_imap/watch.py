"""Watch a folder by IDLE: the server announces new mail (RFC 2177).

imaplib 3.11 knows no IDLE, so while it lasts we read the socket ourselves: imaplib's file is taken away, which also frees
its buffer, and given back at the end. Thousands of these wait in one thread, so none of ``listen`` and ``renew`` waits, and
whatever a server sends, one call takes a bounded piece of it.
"""

from __future__ import annotations

import re
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd import Heard, Watch

if TYPE_CHECKING:
    from gatewayd_imap.client import ImapClient

__all__ = ["Idle"]

#: A line that is longer is no IMAP; and so much is read at once.
_BOUND = 1 << 16
#: What TLS may hold in one record. So one read empties it, and what is left is in the socket, where a selector sees it.
_PIECE = 1 << 14

_GO_ON = b"+"
_COUNT = re.compile(rb"(\d{1,10}) (EXISTS|EXPUNGE)\b", re.IGNORECASE)
#: How much may come from one renewal to the next: who says more has nothing to say.
_FLOOD = 1 << 22
#: How much of that may come before what is waited for.
_ASIDE = 1 << 18
_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Idle(Watch):
    """A connection that waits in IDLE, in the folder that it has open."""

    __slots__ = ("_buffer", "_client", "_exists", "_expected", "_news", "_refused", "_since_renewal", "_tag", "ended")

    def __init__(self, client: ImapClient, *, exists: int | None, news: bool) -> None:
        """``exists`` is how many messages EXAMINE has just told, ``news`` whether there is something to tell already."""
        self._client = client
        self._exists = exists
        self._news = news
        #: The beginning of a line whose end has not come yet.
        self._buffer = b""
        #: The answers that are still to come, in their order: a tag's, or that we may go on.
        self._expected: tuple[bytes, ...] = ()
        self._tag = client.idle_tag()
        #: The server does not wait, and says so.
        self._refused = False
        self._since_renewal = 0
        #: The connection is imaplib's again.
        self.ended = False

    def begin(self) -> bool:
        """Send IDLE and wait until the server waits; False where it refuses: then the session goes on without."""
        # imaplib's file is taken away, and what it has read ahead is ours.
        self._client.connection.setblocking(False)
        with self._client.errors("IDLE"), suppress(*_NOTHING_YET):
            self._take(self._client.file.peek())
        self._client.file.close()
        self._step()
        with self._client.errors("IDLE"):
            self._ask(b"%b IDLE\r\n" % self._tag, _GO_ON)
        if self._refused:
            self._finish()
            return False
        self._client.connection.setblocking(False)
        return True

    def fileno(self) -> int:
        """See ``Watch``."""
        return self._client.connection.fileno()

    def listen(self) -> Heard:
        """See ``Watch``."""
        asked = bool(self._expected)
        with self._client.errors("IDLE"):
            size = 0
            with suppress(*_NOTHING_YET):
                while size < _BOUND:
                    size += self._read()
            if self._refused:
                raise self._client.abort("the server no longer waits")
        news, self._news = self._news, False
        return Heard(news=news, proven=asked and not self._expected)

    def renew(self) -> None:
        """See ``Watch``: DONE and the next IDLE at once, so that the server is never without."""
        ends, self._tag = self._tag, self._client.idle_tag()
        with self._client.errors("IDLE"):
            text = b"DONE\r\n%b IDLE\r\n" % self._tag
            if self._client.connection.send(text) < len(text):
                raise self._client.abort("the server takes nothing more")
        self._expected = (ends, _GO_ON)
        self._since_renewal = 0

    def end(self) -> bool:
        """See ``Watch``."""
        self._step()
        with self._client.errors("IDLE"):
            # The server must have begun to wait before it is told to end that.
            self._await()
            if not self._refused:
                self._ask(b"DONE\r\n", self._tag)
        self._finish()
        return self._news

    def leave(self) -> None:
        """End the waiting and the session, without staying for an answer. Never raises."""
        with suppress(OSError):
            self._client.connection.setblocking(False)
            self._client.connection.send(b"DONE\r\n%b LOGOUT\r\n" % self._client.idle_tag())

    # --- the connection -------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Give the connection back to imaplib, at the beginning of a line."""
        self._expected = ()
        with self._client.errors("IDLE"):
            self._await()
        self._client.file = self._client.connection.makefile()
        self.ended = True

    def _step(self) -> None:
        """From now on all that is waited for has one deadline together."""
        self._since_renewal = 0
        self._client.connection.step("IDLE", rate=0, limit=_ASIDE)

    def _ask(self, text: bytes, answer: bytes) -> None:
        self._client.connection.sendall(text)
        self._expected = (answer,)
        self._await()

    def _await(self) -> None:
        """Wait for what is expected, and for the end of a line that has begun."""
        while self._expected or self._buffer:
            self._read()

    def _read(self) -> int:
        piece = self._client.connection.recv(_PIECE)
        if not piece:
            raise self._client.abort("the server closed the connection")
        self._since_renewal += len(piece)
        if self._since_renewal > _FLOOD:
            raise self._client.abort(f"it said more than {_FLOOD} bytes while nothing was asked, which is the bound")
        self._take(piece)
        return len(piece)

    def _take(self, piece: bytes) -> None:
        *lines, self._buffer = (self._buffer + piece).split(b"\n")
        if max(map(len, (*lines, self._buffer))) > _BOUND:
            raise self._client.abort(f"a line of more than {_BOUND} bytes")
        for line in lines:
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
            raise self._client.abort(f"expected IDLE to go on, got {line!r}")

    def _untagged(self, line: bytes) -> None:
        """Only mail that came is news (RFC 3501 section 7.3.1): flags, deleted mail and signs of life are none."""
        if line[2:5].upper() == b"BYE":
            raise self._client.abort(line[2:])
        found = _COUNT.match(line, 2)
        if found and found[2].upper() == b"EXISTS":
            self._news |= int(found[1]) != self._exists
            self._exists = int(found[1])
        elif found and self._exists:
            self._exists -= 1
