"""Run a statement for many rows on PostgreSQL, and wait for each answer: never in the pipeline that psycopg takes for it.

While a pipeline is open, the server takes the session for busy between two statements, too. None of its timeouts ends the
transaction of a client that is frozen there (PostgreSQL manual, 20.11.1), and its locks would stop all others meanwhile.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

__all__ = ["run_for_rows"]

_INSERT = re.compile(r"INSERT INTO [^()]*\([^()]*\) VALUES \(")
_PARAMETER = re.compile(r"%\((\w+)\)s")
#: Parameters of one statement, of which a message holds 65,535 (PostgreSQL manual, 55.7, "Bind").
_MOST_PARAMETERS = 20_000
#: Rows of one statement. To parse more together spares nothing.
_MOST_ROWS = 500


class _Insert(NamedTuple):
    """An INSERT in pieces: before its row, the row, and what stands behind it."""

    head: str
    row: str
    tail: str
    #: The parameters of the row, in their order.
    names: tuple[str, ...]


def run_for_rows(cursor: psycopg.Cursor[Any], statement: str, parameters: Sequence[Mapping[str, Any]], _context: object) -> bool:
    """Run a statement for all rows, as SQLAlchemy's ``DialectEvents.do_executemany``. The rowcount is that of the last piece."""
    insert = _insert(statement)
    if insert is None:
        for one in parameters:
            cursor.execute(statement, one)
        return True
    step = max(1, min(_MOST_ROWS, _MOST_PARAMETERS // len(insert.names)))
    for start in range(0, len(parameters), step):
        rows = parameters[start : start + step]
        values = ", ".join([insert.row] * len(rows))
        cursor.execute(f"{insert.head}{values}{insert.tail}", [row[name] for row in rows for name in insert.names])
    return True


@lru_cache(maxsize=256)
def _insert(statement: str) -> _Insert | None:
    """Take an INSERT apart whose rows can go in one statement; None for any other: one row may change only once in a statement."""
    found = _INSERT.match(statement)
    if found is None or " DO UPDATE " in statement:
        return None
    begin = found.end() - 1
    end = _closed_at(statement, begin)
    row, tail = statement[begin:end], statement[end:]
    names = tuple(_PARAMETER.findall(row))
    if not names or _PARAMETER.search(tail):
        return None
    return _Insert(statement[:begin], _PARAMETER.sub("%s", row), tail, names)


def _closed_at(statement: str, begin: int) -> int:
    """Return where the bracket ends that opens at ``begin``."""
    depth = 0
    for place in range(begin, len(statement)):
        depth += {"(": 1, ")": -1}.get(statement[place], 0)
        if depth == 0:
            return place + 1
    raise ValueError(f"{statement}: a bracket is not closed")
