"""Let the database check itself: SQLite by PRAGMA, PostgreSQL by its extension amcheck."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import exc

from gatewayd import DatabaseCheck

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["checked"]

#: What PostgreSQL says to a user who may not (PostgreSQL manual, appendix A).
_REFUSED = "42501"
#: What it says of a table that somebody else holds, or that takes longer than may be: that is no damage.
_LATER = frozenset({"55P03", "57014"})

#: Faults of one database that are told.
_MOST_FAULTS = 10


def checked(connection: Connection) -> DatabaseCheck:
    """Let the database check its own pages, indexes and references."""
    return _checked_sqlite(connection) if connection.dialect.name == "sqlite" else _checked_postgresql(connection)


def _checked_sqlite(connection: Connection) -> DatabaseCheck:
    said = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA quick_check({_MOST_FAULTS})")]
    faults = [line for one in said if one != "ok" for line in one.splitlines()]
    lost = Counter((row[0], row[2]) for row in connection.exec_driver_sql("PRAGMA foreign_key_check"))
    faults += [f"{number} rows of {table} belong to rows of {to} that are not there" for (table, to), number in lost.items()]
    return DatabaseCheck(faults=tuple(faults[:_MOST_FAULTS]))


def _checked_postgresql(connection: Connection) -> DatabaseCheck:
    """Use the extension amcheck (PostgreSQL manual, appendix F): it reads every table and index and says what makes no sense."""
    schema = connection.exec_driver_sql(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'"
    ).scalar()
    if schema is None:
        return DatabaseCheck(
            unchecked="the extension amcheck is not there: CREATE EXTENSION amcheck lets the database check itself"
        )
    # A large table takes its time.
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    name = connection.dialect.identifier_preparer.quote(schema)
    relations = connection.exec_driver_sql(
        "SELECT c.oid, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "LEFT JOIN pg_am a ON a.oid = c.relam WHERE n.nspname = current_schema() "
        "AND (c.relkind = 'r' OR (c.relkind = 'i' AND a.amname = 'btree')) ORDER BY c.relname"
    ).all()
    faults: list[str] = []
    left: list[str] = []
    for oid, relation, kind in relations:
        check = f"verify_heapam({oid})" if kind == "r" else f"bt_index_check({oid}, true)"
        try:
            with connection.begin_nested():
                rows = connection.exec_driver_sql(f"SELECT * FROM {name}.{check}").all()  # noqa: S608  names of the database itself
        except exc.DBAPIError as error:
            code = getattr(error.orig, "sqlstate", None)
            if code == _REFUSED:
                return DatabaseCheck(faults=tuple(faults), unchecked=f"the database refuses its user to call amcheck: {error.orig}")
            (left if code in _LATER else faults).append(f"{relation}: {str(error.orig).splitlines()[0]}")
        else:
            faults += [f"{relation}: {row.msg}" for row in rows if kind == "r"]
    return DatabaseCheck(faults=tuple(faults[:_MOST_FAULTS]), unchecked="; ".join(left[:_MOST_FAULTS]))
