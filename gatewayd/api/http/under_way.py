"""The connections over which requests of one client are under way: take, open, cut and return them."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

from gatewayd.errors import TransientError

if TYPE_CHECKING:
    from gatewayd.api.connection import Connection
    from gatewayd.api.http.pool import HttpPool, KeptConnection

__all__ = ["UnderWay"]


class UnderWay:
    """The connections of one client that are in use. Any thread may call all methods."""

    def __init__(self, pool: HttpPool) -> None:
        self.pool = pool
        self._door = threading.Lock()
        self._connections: set[Connection] = set()
        #: All are cut, and none is used any more.
        self.is_aborted = False

    def take(self) -> KeptConnection | None:
        """Return a kept connection for one request; None if there is none."""
        kept = self.pool.take()
        if kept is not None:
            self._begin(kept.connection)
        return kept

    def open(self, *, most: float = math.inf) -> KeptConnection:
        """Return a new connection. See ``HttpPool.open``, also for what is raised."""
        made: list[Connection] = []

        def begin(connection: Connection) -> None:
            made.append(connection)
            self._begin(connection)

        try:
            return self.pool.open(begin, most=most)
        except BaseException as error:
            with self._door:
                self._connections.difference_update(made)
            if self.is_aborted and isinstance(error, TransientError):
                raise TransientError(f"{self.pool.where}: the connection was aborted") from error
            raise

    def release(self, line: KeptConnection, *, keep: bool) -> None:
        """Return a connection: to the pool, or to nobody."""
        with self._door:
            self._connections.discard(line.connection)
        if keep:
            self.pool.keep(line)
        else:
            line.connection.close()

    def abort(self) -> None:
        """Break the connections of all requests under way, and let none begin. Never raises."""
        with self._door:
            self.is_aborted = True
            for connection in self._connections:
                connection.cut()

    def _begin(self, connection: Connection) -> None:
        with self._door:
            self._connections.add(connection)
            if self.is_aborted:
                connection.cut()
