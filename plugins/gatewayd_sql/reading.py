"""Connect to a database for reading alone, beside the daemon that writes it: as another Unix user, or a role that may only SELECT.

SQLite reads a write-ahead log without the right to write it or its index, as long as both files are there and can be read
(sqlite.org/wal.html, "Read-Only Databases"). A reader that can't write the index can't mark in it how far it reads: it takes the
last mark that a writer has made, so a transaction keeps the log from being cut for no longer than it lasts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import create_engine, event, exc

from gatewayd import TransientError
from gatewayd_sql import engines
from gatewayd_sql.errors import START

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import URL, Connection
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

__all__ = ["connect_reading"]

#: How many connections are kept, and how many there may be besides.
_KEPT, _MORE = 8, 24
_INFO = "file"


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

    def connecting(*_: object) -> None:
        _files(file)

    def connected(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA query_only=ON")
        # The log is opened by the first read.
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        record.info[_INFO] = _files(file)

    def taken(_connection: object, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        # A backup may have been put in its place, or its log taken away: the pool opens what lies there now.
        if record.info[_INFO] != _files(file):
            raise exc.DisconnectionError

    event.listen(engine, "do_connect", connecting)
    event.listen(engine, "connect", connected)
    event.listen(engine, "checkout", taken)
    event.listen(engine, "begin", _begun)
    return engines.Engines(engine, engine)


def _begun(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


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
        advice = "Let this process's user read its folder: `gatewayd install --web` says how it has to be."
        raise TransientError(f"{file}: the database can't be reached: {error.strerror}", advice=advice) from error
    return (status.st_dev, status.st_ino, logged.st_ino if logged else 0)
