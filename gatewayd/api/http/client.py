"""Make requests of one HTTP server, over kept connections, each within a deadline and a bound; another thread can abort them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.api.http.exchange import AskedRequest
from gatewayd.api.http.faults import AnswerLost
from gatewayd.api.http.messages import request_head
from gatewayd.api.http.sent_request import SentRequest
from gatewayd.api.http.under_way import UnderWay
from gatewayd.errors import TooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from gatewayd.api.http.pool import HttpPool
    from gatewayd.api.http.sent_request import HttpStream

__all__ = ["HttpAnswer", "HttpClient"]

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


class HttpClient:
    """Makes requests of one server. Several clients may share a pool; ``abort`` ends the requests of this one.

    Redirects are not followed. Any thread may make requests, several at the same time.

    A kept connection may prove to be closed. If no byte of the answer came, a request that may be repeated is then made once more
    over a new connection; any other one only if nothing of it was sent.
    """

    def __init__(self, pool: HttpPool) -> None:
        self._pool = pool
        self._under_way = UnderWay(pool)

    def open(self) -> None:
        """Connect and keep the connection for the first request, so that faults are told now: of the host, TLS, the certificate.

        Raises AuthError, TransientError, or ConfigError for an unusable CA file.
        """
        self._under_way.release(self._under_way.open(), keep=True)

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
    ) -> AbstractContextManager[HttpStream]:
        """Make a request, and give its answer when its head has come. Unless the block takes the whole body, the connection ends.

        ``url``: a path with its query, or a URL of this server. ``what`` names the request in errors: no secret, no URL with one.
        ``headers`` have no Host and no Content-Length. ``limit``: how many bytes the body may have.

        From the request to the head of its answer, and from there to the body's end, it may take ``pool.timeout`` seconds each, and
        longer while at least 8 KiB a second move (``Connection.step``); all in all, with connecting, at most ``deadline`` seconds.

        ``repeat``: whether it may be repeated (see the class), by default where the method is GET, HEAD, PUT or DELETE.
        Raises AnswerLost if the server may have acted on the request, and AuthError, TransientError or (for an unusable CA file)
        ConfigError if it surely has not.
        """
        return self.send(method, url, what=what, headers=headers, body=body, limit=limit, deadline=deadline, repeat=repeat).stream()

    def send(
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
    ) -> SentRequest:
        """Send a request, whose answer is taken later: so one thread may have several in flight, each on its own connection.

        See ``stream``, also for what is raised. Whoever has it takes its answer, or drops it.
        """
        asked = AskedRequest(
            what=what,
            method=method,
            head=request_head(method, self._pool.target(url), self._lines(method, headers or {}, len(body))),
            body=body,
            seconds=self._pool.timeout,
            until=time.monotonic() + deadline,
            may_repeat=method in _IDEMPOTENT if repeat is None else repeat,
            limit=limit,
        )
        return SentRequest(self._under_way, asked)

    def abort(self) -> None:
        """Break the connections of all requests under way, and let none begin; from any thread. Never raises."""
        self._under_way.abort()

    def _lines(self, method: str, headers: Mapping[str, str], size: int) -> Mapping[str, str]:
        # A coded body would be of no use: nobody here decodes it (RFC 9110 section 12.5.3).
        lines = {"Host": self._pool.authority, "User-Agent": "gatewayd", "Accept-Encoding": "identity", **headers}
        return {**lines, "Content-Length": str(size)} if size or method not in _BODILESS else lines
