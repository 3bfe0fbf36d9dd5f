"""Statements for many rows on PostgreSQL: all rows are written, and a client that is frozen among them keeps no locks (P7)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, bindparam, insert, make_url, select, text, update
from sqlalchemy.dialects import postgresql as dialect

from gatewayd_sql.engines import connect
from tests.patience import AT_ONCE, LONG
from tests.unit.supervised import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine
    from sqlalchemy.sql.dml import UpdateBase

    from gatewayd.testing.servers.postgresql import Postgresql

ROOT = Path(__file__).parent.parent.parent
METADATA = MetaData()
ROWS = Table(
    "rows",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("said", Text),
    Column("count", BigInteger, server_default="0"),
)
IGNORE = dialect.insert(ROWS).on_conflict_do_nothing()
REPLACE = dialect.insert(ROWS).on_conflict_do_update(index_elements=["id"], set_={"said": text("excluded.said")})
CHANGE = update(ROWS).where(ROWS.c.id == bindparam("of")).values(said=bindparam("says"))

#: Runs one statement for many rows again and again, in one transaction.
CHILD = """
import sys
from sqlalchemy import make_url
from gatewayd_sql.engines import connect
from tests.plugins import test_sql_rows as these

kind, url = sys.argv[1:]
with connect(make_url(url)).writer.begin() as connection:
    print(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar(), flush=True)
    rows = [{"id": number, "said": "a"} for number in range(5000)]
    changes = [{"of": number, "says": "b"} for number in range(5000)]
    while True:
        connection.execute(getattr(these, kind), changes if kind == "CHANGE" else rows)
"""


@pytest.fixture
def url(postgresql_server: Postgresql) -> Iterator[str]:
    url = postgresql_server.new_database()
    yield url
    postgresql_server.drop(url)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = connect(make_url(url)).writer
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


def kept(engine: Engine) -> dict[int, tuple[str | None, int]]:
    with engine.connect() as connection:
        return {number: (said, count) for number, said, count in connection.execute(select(ROWS))}


def state_of(engine: Engine, pid: int) -> str | None:
    """What the server says of a session."""
    with engine.connect() as connection:
        found: str | None = connection.scalar(text("SELECT state FROM pg_stat_activity WHERE pid = :pid"), {"pid": pid})
    return found


@pytest.mark.parametrize("many", [2, 499, 500, 501, 1203])
@pytest.mark.parametrize("statement", [insert(ROWS), IGNORE, REPLACE])
def test_all_rows_are_written(engine: Engine, statement: UpdateBase, many: int) -> None:
    said = ["%s", "100 %", "(", ") VALUES (", "%(id)s", None, "", "ü'\"\\"]
    rows = [{"id": number, "said": said[number % len(said)]} for number in range(many)]
    with engine.begin() as connection:
        connection.execute(statement, rows)
    assert kept(engine) == {row["id"]: (row["said"], 0) for row in rows}


def test_a_row_that_comes_twice_is_the_first_or_the_last_as_the_statement_says(engine: Engine) -> None:
    rows = [{"id": 1, "said": "first"}, {"id": 1, "said": "last"}, {"id": 2, "said": "other"}]
    with engine.begin() as connection:
        connection.execute(IGNORE, rows)
    assert kept(engine) == {1: ("first", 0), 2: ("other", 0)}
    with engine.begin() as connection:
        connection.execute(REPLACE, rows)
    assert kept(engine) == {1: ("last", 0), 2: ("other", 0)}


def test_a_row_is_written_with_what_the_statement_says_itself(engine: Engine) -> None:
    statement = IGNORE.values(id=bindparam("of"), said=text("coalesce(NULL, ')')"), count=bindparam("times") + 1)
    with engine.begin() as connection:
        connection.execute(statement, [{"of": 1, "times": 2}, {"of": 2, "times": 3}])
    assert kept(engine) == {1: (")", 3), 2: (")", 4)}


def test_each_row_is_changed(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(ROWS), [{"id": number} for number in range(3)])
        connection.execute(CHANGE, [{"of": 0, "says": "a"}, {"of": 2, "says": None}])
    assert kept(engine) == {0: ("a", 0), 1: (None, 0), 2: (None, 0)}


@pytest.mark.parametrize("kind", ["IGNORE", "REPLACE", "CHANGE"])
def test_P7_the_server_may_end_the_transaction_of_a_client_that_is_frozen_among_its_rows(
    engine: Engine, url: str, kind: str, tmp_path: Path
) -> None:
    with engine.begin() as connection:
        connection.execute(insert(ROWS), [{"id": number} for number in range(5000)])
    program = tmp_path / "child.py"
    program.write_text(CHILD)
    command, environment = [sys.executable, str(program), kind, url], {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            pid = int(child.stdout.readline())
            for _ in range(5):
                until(lambda: state_of(engine, pid) == "active", within=AT_ONCE)
                child.send_signal(signal.SIGSTOP)
                # This state is the one for which idle_in_transaction_session_timeout counts.
                until(lambda: state_of(engine, pid) == "idle in transaction", within=AT_ONCE)
                child.send_signal(signal.SIGCONT)
        finally:
            child.kill()
            child.wait(LONG)
