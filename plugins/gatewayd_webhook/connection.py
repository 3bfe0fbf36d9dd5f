"""The connection that http.client uses as its socket: to permitted addresses only, with deadlines and a bound in bytes."""

from __future__ import annotations

import ssl
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

from gatewayd import Connection, GatewaydError, TransientError, tls_context
from gatewayd_webhook.addresses import is_public
from gatewayd_webhook.faults import errors, private

if TYPE_CHECKING:
    import io
    from collections.abc import Sequence

    from gatewayd import HostAddress
    from gatewayd_webhook.options import WebhookOptions

__all__ = ["WebhookConnection"]

#: How much of one response is read, with its headers.
_MAX_ANSWER = 1 << 16


class WebhookConnection:
    """A connection to the server, which reconnects if it has ended. It is used by one thread, except for ``cut``."""

    def __init__(self, options: WebhookOptions) -> None:
        self._options = options
        self._connection: Connection | None = None
        self._cut = False
        self._until = 0.0
        self._ended = False

    def begin(self) -> None:
        """Begin a request, with its deadline. Connects if there is no usable connection.

        Raises AuthError, TransientError, or ConfigError for an unusable ``ca_file``.
        """
        self._until = time.monotonic() + self._options.deadline
        if self._ended or not self._alive():
            self.drop()
            self._connect()
        self._step("the request")

    def answer(self) -> None:
        """Begin to read the response to the request."""
        self._step("the answer")

    def _step(self, what: str) -> None:
        left = max(0.0, self._until - time.monotonic())
        self._open().step(what, seconds=self._options.timeout, most=left, limit=_MAX_ANSWER)

    def _alive(self) -> bool:
        """Whether the server keeps the connection open and has sent nothing unasked."""
        if self._connection is None:
            return False
        try:
            self._connection.setblocking(False)
            self._connection.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except (OSError, GatewaydError):
            return False
        return False

    def _connect(self) -> None:
        options = self._options
        context = tls_context(options.ca_file) if options.parts.scheme == "https" else None
        with errors(options):
            if self._cut:
                raise TransientError(f"{options.where}: the connection was aborted")
            # Kept before its handshake, so that ``cut`` can end it.
            Connection(options, options.port, context, choose=self._public, made=self._keep)

    def _keep(self, connection: Connection) -> None:
        self._connection = connection
        # An earlier ``cut`` saw no connection, but it has set the flag.
        if self._cut:
            connection.cut()

    def _public(self, places: Sequence[HostAddress]) -> Sequence[HostAddress]:
        """Return those of a host's addresses that may be connected to."""
        options = self._options
        found = [place for place in places if options.may_be_private or is_public(ip_address(place.address[0]))]
        if not found:
            raise private(options)
        return found

    # --- what http.client asks for ------------------------------------------------------------------------------------

    def sendall(self, data: bytes) -> None:
        """Send bytes."""
        self._open().sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a reader of one response. Closing it does not close the connection."""
        return self._open().makefile(mode)

    def close(self) -> None:
        """Mark the connection as unusable: it is dropped before the next request, or at the end."""
        self._ended = True

    def _open(self) -> Connection:
        if self._connection is None:
            raise BrokenPipeError("there is no connection")
        return self._connection

    # --- the end ------------------------------------------------------------------------------------------------------

    def drop(self) -> None:
        """Close the connection. Never raises."""
        connection, self._connection, self._ended = self._connection, None, False
        if connection is not None:
            connection.close()

    def cut(self) -> None:
        """Break the connection while another thread uses it, and never connect again. Never raises."""
        self._cut = True
        connection = self._connection
        if connection is not None:
            connection.cut()
