"""All that only SQLite or only PostgreSQL knows: types, words of SQL, how an engine is set up, what an error means."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypedDict, cast

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Double,
    Insert,
    Integer,
    Text,
    TypeDecorator,
    bindparam,
    create_engine,
    event,
    exc,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from gatewayd import ConfigError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import URL, Connection, Dialect, Engine, Table
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine

__all__ = [
    "NEVER_REUSED",
    "SMALL_ROWS",
    "Id",
    "InsertOrIgnore",
    "InsertOrReplace",
    "connect",
    "lock_schema",
    "now",
    "one_of",
    "only_where",
    "translated",
]


# --- words of SQL -----------------------------------------------------------------------------------------------------


class _TableWords(TypedDict, total=False):
    sqlite_with_rowid: bool
    sqlite_autoincrement: bool


class _IndexWords(TypedDict):
    sqlite_where: ColumnElement[bool]
    postgresql_where: ColumnElement[bool]


#: An id of 64 bits; SQLite counts up only what is called INTEGER.
Id = BigInteger().with_variant(Integer(), "sqlite")

#: For tables of small rows under a key of several columns: SQLite then keeps one tree in place of two.
SMALL_ROWS: Final[_TableWords] = {"sqlite_with_rowid": False}

#: For tables whose ids must not come again once their rows are gone.
NEVER_REUSED: Final[_TableWords] = {"sqlite_autoincrement": True}


def only_where(condition: ColumnElement[bool]) -> _IndexWords:
    """Return the arguments by which an index holds only the rows that fit ``condition``."""
    return {"sqlite_where": condition, "postgresql_where": condition}


class now(ColumnElement[float]):  # noqa: N801  it stands in statements like a function
    """The database's clock, in seconds since 1970 in UTC."""

    type = Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_of_sqlite(_element: now, _compiler: SQLCompiler, **_: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_of_postgresql(_element: now, _compiler: SQLCompiler, **_: object) -> str:
    return "extract(epoch from clock_timestamp())::float8"


class _Texts(TypeDecorator[list[str]]):
    """Any number of texts as one value: an array, or JSON where the database has none."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(Text()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> object:
        return value if dialect.name == "postgresql" else json.dumps(value)


class one_of(FunctionElement[bool]):  # noqa: N801  it stands in statements like a function
    """Whether a column of text has one of many values. An IN costs as much a value as the database does."""

    # Without the type of a Boolean, which SQLAlchemy would compare with 1 on SQLite, and no index would be used.
    inherit_cache = True

    def __init__(self, column: ColumnElement[str], values: Iterable[str]) -> None:
        super().__init__(column, bindparam(None, list(values), type_=_Texts(), unique=True))


@compiles(one_of, "sqlite")
def _one_of_on_sqlite(element: one_of, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608  parts of the statement that is compiled


@compiles(one_of, "postgresql")
def _one_of_on_postgresql(element: one_of, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} = ANY ({values})"


class InsertOrIgnore(Insert):
    """An INSERT that leaves rows alone whose key is taken."""

    inherit_cache = True


@compiles(InsertOrIgnore)
def _insert_or_ignore(element: InsertOrIgnore, compiler: SQLCompiler, **options: Any) -> str:
    # Both databases read it so; SQLAlchemy offers it only by a class for each.
    insert: str = compiler.visit_insert(element, **options)  # type: ignore[no-untyped-call]
    return f"{insert} ON CONFLICT DO NOTHING"


class InsertOrReplace(Insert):
    """An INSERT of whole rows that takes the place of those whose primary key is the same."""

    inherit_cache = True


@compiles(InsertOrReplace)
def _insert_or_replace(element: InsertOrReplace, compiler: SQLCompiler, **options: Any) -> str:
    insert: str = compiler.visit_insert(element, **options)  # type: ignore[no-untyped-call]
    table = cast("Table", element.table)
    name = compiler.preparer.format_column
    key = ", ".join(name(column) for column in table.primary_key)
    new = ", ".join(f"{name(column)} = excluded.{name(column)}" for column in table.c if not column.primary_key)
    return f"{insert} ON CONFLICT ({key}) DO UPDATE SET {new}"


# --- engines ----------------------------------------------------------------------------------------------------------

#: Seconds that a writer waits for another one; the URL may say ``?timeout=``.
_BUSY = "15"

#: How often, and how many seconds apart, a new database is turned to a write-ahead log while others do the same.
_TURNS, _BETWEEN_TURNS = 100, 0.01

_PRAGMAS: Final = (
    "synchronous=FULL",
    "foreign_keys=ON",
    "cache_size=-8192",
    "wal_autocheckpoint=1000",
    # A message of 200 MB would else leave a log of that size behind.
    f"journal_size_limit={64 << 20}",
)


def connect(url: URL) -> tuple[Engine, Engine]:
    """Return an engine for reading and one for writing, over one pool of connections. Connects to nothing yet."""
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    try:
        engine = create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise ConfigError("PostgreSQL can't be used: psycopg is not installed", advice="Install psycopg 3.") from error
    return engine.execution_options(isolation_level="REPEATABLE READ"), engine


def _sqlite(url: URL) -> tuple[Engine, Engine]:
    folder = Path(url.database or "").parent
    if not folder.is_dir():
        raise ConfigError(
            f"{url.database}: there is no folder {folder}", advice="Make the folder, or correct `state` or the store's `url`."
        )
    engine = create_engine(url.update_query_dict({"timeout": _BUSY} | dict(url.query)))
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine.execution_options(begin="DEFERRED"), engine.execution_options(begin="IMMEDIATE")


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
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
    for left in reversed(range(_TURNS)):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if not left or error.sqlite_errorname != "SQLITE_BUSY":
                raise
            time.sleep(_BETWEEN_TURNS)
        else:
            return


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options()['begin']}")


def lock_schema(connection: Connection) -> None:
    """Wait until nobody else changes the tables; the lock ends with the transaction. SQLite's writer holds it already."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7160943025)")


# --- what an error means ----------------------------------------------------------------------------------------------

_FULL = "Make room on the disk; the work goes on by itself."
_RIGHTS = "Let the service's user write the file and its folder, or correct `state` or the store's `url`."
_DAMAGED = "Stop gatewayd, keep the file, and put back a copy, or save what can be read with `sqlite3 FILE .recover`."

_Verb: TypeAlias = type[ConfigError] | type[TransientError]
_Meanings: TypeAlias = tuple[tuple[str, _Verb, str, str], ...]

#: By SQLite's name of the error, the longest beginning first.
_SQLITE: Final[_Meanings] = (
    ("SQLITE_FULL", TransientError, "the disk is full", _FULL),
    ("SQLITE_IOERR", TransientError, "the disk is full, over its quota, or broken ({error})", _FULL),
    ("SQLITE_BUSY", TransientError, "the database is locked by another process", "It is tried again."),
    ("SQLITE_LOCKED", TransientError, "the database is locked by another process", "It is tried again."),
    ("SQLITE_READONLY", ConfigError, "the database can't be written", _RIGHTS),
    ("SQLITE_PERM", ConfigError, "the database can't be opened", _RIGHTS),
    ("SQLITE_CANTOPEN", ConfigError, "the database can't be opened", _RIGHTS),
    ("SQLITE_NOTADB", ConfigError, "this file is no SQLite database", "Correct the store's `url`, or move the file away."),
    ("SQLITE_CORRUPT", ConfigError, "the database is damaged ({error})", _DAMAGED),
)

#: By the beginning of PostgreSQL's SQLSTATE (PostgreSQL manual, appendix A).
_POSTGRESQL: Final[_Meanings] = (
    ("53100", TransientError, "the database server's disk is full", _FULL),
    ("53", TransientError, "the database server is overloaded", "It is tried again."),
    ("08", TransientError, "the connection to the database server is lost", "It is tried again."),
    ("57P", TransientError, "the database server goes down", "It is tried again."),
    ("40", TransientError, "two transactions were in each other's way", "It is tried again."),
    ("55P", TransientError, "the database is locked by another process", "It is tried again."),
    ("25006", ConfigError, "the database can't be written", "Give the store's `url` a server that takes writes."),
    ("28", ConfigError, "the database server refuses this user", "Correct user and password in the store's `url`."),
    ("3D", ConfigError, "there is no such database", "Create it, or correct the store's `url`."),
    ("42501", ConfigError, "the database refuses this user", "Let the user make and write tables."),
)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Translate SQLAlchemy's errors inside the block into the kernel's verbs. ``where`` names the database."""
    try:
        yield
    except exc.TimeoutError as error:
        raise TransientError(f"{where}: all connections are in use", advice="It is tried again.") from error
    except exc.DBAPIError as error:
        meant = _meaning(error)
        if meant is None:
            raise
        verb, text, advice = meant
        raise verb(f"{where}: {text.format(error=error.orig)}", advice=advice) from error


def _meaning(error: exc.DBAPIError) -> tuple[_Verb, str, str] | None:
    name = getattr(error.orig, "sqlite_errorname", None)
    code = getattr(error.orig, "sqlstate", None)
    for table, found in ((_SQLITE, name), (_POSTGRESQL, code)):
        for beginning, verb, text, advice in table:
            if found and found.startswith(beginning):
                return verb, text, advice
    if name is None and code is None and isinstance(error, exc.OperationalError):
        # psycopg gives no SQLSTATE where there is no server to give one.
        return TransientError, "the database server can't be reached", "Check the store's `url`, and that the server runs."
    return None
