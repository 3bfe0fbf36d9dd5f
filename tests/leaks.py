"""What a test leaves open: databases, of which Python 3.13 warns, and warnings fail tests, as here with older ones; and files."""

from __future__ import annotations

import gc
import os
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_CONNECT = sqlite3.connect
#: Connections that may still be open, and the test that opened them.
_opened: list[tuple[sqlite3.Connection, str]] = []


def watch() -> None:
    """Remember each connection from now on, if this Python doesn't warn by itself.

    An audit hook would do, but while it runs within ``sys.settrace``, another thread may get its turn, whose ``sys.settrace`` then fails.
    """
    if sys.version_info < (3, 13):
        sqlite3.connect = sqlite3.dbapi2.connect = _connect  # type: ignore[assignment]


def left_open() -> list[str]:
    """Close the connections that nobody can close any more; return the tests that opened them."""
    if not any(_is_open(connection) for connection, _ in _opened):
        return []
    # What refers to them may be a cycle.
    gc.collect()
    unowned = _references_of_an_unowned_one()
    forgotten = [pair for pair in _opened if _is_open(pair[0]) and sys.getrefcount(pair[0]) <= unowned]
    for connection, _ in forgotten:
        connection.close()
    _opened[:] = [pair for pair in _opened if _is_open(pair[0])]
    return [test for _, test in forgotten]


def open_files() -> set[str]:
    """Return what this process has open, each by a name that no other one has; without what other tests left to the garbage collector."""
    gc.collect()
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(path.readlink()))
    return found


def _connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
    connection: sqlite3.Connection = _CONNECT(*arguments, **options)
    _opened.append((connection, os.environ.get("PYTEST_CURRENT_TEST", "no test")))
    return connection


def _references_of_an_unowned_one() -> int:
    """Count the references that a connection has of itself, and the one that is kept here."""
    sqlite3.connect(":memory:")
    pair = _opened.pop()
    references = sys.getrefcount(pair[0])
    pair[0].close()
    return references


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        connection.total_changes  # noqa: B018  it raises if the connection is closed
    except sqlite3.ProgrammingError:
        return False
    return True
