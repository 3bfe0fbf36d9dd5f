"""Make requests of one HTTP server, over kept connections, each within a deadline and a bound; another thread can abort them."""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.api.http.exchange import AskedRequest, Exchange
from gatewayd.api.http.faults import BROKEN, AnswerLost, translated
from gatewayd.api.http.messages import request_head
from gatewayd.errors import GatewaydError, TooLarge, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gatewayd.api.connection import Connection
    from gatewayd.api.http.pool import HttpPool, KeptConnection

__all__ = ["HttpAnswer", "HttpClient", "HttpStream"]

#: What a server may be asked twice: the second time changes nothing more (RFC 9110 section 9.2.2).
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
#: What has a Content-Length only if it has a body (RFC 9110 section 8.6).
_BODILESS = frozenset({"GET", "HEAD", "DELETE"})
#: How many bytes of a body are taken, by default.
_BODY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A whole answer."""

    status: int
    #: The words behind the status; may be empty.
    reason: str
    #: Fields by their names in lower case; the values of a repeated one are joined by ``, ``.
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpStream:
    """An answer whose body is still to come: iterating yields it once, in pieces of at most 1 MiB, and ends only if it is whole.

    Iterating raises AnswerLost for a body that is cut off, faulty or late, and TooLarge for one beyond its bound.
    """

    status: int
    #: See ``HttpAnswer``.
    reason: str
    headers: Mapping[str, str] = field(repr=False)
    _pieces: Iterator[bytes] = field(repr=False)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


class HttpClient:
    """Makes requests of one server. Several clients may share a pool; ``abort`` ends the requests of this one.

    Redirects are not followed. Any thread may make requests, several at the same time.

    A kept connection may prove to be closed. If no byte of the answer came, a request that may be repeated is then made once more
    over a new connection; any other one only if nothing of it was sent.
    """

    def __init__(self, pool: HttpPool) -> None:
        self._pool = pool
        self._door = threading.Lock()
        self._under_way: set[Connection] = set()
        self._aborted = False

    def open(self) -> None:
        """Connect and keep the connection for the first request, so that faults are told now: of the host, TLS, the certificate.

        Raises AuthError, TransientError, or ConfigError for an unusable CA file.
        """
        self._release(self._connected(), keep=True)

    def request(
        self,
        method: str,
        url: str,
        *,
        what: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview = b"",
        limit: int = _BODY_BYTES,
        deadline: float = math.inf,
        repeat: bool | None = None,
    ) -> HttpAnswer:
        """Make a request and return its whole answer, whatever its status. See ``stream``.

        An answer beyond its bound raises AnswerLost, too.
        """
        with self.stream(
            method, url, what=what, headers=headers, body=body, limit=limit, deadline=deadline, repeat=repeat
        ) as stream:
            try:
                whole = b"".join(stream)
            except TooLarge as error:
                # It is no message that is to wait.
                advice = f"Check that `{self._pool.field}` is right; if it lasts, see to that server."
                raise AnswerLost(error.message, advice=advice, status=stream.status, reason=stream.reason) from None
            return HttpAnswer(status=stream.status, reason=stream.reason, headers=stream.headers, body=whole)

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        what: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview = b"",
        limit: int = _BODY_BYTES,
        deadline: float = math.inf,
        repeat: bool | None = None,
    ) -> Iterator[HttpStream]:
        """Make a request, and give its answer when its head has come. Unless the block takes the whole body, the connection ends.

        ``url``: a path with its query, or a URL of this server. ``what`` names the request in errors: no secret, no URL with one.
        ``headers`` have no Host and no Content-Length. ``limit``: how many bytes the body may have.

        From the request to the head of its answer, and from there to the body's end, it may take ``pool.timeout`` seconds each, and
        longer while at least 8 KiB a second move (``Connection.step``); all in all, with connecting, at most ``deadline`` seconds.

        ``repeat``: whether it may be repeated (see the class), by default where the method is GET, HEAD, PUT or DELETE.
        Raises AnswerLost if the server may have acted on the request, and AuthError, TransientError or (for an unusable CA file)
        ConfigError if it surely has not.
        """
        exchange = self._answered(
            AskedRequest(
                what=what,
                method=method,
                head=request_head(method, self._pool.target(url), self._lines(method, headers or {}, len(body))),
                body=body,
                seconds=self._pool.timeout,
                until=time.monotonic() + deadline,
                may_repeat=method in _IDEMPOTENT if repeat is None else repeat,
            )
        )
        try:
            yield self._stream(exchange, limit)
        finally:
            self._release(exchange.line, keep=exchange.is_done)

    def abort(self) -> None:
        """Break the connections of all requests under way, and let none begin; from any thread. Never raises."""
        with self._door:
            self._aborted = True
            for connection in self._under_way:
                connection.cut()

    # --- a request ----------------------------------------------------------------------------------------------------

    def _lines(self, method: str, headers: Mapping[str, str], size: int) -> Mapping[str, str]:
        # A coded body would be of no use: nobody here decodes it (RFC 9110 section 12.5.3).
        lines = {"Host": self._pool.authority, "User-Agent": "gatewayd", "Accept-Encoding": "identity", **headers}
        return {**lines, "Content-Length": str(size)} if size or method not in _BODILESS else lines

    def _answered(self, asked: AskedRequest) -> Exchange:
        """Return the exchange, with its answer's head. A kept connection may prove to be closed: then there is a second try."""
        sent = 0
        kept = self._pool.take()
        if kept is not None:
            self._begin(kept.connection)
            first = Exchange(kept, asked)
            error = self._tried(first)
            if error is None:
                return first
            if self._aborted or not first.is_repeatable(error):
                raise self._fault(first, error) from error
            sent = first.sent
        second = self._anew(asked, sent)
        error = self._tried(second)
        if error is not None:
            raise self._fault(second, error) from error
        return second

    def _anew(self, asked: AskedRequest, sent: int) -> Exchange:
        """Return an exchange over a new connection; ``sent``: how much of the request went over an earlier one."""
        try:
            return Exchange(self._connected(asked.left()), asked, sent)
        except GatewaydError as error:
            if sent:
                raise AnswerLost(error.message, advice=error.advice) from error
            raise

    def _tried(self, exchange: Exchange) -> Exception | None:
        try:
            exchange.begin()
        except BROKEN as error:
            self._release(exchange.line, keep=False)
            return error.with_traceback(None)
        except BaseException:
            self._release(exchange.line, keep=False)
            raise
        return None

    def _stream(self, exchange: Exchange, limit: int) -> HttpStream:
        head = exchange.head
        return HttpStream(status=head.status, reason=head.reason, headers=head.headers, _pieces=self._body(exchange, limit))

    def _body(self, exchange: Exchange, limit: int) -> Iterator[bytes]:
        try:
            yield from exchange.body(limit)
        except TooLarge as error:
            raise TooLarge(f"{self._pool.where}: {exchange.asked.what}: {error.message}", advice=error.advice) from None
        except BROKEN as error:
            raise self._fault(exchange, error) from error

    def _fault(self, exchange: Exchange, error: Exception) -> GatewaydError:
        where = f"{self._pool.where}: {exchange.asked.what}"
        status, reason = exchange.status_of(error)
        if self._aborted:
            error = TransientError(f"{where}: the connection was aborted")
        found = translated(error, where, self._pool.field)
        if not exchange.sent:
            return found
        return AnswerLost(found.message, advice=found.advice, status=status, reason=reason)

    # --- connections --------------------------------------------------------------------------------------------------

    def _connected(self, most: float = math.inf) -> KeptConnection:
        made: list[Connection] = []

        def begin(connection: Connection) -> None:
            made.append(connection)
            self._begin(connection)

        try:
            return self._pool.open(begin, most=most)
        except BaseException as error:
            with self._door:
                self._under_way.difference_update(made)
            if self._aborted and isinstance(error, TransientError):
                raise TransientError(f"{self._pool.where}: the connection was aborted") from error
            raise

    def _begin(self, connection: Connection) -> None:
        with self._door:
            self._under_way.add(connection)
            if self._aborted:
                connection.cut()

    def _release(self, line: KeptConnection, *, keep: bool) -> None:
        with self._door:
            self._under_way.discard(line.connection)
        if keep:
            self._pool.keep(line)
        else:
            line.connection.close()
