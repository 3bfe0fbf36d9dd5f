"""The files of an SQLite database, held against those that a process has open.

Whoever puts a backup in their place, or takes them away, while they are open leaves the process with files that have no name any
more: what it writes there is gone with it (sqlite.org/howtocorrupt.html, 2.4). It must notice before anything is done on a mail
server.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, TypeAlias

from gatewayd import StoreReplaced, TransientError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

__all__ = ["Files", "Seen"]

#: Device and number of the database and of its write-ahead log; None where there is none.
Seen: TypeAlias = tuple[tuple[int, int] | None, tuple[int, int] | None]


class Files:
    """The files of one database, as a process opened them first. Any thread may ask."""

    def __init__(self, file: Path) -> None:
        """Look at nothing yet."""
        self._file = file
        self._first: Seen | None = None
        self._open: set[sqlite3.Connection] = set()
        #: Others have another database by these names.
        self.replaced = False

    def opened(self, connection: sqlite3.Connection) -> Seen:
        """Return what a new connection has open; raises StoreReplaced where others have another database."""
        # Only who has read has the log open, which stays where it is while anybody has.
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        self._open.add(connection)
        seen = (_identity(self._file), _identity(self._log))
        self._first = self._first or seen
        if self._first[0] != seen[0]:
            self._end()
        return seen

    def closed(self, connection: sqlite3.Connection) -> None:
        """Forget a connection."""
        self._open.discard(connection)

    def prove(self, seen: Seen) -> None:
        """Prove that what a connection has open is what has these names now.

        Raises StoreReplaced where it is not, and TransientError where nothing has the name: it may have been moved, and come back.
        """
        now = _identity(self._file)
        if now is None:
            advice = "Put it back where it was, or stop gatewayd and restore a backup. Nothing is imported meanwhile."
            raise TransientError(f"{self._file}: the database's file is gone", advice=advice)
        if self.replaced or now != seen[0] or seen[1] not in {None, _identity(self._log)}:
            self._end()

    @property
    def _log(self) -> Path:
        return self._file.with_name(f"{self._file.name}-wal")

    def _end(self) -> None:
        kept, self.replaced = [] if self.replaced else [*self._open], True
        for connection in kept:
            # It stays open until the process ends: whoever closes the last one removes the log by its name, which is another
            # database's by now.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        raise StoreReplaced(
            f"{self._file}: the database was replaced, or its write-ahead log taken away, while gatewayd had it open",
            advice="This process writes nothing any more, and ends; the next one works with the database that lies there.",
        )


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
