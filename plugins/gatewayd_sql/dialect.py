"""SQL that differs between SQLite and PostgreSQL: types, functions and forms of INSERT."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar, cast

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Double,
    Insert,
    Integer,
    Text,
    TypeDecorator,
    bindparam,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import UserDefinedType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Dialect, Select, Table
    from sqlalchemy.sql.compiler import DDLCompiler, SQLCompiler
    from sqlalchemy.sql.expression import ColumnElement
    from sqlalchemy.types import TypeEngine

__all__ = [
    "KEPT",
    "NEVER_REUSED",
    "SMALL_ROWS",
    "Id",
    "InsertOrIgnore",
    "InsertOrReplace",
    "Words",
    "clock",
    "each",
    "has_words",
    "now",
    "one_of",
    "only_where",
    "table_number",
]


_Value = TypeVar("_Value", str, int)


# --- words of SQL -----------------------------------------------------------------------------------------------------


class _TableWords(TypedDict, total=False):
    sqlite_with_rowid: bool
    sqlite_autoincrement: bool


class _IndexWords(TypedDict):
    sqlite_where: ColumnElement[bool]


#: An id of 64 bits; SQLite counts up only what is called INTEGER.
Id = BigInteger().with_variant(Integer(), "sqlite")

#: For tables of small rows under a key of several columns: SQLite then keeps one tree in place of two.
SMALL_ROWS: Final[_TableWords] = {"sqlite_with_rowid": False}

#: For tables whose ids must not come again once their rows are gone.
NEVER_REUSED: Final[_TableWords] = {"sqlite_autoincrement": True}


class table_number(FunctionElement[int]):  # noqa: N801  a function of SQL
    """The number of the table of leases, as long as it exists (PostgreSQL manual, 8.19); SQLite's file tells it otherwise."""

    type = BigInteger()
    inherit_cache = True


@compiles(table_number, "postgresql")
def _table_number_on_postgresql(_element: table_number, _compiler: SQLCompiler, **_: Any) -> str:
    # A constant of type regclass would be looked up once, when the statement is prepared.
    return "CAST(CAST(to_regclass('lease') AS oid) AS bigint)"


@compiles(table_number, "sqlite")
def _table_number_on_sqlite(_element: table_number, _compiler: SQLCompiler, **_: Any) -> str:
    return "0"


def only_where(condition: ColumnElement[bool]) -> _IndexWords:
    """Return the arguments by which an index holds only the rows that fit ``condition``."""
    # The word of PostgreSQL would have SQLAlchemy import all that it knows of it, wherever the tables are.
    return {"sqlite_where": condition}


@compiles(CreateIndex, "postgresql")
def _create_index_on_postgresql(element: CreateIndex, compiler: DDLCompiler, **options: Any) -> str:
    words = element.element.dialect_options
    if words["postgresql"]["where"] is None:
        words["postgresql"]["where"] = words["sqlite"]["where"]
    created: str = compiler.visit_create_index(element, **options)  # type: ignore[no-untyped-call]
    return created


class now(FunctionElement[float]):  # noqa: N801  it stands in statements like a function
    """The database's clock, in seconds since 1970 in UTC."""

    type = Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_of_sqlite(_element: now, _compiler: SQLCompiler, **_: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_of_postgresql(_element: now, _compiler: SQLCompiler, **_: object) -> str:
    return "extract(epoch from clock_timestamp())::float8"


def clock(connection: Connection) -> float:
    """Return the database's time."""
    return connection.execute(select(now())).scalar_one()


class _Several(TypeDecorator[list[Any]]):
    """Any number of texts or ids as one value: an array, or JSON where the database has none."""

    impl = Text
    cache_ok = True

    def __init__(self, of: type[Text | BigInteger]) -> None:
        super().__init__()
        #: The type of each value.
        self.of = of

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(self.of()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> object:
        return value if dialect.name == "postgresql" else json.dumps(value)


class one_of(FunctionElement[bool]):  # noqa: N801  it stands in statements like a function
    """Whether a column of texts or ids has one of many values. An IN costs as much a value as the database does."""

    # Without the type of a Boolean, which SQLAlchemy would compare with 1 on SQLite, and no index would be used.
    inherit_cache = True

    def __init__(self, column: ColumnElement[_Value], values: Iterable[_Value] = (), *, name: str | None = None) -> None:
        """``name`` is that of a parameter in whose place the values, as a list, are given when the statement runs."""
        several = _Several(BigInteger if isinstance(column.type, Integer) else Text)
        given = bindparam(name, type_=several) if name else bindparam(None, list(values), type_=several, unique=True)
        super().__init__(column, given)


@compiles(one_of, "sqlite")
def _one_of_on_sqlite(element: one_of, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608  parts of the statement that is compiled


@compiles(one_of, "postgresql")
def _one_of_on_postgresql(element: one_of, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} = ANY ({values})"


class Words(UserDefinedType[str]):
    """The words of a mail, as the database's index of words takes them."""

    cache_ok = True


@compiles(Words, "sqlite")
def _words_on_sqlite(_element: Words, _compiler: SQLCompiler, **_: Any) -> str:
    return "TEXT"


@compiles(Words, "postgresql")
def _words_on_postgresql(_element: Words, _compiler: SQLCompiler, **_: Any) -> str:
    return "TSVECTOR"


class has_words(FunctionElement[bool]):  # noqa: N801  it stands in statements like a function
    """Whether the mail of an id has words, by the index of ``search_tables``, given in the database's language for that."""

    inherit_cache = True

    def __init__(self, mail_id: ColumnElement[int], query: str, *, before: int) -> None:
        """Only ids below ``before``. A range of the column itself would have SQLite walk along that."""
        below = bindparam(None, before, type_=BigInteger(), unique=True)
        super().__init__(mail_id, bindparam(None, query, type_=Text(), unique=True), below)


@compiles(has_words, "sqlite")
def _has_words_on_sqlite(element: has_words, compiler: SQLCompiler, **options: Any) -> str:
    mail_id, query, before = (compiler.process(each, **options) for each in element.clauses)
    found = f"SELECT rowid FROM indexed_words WHERE indexed_words MATCH {query} AND rowid < {before}"  # noqa: S608  parts of it
    return f"{mail_id} IN ({found})"


@compiles(has_words, "postgresql")
def _has_words_on_postgresql(element: has_words, compiler: SQLCompiler, **options: Any) -> str:
    mail_id, query, before = (compiler.process(each, **options) for each in element.clauses)
    # Of an array PostgreSQL takes its index of ids; of a query, as many rows as it guesses, which of rare words are far too many.
    found = f"SELECT mail_id FROM indexed WHERE words @@ CAST({query} AS tsquery)"  # noqa: S608  parts of the statement
    return f"({mail_id} < {before} AND {mail_id} = ANY (ARRAY({found})))"


def each(column: ColumnElement[str], where: ColumnElement[bool]) -> Select[str]:
    """Return a query for each value of a column, once, in its order: from one to the next along the index."""
    one = select(column).where(where).order_by(column).limit(1)
    walk = select(one.scalar_subquery().label("value")).cte("walk", recursive=True)
    following = one.where(column > walk.c.value).correlate(walk).scalar_subquery()
    walk = walk.union_all(select(following).where(walk.c.value.is_not(None)))
    return select(walk.c.value).where(walk.c.value.is_not(None))


class InsertOrIgnore(Insert):
    """An INSERT that leaves rows alone whose key is taken."""

    inherit_cache = True


@compiles(InsertOrIgnore)
def _insert_or_ignore(element: InsertOrIgnore, compiler: SQLCompiler, **options: Any) -> str:
    # Both databases read it so; SQLAlchemy offers it only by a class for each.
    insert: str = compiler.visit_insert(element, **options)  # type: ignore[no-untyped-call]
    return f"{insert} ON CONFLICT DO NOTHING"


#: The ``info`` of a column that keeps what it has where a row that takes its place has nothing.
KEPT = {"kept": True}


class InsertOrReplace(Insert):
    """An INSERT of whole rows that takes the place of those whose primary key is the same.

    What is NULL in a new row leaves a column that is ``KEPT`` as it was.
    """

    inherit_cache = True


@compiles(InsertOrReplace)
def _insert_or_replace(element: InsertOrReplace, compiler: SQLCompiler, **options: Any) -> str:
    insert: str = compiler.visit_insert(element, **options)  # type: ignore[no-untyped-call]
    table = cast("Table", element.table)
    name = compiler.preparer.format_column
    key = ", ".join(name(column) for column in table.primary_key)
    old = compiler.preparer.format_table(table)
    told = {
        name(column): f"coalesce(excluded.{name(column)}, {old}.{name(column)})"
        if column.info == KEPT
        else f"excluded.{name(column)}"
        for column in table.c
        if not column.primary_key
    }
    new = ", ".join(f"{column} = {value}" for column, value in told.items())
    return f"{insert} ON CONFLICT ({key}) DO UPDATE SET {new}"
