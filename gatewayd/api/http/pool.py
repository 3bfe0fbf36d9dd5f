"""One HTTP server, and the connections that are kept to it between requests."""

from __future__ import annotations

import math
import ssl
import threading
import time
from typing import TYPE_CHECKING, Literal

from gatewayd.api.connection import Connection
from gatewayd.api.endpoint import tls_context
from gatewayd.api.http.faults import translated
from gatewayd.api.http.urls import split_url, target_of
from gatewayd.errors import GatewaydError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from urllib.parse import SplitResult

    from gatewayd.api.hosts import HostAddress

__all__ = ["HttpPool", "KeptConnection"]

#: As much as a record of TLS has (RFC 8446 section 5.1): less would take two reads for each.
_RECORD = 1 << 14
#: How long a link in an answer may be; those of Microsoft Graph hold state of some thousand characters.
_MAX_LINK = 1 << 14


class KeptConnection:
    """A connection to an HTTP server, with what has been read from it and not been used yet."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.reader = connection.makefile(size=_RECORD)
        #: The moment of the monotonic clock at which its last request was done.
        self.idle_since = time.monotonic()

    def is_usable(self) -> bool:
        """Whether the server keeps it open and has sent nothing unasked."""
        try:
            self.connection.setblocking(False)
            if not self.reader.peek(1):
                self.connection.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except (OSError, GatewaydError):
            return False
        return False


class HttpPool:
    """One HTTP server. Connections are kept for further requests, whoever makes them; any thread may use it.

    How many connections are open at a time is for those to bound who make requests; how many are kept is ``kept``.
    """

    def __init__(
        self,
        url: str,
        *,
        ca_file: Path | None = None,
        timeout: float = 60.0,
        field: str = "url",
        kept: int = 4,
        idle: float = 30.0,
        permitted: Callable[[Sequence[HostAddress]], Sequence[HostAddress]] = lambda places: places,
    ) -> None:
        """Nothing is connected yet. ``url`` names the server; its path does not matter here. Raises ValueError if it is no URL.

        ``timeout``: seconds that connecting may take, and each part of a request (``HttpClient.stream``). ``field``: the YAML field
        with the URL, as errors name it. At most ``kept`` connections are kept, and none is used again after ``idle`` seconds.
        ``permitted`` returns those of the host's addresses that may be connected to, or raises.
        """
        parts = split_url(url, _MAX_LINK)
        #: The host's name in lower case, or its address without brackets.
        self.host = parts.hostname or ""
        #: The port to connect to.
        self.port = _port(parts)
        #: Whether the server speaks TLS.
        self.security: Literal["tls", "none"] = "tls" if parts.scheme == "https" else "none"
        #: Host and port, as messages name the server.
        self.where = f"{self.host}:{self.port}"
        #: Host and port as the URL has them, for the field Host (RFC 9110 section 7.2).
        self.authority = parts.netloc
        self._scheme = parts.scheme
        self._ca_file = ca_file
        self.timeout = timeout
        self.field = field
        self._most, self._idle = kept, idle
        self.permitted = permitted
        self._door = threading.Lock()
        #: The one that was used last is last.
        self._kept: list[KeptConnection] = []
        self._closed = False

    def target(self, url: str) -> str:
        """Return the path and query of a URL of this server; a path is returned as it is.

        Raises TransientError for another server's, such as a link in an answer: credentials would go along.
        """
        if url.startswith("/"):
            return url
        try:
            parts = split_url(url, _MAX_LINK)
        except ValueError:
            parts = None
        ours = (self._scheme, self.host, self.port)
        if parts is None or (parts.scheme, parts.hostname, _port(parts)) != ours:
            raise TransientError(
                f"{self.where}: a link leads to another server, and is not followed",
                advice=f"Check that `{self.field}` is right; if it lasts, see to that server.",
            )
        return target_of(parts)

    def take(self) -> KeptConnection | None:
        """Return a kept connection that is still usable, for one request; None if there is none."""
        while True:
            with self._door:
                if not self._kept:
                    return None
                found = self._kept.pop()
            if time.monotonic() - found.idle_since <= self._idle and found.is_usable():
                return found
            found.connection.close()

    def keep(self, connection: KeptConnection) -> None:
        """Keep a connection that is at the end of an answer; closes it, or another one, where there are too many."""
        connection.idle_since = now = time.monotonic()
        with self._door:
            self._kept.append(connection)
            most = 0 if self._closed else self._most
            fresh = [each for each in self._kept if now - each.idle_since <= self._idle][-most:] if most else []
            ended = [each for each in self._kept if each not in fresh]
            self._kept = fresh
        for each in ended:
            each.connection.close()

    def open(self, made: Callable[[Connection], object], *, most: float = math.inf) -> KeptConnection:
        """Connect, within ``most`` seconds; ``made`` gets the connection before that.

        Raises AuthError, TransientError, or ConfigError for the CA file.
        """
        context = tls_context(self._ca_file) if self.security == "tls" else None
        try:
            return KeptConnection(Connection(self, self.port, context, most=most, made=made))
        except OSError as error:
            raise translated(error, self.where, self.field) from error

    def close(self) -> None:
        """Close the kept connections; those in use are closed after their requests. Never raises."""
        with self._door:
            self._closed = True
            ended, self._kept = self._kept, []
        for each in ended:
            each.connection.close()


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)
