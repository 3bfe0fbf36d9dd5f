"""One request over one connection, and its answer."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.api.http.faults import BROKEN
from gatewayd.api.http.messages import HEAD_BYTES, Cut, body_of, is_kept, read_head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.api.http.messages import Head
    from gatewayd.api.http.pool import KeptConnection

__all__ = ["AskedRequest", "Exchange"]

#: How much is sent at once: a record of TLS (RFC 8446 section 5.1), of which a server gets all or nothing.
_PIECE = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRequest:
    """A request, and how long it may take."""

    what: str
    method: str
    head: bytes = field(repr=False)
    body: bytes | memoryview = field(repr=False)
    seconds: float
    #: A moment of the monotonic clock.
    until: float
    may_repeat: bool
    #: How many bytes the body of the answer may have.
    limit: int

    def left(self) -> float:
        """Return how many seconds it may take from now on."""
        return max(0.0, self.until - time.monotonic())


class Exchange:
    """One request over one connection, and its answer."""

    def __init__(self, line: KeptConnection, asked: AskedRequest, *, was_kept: bool, sent: int = 0) -> None:
        """``was_kept``: the connection served other requests, and may prove to be closed."""
        self.line = line
        self.asked = asked
        self.was_kept = was_kept
        #: How many bytes of the request were sent, over earlier connections too.
        self.sent = sent
        #: Whether all of the answer was read, and another request may follow.
        self.is_done = False
        self._before = line.connection.total
        self._head: Head | None = None

    @property
    def head(self) -> Head:
        """The head of the answer, after ``receive``."""
        if self._head is None:
            raise AssertionError("receive comes first")
        return self._head

    def send(self) -> None:
        """Send the request.

        A server may refuse a request before its end, and hang up: then its answer counts, not that the rest could not be sent.
        """
        self._step(HEAD_BYTES)
        try:
            self._send()
        except OSError:
            with suppress(*BROKEN):
                self._head = read_head(self.line.reader)
            # No server can have taken a request whose end it has not got: a 2xx does not count.
            if self._head is None or self._head.status < 300:  # noqa: PLR2004  the classes of RFC 9110
                self._head = None
                raise

    def receive(self, *, anew: bool) -> None:
        """Read the head of the answer, in the step of ``send``, or in one of its own that begins now: ``anew``."""
        if anew:
            self._step(HEAD_BYTES)
        if self._head is None:
            self._head = read_head(self.line.reader)

    def body(self) -> Iterator[bytes]:
        """Yield the body of the answer."""
        # The lengths of chunks come as well as the body.
        self._step(2 * self.asked.limit + HEAD_BYTES)
        yield from body_of(self.line.reader, self.asked.method, self.head, self.asked.limit)
        self.is_done = is_kept(self.head)

    def is_repeatable(self, error: Exception) -> bool:
        """Whether the request may be made once more after this error: the connection ended, and not a byte of the answer came."""
        ended = isinstance(error, OSError | Cut) and self.line.connection.total == self._before
        return ended and (self.asked.may_repeat or not self.sent)

    def status_of(self, error: Exception) -> tuple[int | None, str]:
        """Return the status that came, and its words, though the rest was lost by this error."""
        if self._head:
            return self._head.status, self._head.reason
        return (error.status, error.reason) if isinstance(error, Cut) else (None, "")

    def _step(self, limit: int) -> None:
        self.line.connection.step(self.asked.what, seconds=self.asked.seconds, most=self.asked.left(), limit=limit)

    def _send(self) -> None:
        whole = memoryview(self.asked.head + self.asked.body) if len(self.asked.body) <= _PIECE else None
        for part in [whole] if whole else [memoryview(self.asked.head), memoryview(self.asked.body)]:
            rest = part
            while rest:
                count = self.line.connection.send(rest[:_PIECE])
                self.sent += count
                rest = rest[count:]
