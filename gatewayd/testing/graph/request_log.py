"""The log of all requests, for asserts: who asked what, when, beside how many others, and what was answered. It has no token."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewayd.testing.graph.wire import ServedRequest

__all__ = ["LoggedRequest", "RequestLog"]


@dataclass(slots=True, kw_only=True, eq=False)
class LoggedRequest:
    """One request. Times are seconds on the monotonic clock."""

    method: str
    #: Path and query, as they came.
    target: str
    #: The port that it came to.
    port: int
    #: Whether it had a header ``Authorization``.
    has_authorization: bool
    began: float
    #: When its answer was ready to be sent; 0 before.
    ended: float = 0.0
    #: The status of the answer; 0 if there was none.
    status: int = 0
    #: The client id; empty if it is not known.
    client: str = ""
    #: The id of the mailbox; empty if it is about none.
    mailbox: str = ""
    #: How many requests of this client and mailbox were in flight, with this one.
    in_flight: int = 0
    #: How many requests of this client were in flight, over all mailboxes, with this one.
    in_flight_of_client: int = 0
    #: How many seconds the answer wanted the client to wait; 0 if it said nothing.
    retry_after: float = 0.0

    @property
    def path(self) -> str:
        """The path without its query."""
        return self.target.partition("?")[0]

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


class RequestLog:
    """Counts what is in flight, and keeps each request. All methods may be called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[LoggedRequest] = []
        self._in_flight: dict[tuple[str, str], int] = {}

    @property
    def requests(self) -> list[LoggedRequest]:
        """All requests so far, in the order in which they came."""
        with self._lock:
            return [*self._requests]

    def clear(self) -> None:
        """Forget all requests so far."""
        with self._lock:
            self._requests.clear()

    def find(self, text: str, *, status: int | None = None) -> list[LoggedRequest]:
        """Return the requests whose ``METHOD target`` has a text, and that were answered with a status."""
        return [one for one in self.requests if text in str(one) and status in {None, one.status}]

    @property
    def token_requests(self) -> list[LoggedRequest]:
        """The requests for a token."""
        return self.find("/oauth2/v2.0/token")

    def most_in_flight(self, *, of_client: bool = False) -> int:
        """Return how many requests of one client were in flight at once: for one mailbox, or over all."""
        return max((one.in_flight_of_client if of_client else one.in_flight for one in self.requests), default=0)

    def too_early(self, *, of_client: bool = False, slack: float = 0.2) -> list[LoggedRequest]:
        """Return the requests that came before a ``Retry-After`` of their client and mailbox was over.

        With ``of_client``, what was answered for one mailbox counts for all of the client. Requests within the first ``slack``
        seconds may have been sent before the client had the answer.
        """
        waits: dict[tuple[str, str], list[tuple[float, float]]] = {}
        found = []
        for one in sorted(self.requests, key=lambda request: request.began):
            # Requests for a token have no mailbox: they have limits of their own.
            key = (one.client, "*" if of_client and one.mailbox else one.mailbox)
            if any(start + slack < one.began < end for start, end in waits.get(key, ())):
                found.append(one)
            if one.retry_after:
                waits.setdefault(key, []).append((one.ended, one.ended + one.retry_after))
        return found

    def begin(self, request: ServedRequest) -> LoggedRequest:
        """Enter a request."""
        logged = LoggedRequest(
            method=request.method,
            target=request.target,
            port=request.port,
            has_authorization="authorization" in request.headers,
            began=time.monotonic(),
        )
        with self._lock:
            self._requests.append(logged)
        return logged

    def count(self, logged: LoggedRequest, client: str, mailbox: str) -> None:
        """Note whose request it is, and count it as in flight."""
        logged.client, logged.mailbox = client, mailbox
        with self._lock:
            for key in ((client, mailbox), (client, "*")):
                self._in_flight[key] = self._in_flight.get(key, 0) + 1
            logged.in_flight = self._in_flight[client, mailbox]
            logged.in_flight_of_client = self._in_flight[client, "*"]

    def end(self, logged: LoggedRequest, status: int, retry_after: float = 0.0) -> None:
        """Note how it was answered, before the client has the answer and may send its next request."""
        with self._lock:
            if logged.in_flight:
                for key in ((logged.client, logged.mailbox), (logged.client, "*")):
                    self._in_flight[key] -= 1
            logged.status, logged.retry_after, logged.ended = status, retry_after, time.monotonic()
