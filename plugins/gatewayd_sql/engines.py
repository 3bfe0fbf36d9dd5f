"""Make the engines of SQLite and PostgreSQL: how they connect, wait and commit."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import create_engine, event, make_url

from gatewayd import ConfigError
from gatewayd_sql.files import LONGEST_LOG, Files
from gatewayd_sql.postgresql_rows import run_for_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.pool import ConnectionPoolEntry

__all__ = ["SEEN", "connect", "is_there", "lock_schema"]

#: What a connection to SQLite knows of its files, in its ``info``.
SEEN = "files"

#: Seconds that a writer waits for another one; the URL may say ``?timeout=``.
_BUSY = "15"

#: How many connections of readers are kept, and how many seconds a writer waits for those of its own process.
_READERS, _PATIENCE = 16, 60.0

#: For how many seconds, and how many apart, a new database is turned to a write-ahead log while others do the same.
_TURNS, _BETWEEN_TURNS = 10.0, 0.01

#: How long a server of PostgreSQL is waited for (PostgreSQL manual, 34.1.2): in seconds, the last in milliseconds. A server that is
#: gone without a word is noticed so.
_CONNECTION: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    # Whatever its database or this process's environment says: mail has every character.
    "client_encoding": "UTF8",
}
#: The encoding of a database that holds every character (PostgreSQL manual, 24.3.1).
_EVERY_CHARACTER = "UTF8"
#: What the server ends by itself (PostgreSQL manual, 20.11.1): a transaction of a process that is frozen or cut off, so that its
#: locks stop nobody for longer than a lease lasts; a wait for a lock; a statement that takes too long.
_SESSION: Final = {
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "60s",
    "statement_timeout": "300s",
}

#: For how many milliseconds writers wait for those who read a long log.
_CUTTING: Final = 1000

_PRAGMAS: Final = (
    "synchronous=FULL",
    "foreign_keys=ON",
    "cache_size=-8192",
    "wal_autocheckpoint=1000",
    # A message of 200 MB would else leave a log of that size behind.
    f"journal_size_limit={LONGEST_LOG}",
)


class Engines(NamedTuple):
    """An engine for reading and one for writing."""

    reader: Engine
    writer: Engine
    #: SQLite's own; None where a server keeps the database.
    files: Files | None = None
    #: To be called before each transaction where it is given; raises TransientError.
    renew: Callable[[], None] | None = None


def connect(url: URL) -> Engines:
    """Return both engines. Connects to nothing yet."""
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    # What the URL itself says comes last, and counts.
    options = " ".join([*(f"-c {name}={value}" for name, value in _SESSION.items()), str(url.query.get("options", ""))])
    url = url.difference_update_query(["options"]).set(drivername="postgresql+psycopg")
    settings = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    try:
        engine = create_engine(url, pool_pre_ping=True, connect_args={**settings, "options": options.strip()})
    except ModuleNotFoundError as error:
        raise ConfigError("PostgreSQL can't be used: psycopg is not installed", advice="Install psycopg 3.") from error
    event.listen(engine, "connect", _holds_every_character)
    event.listen(engine, "connect", _commits_are_on_the_disk)
    event.listen(engine, "do_executemany", run_for_rows)
    return Engines(engine.execution_options(isolation_level="REPEATABLE READ"), engine)


def _holds_every_character(connection: psycopg.Connection[Any], _record: object) -> None:
    """Refuse a database that would take some mail and not other."""
    encoding = connection.info.parameter_status("server_encoding")
    # What stands in between, such as a pooler, need not tell.
    if encoding not in {None, _EVERY_CHARACTER}:
        name = f"{connection.info.host}/{connection.info.dbname}"
        connection.close()
        raise ConfigError(
            f"{name}: the database's encoding is {encoding}, which does not hold the characters of all mail",
            advice="Create it with ENCODING 'UTF8' TEMPLATE template0, and bring what is in it over by pg_dump and psql.",
        )


def _commits_are_on_the_disk(connection: psycopg.Connection[Any], _record: object) -> None:
    """Wait for the disk at each commit (promise P2), also where the server is set up not to; one that waits for more still does."""
    connection.execute("SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
    connection.commit()


def is_there(url: str) -> bool:
    """Whether there is a database at all, as far as its file tells: to connect to SQLite's would make it."""
    parsed = make_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").is_file()


def _sqlite(url: URL) -> Engines:
    folder = Path(url.database or "").parent
    if not folder.is_dir():
        raise ConfigError(
            f"{url.database}: there is no folder {folder}", advice="Make the folder, or correct `state` or the store's `url`."
        )
    file = Path(url.database or "")
    if file.exists() and not file.is_file():
        raise ConfigError(f"{file}: it is no file", advice="Correct the store's `url`, or move away what lies there.")
    url = url.update_query_dict({"timeout": _BUSY} | dict(url.query))
    # Writers of this process wait in a queue for one connection: SQLite's own way of waiting is to sleep, ever longer, and
    # whoever comes by at the right moment is first.
    engines = create_engine(url, pool_size=_READERS), create_engine(url, pool_size=1, max_overflow=0, pool_timeout=_PATIENCE)
    files = Files(file)

    def connected(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        _set_up(connection)
        record.info[SEEN] = files.opened(connection)

    def begun(connection: Connection) -> None:
        files.prove(connection.info[SEEN])
        writes = connection.get_execution_options()["begin"] == "IMMEDIATE"
        if writes and files.header:
            files.header.bring(connection)
        if writes and files.log_is_long():
            _cut_log(connection)
        connection.exec_driver_sql(f"BEGIN {'IMMEDIATE' if writes else 'DEFERRED'}")
        if writes and files.header:
            files.header.count(connection)

    for engine in engines:
        event.listen(engine, "do_connect", lambda *_: files.opening())
        event.listen(engine, "connect", connected)
        event.listen(engine, "begin", begun)
    reader, writer = engines
    return Engines(reader.execution_options(begin="DEFERRED"), writer.execution_options(begin="IMMEDIATE"), files)


def _cut_log(connection: Connection) -> None:
    """Bring the log into the database and empty it, where readers whose transactions overlap kept each other in its middle.

    A transaction of our own marks its end first: who may not write such a mark begins to read there then, and those who read before
    it are waited for (sqlite.org/walformat.html, 2.3).
    """
    for statement in ("BEGIN IMMEDIATE", "COMMIT"):
        connection.exec_driver_sql(statement)
    patience = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    connection.exec_driver_sql(f"PRAGMA busy_timeout={_CUTTING}")
    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
    connection.exec_driver_sql(f"PRAGMA busy_timeout={patience}").all()


def _set_up(connection: sqlite3.Connection) -> None:
    # The driver would begin transactions itself, and too late: a reader that turns writer fails at once when another writes.
    connection.isolation_level = None
    connection.execute("PRAGMA page_size=16384")
    _keep_log(connection)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _keep_log(connection: sqlite3.Connection) -> None:
    """Let a new database keep a write-ahead log.

    Where several turn it at once, SQLite tells all but one that it is locked, without waiting (sqlite.org/wal.html, "Sometimes
    Queries Return SQLITE_BUSY In WAL Mode"): by the next try one of them has done it for all.
    """
    until = time.monotonic() + _TURNS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if time.monotonic() > until or error.sqlite_errorname != "SQLITE_BUSY":
                raise
            time.sleep(_BETWEEN_TURNS)
        else:
            return


def lock_schema(connection: Connection) -> None:
    """Wait until nobody else changes the tables; the lock ends with the transaction. SQLite's writer holds it already.

    Nothing bounds that transaction: tables of many rows take their time to change.
    """
    if connection.dialect.name == "postgresql":
        for name in _SESSION:
            connection.exec_driver_sql(f"SET LOCAL {name} = 0")
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7160943025)")
