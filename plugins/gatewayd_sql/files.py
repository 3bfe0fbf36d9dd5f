"""Notice when the files of an SQLite database were replaced, overwritten or removed while this process has them open.

Whoever puts a backup in their place, or takes them away, while they are open leaves the process with files that have no name any
more: what it writes there is gone with it (sqlite.org/howtocorrupt.html, 2.4). It must notice before anything is done on a mail
server.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from gatewayd import StoreReplaced, TransientError
from gatewayd_sql.header import Header, keep_out

if TYPE_CHECKING:
    import sqlite3
    from typing import NoReturn

__all__ = ["LONGEST_LOG", "Files", "OpenFiles"]

#: How many bytes a write-ahead log has at most once it was cut.
LONGEST_LOG: Final = 64 << 20

#: Device and number of a file; None where there is none.
_Identity: TypeAlias = tuple[int, int] | None


class OpenFiles(NamedTuple):
    """What a connection has open: the database, and its write-ahead log if it has one."""

    file: _Identity
    log: _Identity


class Files:
    """The files of one database, as a process opened them first. Any thread may ask.

    SQLite itself closes as is right: where the database was replaced it leaves all that has a name alone, and where only the log
    was taken away, the last connection that has it open brings what it holds into the database.
    """

    def __init__(self, file: Path) -> None:
        """Look at nothing yet."""
        self._file = file
        # SQLite has the log beside the file itself, not beside a link to it.
        self._log = Path(f"{os.path.realpath(file)}-wal")
        self._first: _Identity = None
        self.header: Header | None = None
        self._long = LONGEST_LOG
        #: What became of the database once it is not what it was; that is how it stays.
        self._replaced = ""

    def opening(self) -> None:
        """Raise TransientError where a new connection would make an empty database, StoreReplaced where it would open another."""
        if self._first is None:
            return
        file = _identity(self._file)
        if file is None:
            self._gone()
        if self._replaced or file != self._first:
            self._end()
        self._prove_header()

    def opened(self, connection: sqlite3.Connection) -> OpenFiles:
        """Return what a new connection has open; raises StoreReplaced where others have another database."""
        # Only who has read has the log open, which stays where it is while anybody has.
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        seen = OpenFiles(_identity(self._file), _identity(self._log))
        self._first = self._first or seen.file
        if self._first != seen.file:
            self._end()
        self.header = self.header or Header(self._file)
        return seen

    def prove(self, seen: OpenFiles) -> None:
        """Prove that what a connection has open is what has these names now.

        Raises StoreReplaced where it is not, and TransientError where nothing has the name: it may have been moved, and come back.
        """
        file, log = _identity(self._file), _identity(self._log)
        if file is None:
            self._gone()
        if file != seen.file and log == seen.log is not None:
            self._put_log_aside()
        if self._replaced or file != seen.file or seen.log not in {None, log}:
            self._end()
        self._prove_header()

    def log_is_long(self) -> bool:
        """Whether the log is longer than it gets where it can be cut, and has grown by as much again since that was told last."""
        try:
            size = self._log.stat().st_size
        except OSError:
            return False
        if size <= self._long:
            self._long = min(self._long, size + LONGEST_LOG)
            return False
        self._long = size + LONGEST_LOG
        return True

    def _prove_header(self) -> None:
        if self.header and not self.header.is_ours():
            keep_out(self._log)
            self._end("the database was overwritten")

    def _put_log_aside(self) -> None:
        """Rename the log of the database before, and its index: they would be taken for those of the one that lies there."""
        for name in (str(self._log), f"{str(self._log).removesuffix('-wal')}-shm"):
            with suppress(OSError):
                Path(name).replace(f"{name}.of-before")

    def _gone(self) -> NoReturn:
        advice = "Put it back where it was, or stop gatewayd and restore a backup. Nothing is imported meanwhile."
        raise TransientError(f"{self._file}: the database's file is gone", advice=advice)

    def _end(self, what: str = "the database was replaced, or its write-ahead log taken away,") -> NoReturn:
        self._replaced = self._replaced or what
        raise StoreReplaced(
            f"{self._file}: {self._replaced} while gatewayd had it open",
            advice="This process writes nothing any more, and ends; the next one works with the database that lies there.",
        )


def _identity(file: Path) -> _Identity:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TransientError(f"{file}: it can't be looked at: {error.strerror}") from error
    return status.st_dev, status.st_ino
