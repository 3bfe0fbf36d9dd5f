"""Open a database, run short transactions on it, and bring its tables to this version."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from sqlalchemy import create_mock_engine, event, exc, inspect, make_url, text

from gatewayd import ConfigError, GatewaydError, TransientError
from gatewayd_sql import engines
from gatewayd_sql.catalog import CATALOG, Catalog
from gatewayd_sql.errors import START, translated
from gatewayd_sql.migrations import HEAD, VERSION_TABLE, VERSION_TABLE_SQL
from gatewayd_sql.reading import connect_reading
from gatewayd_sql.search_tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, ExecutableDDLElement, Insert, Row, Update
    from sqlalchemy.engine.mock import MockConnection
    from sqlalchemy.pool import ConnectionPoolEntry
    from sqlalchemy.sql.selectable import TypedReturnsRows

__all__ = ["Database", "Many", "asked", "pieces"]

_Value = TypeVar("_Value")
_Columns = TypeVarTuple("_Columns")

#: How many values stand in one IN: every database takes so many, and PostgreSQL still uses its index.
_PIECE = 500


def pieces(values: Iterable[_Value]) -> Iterator[list[_Value]]:
    """Yield the values in lists that are short enough for one IN."""
    every = list(values)
    for start in range(0, len(every), _PIECE):
        yield every[start : start + _PIECE]


class Many:
    """An INSERT or UPDATE that is run for many rows at once, every row with the same keys.

    It is compiled once, and rows go to the driver as they are: SQLAlchemy's own way costs as much a row as the database
    does. So it is only for values that need no conversion, and every value that stands in the statement is a key of the rows.
    """

    def __init__(self, statement: Insert | Update) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, ...], tuple[str, Callable[[Mapping[str, object]], Any]]] = {}

    def run(self, connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
        """Run it for all rows; does nothing where there are none."""
        if not rows:
            return
        key = (connection.dialect.name, *rows[0])
        sql, ordered = self._compiled.get(key) or self._compile(connection, key)
        connection.exec_driver_sql(sql, [ordered(row) for row in rows])

    def run_mixed(self, connection: Connection, rows: Iterable[Mapping[str, object]]) -> None:
        """Run it for rows of which some have other keys than others: once for each set of keys, of which there are few."""
        alike: dict[tuple[str, ...], list[Mapping[str, object]]] = {}
        for row in rows:
            alike.setdefault(tuple(row), []).append(row)
        for each in alike.values():
            self.run(connection, each)

    def _compile(self, connection: Connection, key: tuple[str, ...]) -> tuple[str, Callable[[Mapping[str, object]], Any]]:
        compiled = self._statement.compile(dialect=connection.dialect, column_keys=list(key[1:]))
        names = getattr(compiled, "positiontup", None)
        made = (str(compiled), _in_order(names) if names else dict)
        self._compiled[key] = made
        return made


def _in_order(names: Sequence[str]) -> Callable[[Mapping[str, object]], Any]:
    """Return what gives a row's values as a tuple."""
    if len(names) == 1:
        return lambda row: (row[names[0]],)
    return itemgetter(*names)


@cache
def _schema(dialect: str) -> tuple[str, ...]:
    """Return the statements that make all tables. To compile them takes longer than to run them."""
    statements: list[str] = []

    def keep(statement: ExecutableDDLElement, *_: object) -> None:
        statements.append(str(statement.compile(dialect=engine.dialect)))

    engine: MockConnection = create_mock_engine(f"{dialect}://", keep)
    metadata.create_all(engine, checkfirst=False)
    return tuple(statements)


class Database:
    """A database and its pool of connections. Every method may be called from any thread."""

    def __init__(self, url: str, *, reading: bool = False) -> None:
        """Keep the URL; connects to nothing. Raises ConfigError where it is none or its folder is missing.

        With ``reading`` nothing can be written, and each transaction raises TransientError while the tables have another version.
        """
        try:
            parsed = make_url(url)
        except (exc.ArgumentError, ValueError):
            raise ConfigError("the store's url can't be read", advice="Write sqlite:////path or postgresql://host/name.") from None
        #: How messages call the database: never with its password.
        host = parsed.host or parsed.query.get("host", "localhost")
        self.name = str(parsed.database if parsed.get_backend_name() == "sqlite" else f"{host}/{parsed.database}")
        self.url = url
        self._only_reads = reading
        self._reader, writer, self._files, self._renew = connect_reading(parsed) if reading else engines.connect(parsed)
        self._writer = writer.execution_options(**{CATALOG: Catalog(self.name)})
        self._closed = False
        for engine in {id(engine.pool): engine for engine in (self._reader, self._writer)}.values():
            event.listen(engine, "checkin", self._check_in)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a transaction that sees one state of everything and stops no writer."""
        with self._snapshot() as connection:
            if self._only_reads:
                self._prove_version(connection)
            yield connection

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        if self._renew:
            self._renew()
        with translated(self.name, reading=self._only_reads), self._reader.begin() as connection:
            yield connection

    def rows(self, query: TypedReturnsRows[*_Columns], values: Mapping[str, object] | None = None) -> Sequence[Row[*_Columns]]:
        """Return all rows of one query, read in a transaction of its own."""
        with self.reading() as connection:
            return connection.execute(query, values).all()

    def column(self, query: TypedReturnsRows[_Value, *_Columns], values: Mapping[str, object] | None = None) -> Sequence[_Value]:
        """Return the first column of one query, read in a transaction of its own."""
        with self.reading() as connection:
            return connection.scalars(query, values).all()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction that may write; it is on the disk when the block has ended, and undone if that raises.

        Raises StoreReplaced where it went into a file that is nobody's any more. What PostgreSQL has made anew, ``fence`` sees.
        """
        with translated(self.name, reading=self._only_reads):
            with self._writer.begin() as connection:
                seen = connection.info.get(engines.SEEN)
                yield connection
            # Who closes the database takes its log away, as is right.
            if self._files and seen and not self._closed:
                self._files.prove(seen)

    def prove_writable(self) -> None:
        """Commit a change that changes nothing; raises what keeps it from the disk."""
        with self.writing() as connection:
            connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = version_num"))  # noqa: S608  a constant of ours

    def is_current(self) -> bool:
        """Whether the tables have this version; raises what keeps them from being read."""
        with self._snapshot() as connection:
            return self._version(connection) == HEAD

    def is_new(self) -> bool:
        """Whether there are no tables of ours; raises what keeps them from being read."""
        with self._snapshot() as connection:
            return self._version(connection) is None

    def close(self) -> None:
        """Close all connections; those in use are closed when their transactions end."""
        self._closed = True
        self._reader.dispose()
        self._writer.dispose()

    def _check_in(self, _connection: object, record: ConnectionPoolEntry) -> None:
        # A pool that was disposed of would keep it open.
        if self._closed:
            record.close()

    def upgrade(self) -> None:
        """Bring the tables to this version; one cheap query where they have it.

        Raises ConfigError for a newer one.
        """
        if self.is_current():
            return
        with self.writing() as connection:
            engines.lock_schema(connection)
            if self._version(connection) != HEAD:
                self._migrate(connection)

    def _version(self, connection: Connection) -> str | None:
        """Return the version of the tables, None where there are none; raises ConfigError for a newer one."""
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        found = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608  a constant of ours
        if found is not None and found > HEAD:
            raise ConfigError(
                f"{self.name}: the database has version {found}, this gatewayd knows up to {HEAD}",
                advice="Run the gatewayd that wrote it, or a newer one. A database is never taken back to an older version.",
            )
        return None if found is None else str(found)

    def _prove_version(self, connection: Connection) -> None:
        try:
            found = self._version(connection)
        except ConfigError as error:
            raise TransientError(str(error), advice="This program was updated: restart this process, too.") from error
        if found != HEAD:
            what = "it is empty" if found is None else f"it has version {found}, expected {HEAD}"
            raise TransientError(f"{self.name}: the database is not ready: {what}", advice=START)

    def _migrate(self, connection: Connection) -> None:
        taken = metadata.tables.keys() & set(inspect(connection).get_table_names())
        if taken and self._version(connection) is None:
            raise ConfigError(
                f"{self.name}: the database has tables of another program: {', '.join(sorted(taken))}",
                advice="Correct the store's `url`, or give gatewayd a database of its own.",
            )
        if self._version(connection) is None:
            # Nothing is there yet: all tables at once are what all steps would come to, and Alembic is slow to import.
            for statement in _schema(connection.dialect.name):
                connection.exec_driver_sql(statement)
            connection.execute(text(VERSION_TABLE_SQL))
            connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES (:head)"), {"head": HEAD})  # noqa: S608  a constant of ours
            return
        from gatewayd_sql.migrations import upgrade  # noqa: PLC0415  Alembic is needed only where there is something to do

        upgrade(connection)


def asked(url: str, question: Callable[[Database], bool]) -> bool:
    """Ask a database that need not be usable; False if it can't be asked. Never raises."""
    try:
        # It makes no file, not even where the database is just being moved.
        db = Database(url, reading=True)
    except GatewaydError:
        return False
    try:
        return question(db)
    except (GatewaydError, exc.SQLAlchemyError):
        return False
    finally:
        db.close()
