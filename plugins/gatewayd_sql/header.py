"""Notice when an SQLite database was overwritten in place: by `cp`, `rsync --inplace` or a restore over the network.

The file keeps its name and number then, and SQLite goes on with the pages that it has in memory: what it writes afterwards mixes
two databases. What tells is the file's header (sqlite.org/fileformat.html, 1.3), which is read past SQLite: a copy that was made by
`VACUUM INTO` keeps no write-ahead log, and any other copy that is older than ``_BROUGHT`` has a lower count than was seen there.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary, finalize

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

__all__ = ["Header", "keep_out"]

_LENGTH: Final = 100
#: Where the header says how the database is written and read: 2 where there is a write-ahead log, 1 where there is none.
_FORMAT: Final = slice(18, 20)
#: Where it has the count: ``PRAGMA user_version``, which SQLite leaves to programs.
_COUNT: Final = slice(60, 64)
_HIGHEST: Final = (1 << 31) - 1

#: At most so often, in seconds, the count is raised, and brought from the log into the file.
_RAISED, _BROUGHT = 1.0, 20.0
#: How often, and how many seconds apart, what can't be ours is read again: it may be in the middle of being written.
_TURNS, _BETWEEN_TURNS = 3, 0.02


class _OpenFile:
    """A file that is open for reading, and closed once nobody has it."""

    def __init__(self, file: Path) -> None:
        """Open it; raises OSError."""
        self.descriptor = os.open(file, os.O_RDONLY)
        finalize(self, os.close, self.descriptor)


#: One for each file in this process: when a process closes a file, whatever SQLite has locked there is unlocked
#: (sqlite.org/howtocorrupt.html, 2.2).
_open_files: WeakValueDictionary[tuple[int, int], _OpenFile] = WeakValueDictionary()
_opening = Lock()


class Header:
    """The header of one database's file, as long as one engine has it open. Any thread may ask."""

    def __init__(self, file: Path) -> None:
        """Look at what SQLite has just opened; raises OSError."""
        status = file.stat()
        with _opening:
            name = (status.st_dev, status.st_ino)
            self._file = _open_files.get(name) or _OpenFile(file)
            _open_files[name] = self._file
        self._lock = Lock()
        header = self._read()
        self._format, self._count = header[_FORMAT], header[_COUNT]
        self._raised, self._brought = 0.0, time.monotonic()

    def _read(self) -> bytes:
        return os.pread(self._file.descriptor, _LENGTH, 0)

    def is_ours(self) -> bool:
        """Whether the file can be what SQLite wrote of this database: it is asked before and after each transaction."""
        with self._lock:
            for left in reversed(range(_TURNS)):
                header = self._read()
                if header[_FORMAT] == self._format and header[_COUNT] >= self._count:
                    self._count = header[_COUNT]
                    return True
                if left:
                    time.sleep(_BETWEEN_TURNS)
            return False

    def bring(self, connection: Connection) -> None:
        """Bring the count that is in the log into the file at times; called before a transaction that writes."""
        if time.monotonic() - self._brought >= _BROUGHT:
            self._brought = time.monotonic()
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").all()

    def count(self, connection: Connection) -> None:
        """Raise the count at times; called within a transaction that writes."""
        if time.monotonic() - self._raised >= _RAISED:
            self._raised = time.monotonic()
            count = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
            connection.exec_driver_sql(f"PRAGMA user_version = {min(count + 1, _HIGHEST)}")


def keep_out(log: Path) -> None:
    """Copy a log aside and empty it, so that SQLite brings nothing of it into the database that was put in its file's place."""
    with suppress(OSError):
        shutil.copyfile(log, f"{log}.of-before")
    with suppress(OSError):
        os.truncate(log, 0)
