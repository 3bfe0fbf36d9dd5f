"""Connect to a database for reading alone, beside the daemon that writes it: as another Unix user, or a role that may only SELECT.

SQLite reads a write-ahead log without the right to write it or its index, as long as both files are there and can be read
(sqlite.org/wal.html, "Read-Only Databases"). A reader that can't write the index can't mark in it how far it reads: it takes the
last mark that a writer has made, so a transaction keeps the log from being cut for no longer than it lasts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import create_engine, event

from gatewayd import TransientError
from gatewayd_sql import engines
from gatewayd_sql.errors import START
from gatewayd_sql.header import Header

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import URL, Connection, Engine

__all__ = ["connect_reading"]

#: How many connections are kept, and how many there may be besides.
_KEPT, _MORE = 8, 24


def connect_reading(url: URL) -> engines.Engines:
    """Return engines that write nothing. Connects to nothing yet."""
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    options = f"-c default_transaction_read_only=on {url.query.get('options', '')}"
    return engines.connect(url.update_query_dict({"options": options.strip()}))


def _sqlite(url: URL) -> engines.Engines:
    file = Path(url.database or "")
    uri = url.set(database=f"file:{quote(str(file))}").update_query_dict({"mode": "ro", "uri": "true"})
    engine = create_engine(uri, pool_size=_KEPT, max_overflow=_MORE)
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", _begun)
    return engines.Engines(engine, engine, renew=_Renewal(engine, file).renew)


def _connected(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only=ON")


def _begun(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


class _Renewal:
    """Lets go of all connections once another database lies there, such as a backup, or the log was taken away.

    A connection that is merely kept keeps the log's index, too, by which the daemon would then read another database's log.
    """

    def __init__(self, engine: Engine, file: Path) -> None:
        self._engine = engine
        self._file = file
        self._known: tuple[int, ...] | None = None
        self._header: Header | None = None

    def renew(self) -> None:
        """Look what lies there now, before each transaction. Raises TransientError where nothing does, or it can't be read."""
        now, header = _files(self._file), self._header
        if self._known not in {None, now} or (header and not header.is_ours()):
            self._engine.dispose()
            header = None
        try:
            self._header = header or Header(self._file)
        except OSError as error:
            raise _unreachable(self._file, error) from error
        self._known = now


def _files(file: Path) -> tuple[int, ...]:
    """Return device and number of the database and of its log, without the latter where there is none; raises TransientError."""
    try:
        status = file.stat()
        log = file.resolve()
        log = log.with_name(f"{log.name}-wal")
        logged = log.stat() if log.exists() else None
    except FileNotFoundError as error:
        raise TransientError(f"{file}: there is no database", advice=START) from error
    except OSError as error:
        raise _unreachable(file, error) from error
    return (status.st_dev, status.st_ino, logged.st_ino if logged else 0)


def _unreachable(file: Path, error: OSError) -> TransientError:
    advice = "Let this process's user read it: `gatewayd install --web` sets the rights of its folder, the daemon its own."
    return TransientError(f"{file}: the database can't be reached: {error.strerror}", advice=advice)
