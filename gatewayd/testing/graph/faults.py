"""What goes wrong, as tests want it: requests that fail in some way, and throttling as Graph does it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Literal

from gatewayd.testing.graph.odata import ODataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.testing.graph.request_log import LoggedRequest

__all__ = ["FaultQueue", "FaultWay", "RequestFault", "Throttling"]

#: How a request fails. ``answer``: a status. ``close``: the connection ends without an answer. ``reset``: the same by TCP reset.
#: ``stall``: nothing comes until the client goes. ``cut``: half of the answer's body comes, then the connection ends.
#: ``freeze``: half of the body comes, then nothing until the client goes.
FaultWay = Literal["answer", "close", "reset", "stall", "cut", "freeze"]


@dataclass(slots=True, kw_only=True, eq=False)
class RequestFault:
    """One kind of request that fails."""

    #: The fault is for requests whose ``METHOD target`` has this text.
    where: str
    way: FaultWay
    #: Whether the request is carried out, although its client does not hear of it.
    done: bool
    status: int
    #: Graph's code; empty for one that belongs to the status.
    code: str
    #: Headers of the answer.
    headers: Mapping[str, str]
    #: Of the requests that are meant, so many succeed first.
    after: int
    #: So many fail.
    times: int

    def error(self) -> ODataError:
        """Return the error that is answered."""
        code, message = _CODES.get(self.status, ("UnknownError", "An error occurred."))
        error = ODataError(self.status, self.code or code, message)
        error.headers.update(self.headers)
        return error


_CODES: Mapping[int, tuple[str, str]] = {
    429: ("ApplicationThrottled", "Application is over its MailboxConcurrency limit."),
    500: ("ErrorInternalServerError", "An internal server error occurred. The operation failed."),
    503: ("ServiceUnavailable", "The server cannot service the request right now. Try again later."),
    504: ("UnknownError", "The server did not answer in time."),
    509: ("BandwidthLimitExceeded", "The bandwidth limit has been exceeded."),
}


class FaultQueue:
    """The faults that were ordered, first come first served."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[RequestFault] = []

    def add(self, fault: RequestFault) -> None:
        """Order a fault."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Forget all faults that were ordered."""
        with self._lock:
            self._faults.clear()

    def take(self, logged: LoggedRequest) -> RequestFault | None:
        """Return the fault of a request; None if all goes well."""
        if not self._faults:
            return None
        with self._lock:
            fault = next((one for one in self._faults if one.where in str(logged)), None)
            if fault is None:
                return None
            if fault.after:
                fault.after -= 1
                return None
            fault.times -= 1
            if fault.times <= 0:
                self._faults.remove(fault)
            return fault


class Throttling:
    """When requests are answered with 429. What is set on it holds from then on, live."""

    def __init__(self) -> None:
        #: So many requests may be in flight at once; more are refused.
        self.in_flight = 4
        #: What that counts for: each mailbox of a client (and no request of one of them keeps out another), or each client.
        #: Microsoft's documents disagree.
        self.scope: Literal["mailbox", "client"] = "mailbox"
        #: Each n-th request is refused; 0: none.
        self.every = 0
        #: The seconds that a refused client shall wait; None: the answer does not say.
        self.retry_after: int | None = 1
        #: Whether the answer tells them as a date (RFC 9110 section 10.2.3).
        self.as_date = False
        self._lock = threading.Lock()
        self._count = 0

    def check(self, logged: LoggedRequest) -> None:
        """Raise ODataError with 429 if a request is one too many."""
        with self._lock:
            self._count += 1
            is_due = self.every and self._count % self.every == 0
        count = logged.in_flight if self.scope == "mailbox" else logged.in_flight_of_client
        if not is_due and count <= self.in_flight:
            return
        error = ODataError(429, *_CODES[429])
        if self.retry_after is not None:
            at = time.time() + self.retry_after
            error.headers["Retry-After"] = formatdate(at, usegmt=True) if self.as_date else str(self.retry_after)
        raise error
