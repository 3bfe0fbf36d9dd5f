"""Translate errors of SQLite and PostgreSQL into the kernel's exceptions."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from sqlalchemy import exc

from gatewayd import ConfigError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["START", "translated"]

#: What helps where a process that only reads finds no database that it can read.
START = "Start the daemon, which makes the database and brings it to its version: `systemctl start gatewayd`."

_FULL = "Make room on the disk; the work goes on by itself."
_RIGHTS = "Let the service's user write the file and its folder, or correct `state` or the store's `url`."
_SERVER = "If it lasts, see to the database server, and to its log."
_WAYS = "That passes by itself; if it comes often, report it."
_LOCKED = "See what holds it, such as a backup that hangs."
_NONE = "Stop gatewayd, keep the file, and put back a copy; or correct the store's `url`, if it names another program's file."
_DAMAGED = "Stop gatewayd, keep the file, and put back a copy, or save what can be read with `sqlite3 FILE .recover`."
_BROKEN = "Stop gatewayd, keep the server's data as it is, see its log, and restore a backup."

_Verb: TypeAlias = type[ConfigError] | type[TransientError]
_Meanings: TypeAlias = tuple[tuple[str, _Verb, str, str], ...]

#: By SQLite's name of the error, the longest beginning first.
_SQLITE: Final[_Meanings] = (
    ("SQLITE_FULL", TransientError, "the disk is full", _FULL),
    ("SQLITE_IOERR", TransientError, "the disk is full, over its quota, or broken ({error})", _FULL),
    ("SQLITE_BUSY", TransientError, "the database is locked by another process", _LOCKED),
    ("SQLITE_LOCKED", TransientError, "the database is locked by another process", _LOCKED),
    # A race for the write-ahead log that was lost for seconds (sqlite.org/rescode.html).
    ("SQLITE_PROTOCOL", TransientError, "the database is locked by another process", _LOCKED),
    ("SQLITE_READONLY", ConfigError, "the database can't be written", _RIGHTS),
    ("SQLITE_PERM", ConfigError, "the database can't be opened", _RIGHTS),
    ("SQLITE_CANTOPEN", ConfigError, "the database can't be opened", _RIGHTS),
    ("SQLITE_NOTADB", ConfigError, "this file is no SQLite database", _NONE),
    ("SQLITE_CORRUPT", ConfigError, "the database is damaged ({error})", _DAMAGED),
)

#: By the beginning of PostgreSQL's SQLSTATE (PostgreSQL manual, appendix A).
_POSTGRESQL: Final[_Meanings] = (
    ("53100", TransientError, "the database server's disk is full", _FULL),
    ("53", TransientError, "the database server is overloaded", _SERVER),
    ("08", TransientError, "the connection to the database server is lost", _SERVER),
    ("57014", TransientError, "the database server took too long for a statement", _SERVER),
    ("25P03", TransientError, "the database server ended a transaction that stood still", _SERVER),
    ("57P", TransientError, "the database server goes down", _SERVER),
    ("40", TransientError, "two transactions were in each other's way", _WAYS),
    ("23503", TransientError, "what it refers to was taken back a moment ago", _WAYS),
    ("55P", TransientError, "the database is locked by another process", _LOCKED),
    ("58P01", ConfigError, "the database is damaged: a file of its server is not there", _BROKEN),
    ("58", TransientError, "the database server can't read or write its files", _SERVER),
    ("XX001", ConfigError, "the database is damaged", _BROKEN),
    ("XX002", ConfigError, "the database is damaged: an index of it", _BROKEN),
    ("25006", ConfigError, "the database can't be written", "Give the store's `url` a server that takes writes."),
    ("28", ConfigError, "the database server refuses this user", "Correct user and password in the store's `url`."),
    ("3D", ConfigError, "there is no such database", "Create it, or correct the store's `url`."),
    ("42P01", TransientError, "the database's tables are gone", "A backup may just be restored. Nothing is imported meanwhile."),
    ("42501", ConfigError, "the database refuses this user", "Let the user make and write tables."),
)


#: Before the others where a process reads what another one writes. A write-ahead log that nobody writes, and that this user may
#: not make, can't be read (sqlite.org/wal.html, "Read-Only Databases").
_READING: Final[_Meanings] = (
    ("SQLITE_READONLY_", TransientError, "the database is not open in any daemon", START),
    ("SQLITE_CANTOPEN", TransientError, "the database can't be opened for reading", START),
    ("42501", ConfigError, "the database refuses this user", "Let the user read all tables: GRANT SELECT."),
)


@contextmanager
def translated(where: str, *, reading: bool = False) -> Iterator[None]:
    """Translate SQLAlchemy's errors inside the block into the kernel's verbs.

    ``where`` names the database; ``reading`` says that it is open for reading alone.
    """
    try:
        yield
    except exc.TimeoutError as error:
        raise TransientError(
            f"{where}: all connections are in use", advice="If it lasts, something holds them: see the log."
        ) from error
    except exc.DBAPIError as error:
        meant = _meaning(error, _READING if reading else ())
        if meant is None:
            raise
        verb, text, advice = meant
        raise verb(f"{where}: {text.format(error=error.orig)}", advice=advice) from error


def _meaning(error: exc.DBAPIError, first: _Meanings) -> tuple[_Verb, str, str] | None:
    name = getattr(error.orig, "sqlite_errorname", None)
    code = getattr(error.orig, "sqlstate", None)
    for table, found in ((first, name or code), (_SQLITE, name), (_POSTGRESQL, code)):
        for beginning, verb, text, advice in table:
            if found and found.startswith(beginning):
                return verb, text, advice
    if name is None and code is None and isinstance(error, exc.OperationalError):
        if isinstance(error.orig, sqlite3.OperationalError):
            # What SQLite itself has no name for: a text that is none.
            return ConfigError, "the database is damaged ({error})", _DAMAGED
        # psycopg gives no SQLSTATE where there is no server to give one.
        return TransientError, "the database server can't be reached", "Check the store's `url`, and that the server runs."
    return None
