"""What each visit asks of SQLite, which has no statistics: no table may be gone through for it, whatever is in it."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, create_engine, event

from gatewayd import Folders
from gatewayd.testing.contracts.custodian import Custodian
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.resting import at_rest
from gatewayd_sql.store import Sql
from gatewayd_sql.user_account_tables import metadata

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection


@contextmanager
def plans() -> Iterator[list[str]]:
    """Collect how SQLite goes about each query that is asked meanwhile."""
    steps: list[str] = []

    @event.listens_for(Engine, "before_cursor_execute")
    def _explain(_connection: object, cursor: sqlite3.Cursor, statement: str, parameters: tuple[object, ...], *_: object) -> None:
        if statement.startswith("SELECT"):
            steps.extend(row[3] for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    try:
        yield steps
    finally:
        event.remove(Engine, "before_cursor_execute", _explain)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Sql]:
    store = Sql(SqlOptions(url=None), place=Folders(config=tmp_path, state=tmp_path))
    store.open()
    with closing(store):
        yield store


def test_P4_choices_and_refusals_are_found_without_a_look_at_each_offer(store: Sql) -> None:
    with plans() as steps:
        store.with_offers(["shared"])
        store.senders_of_offers("shared", "acme", user=None, decision="refused", after=0, limit=9)
        store.chosen("shared", "INBOX")
        store.chosen_mails("shared", "acme", limit=9)
    used = [step.partition(" USING ")[2].partition(" (")[0] for step in steps if step.startswith("SEARCH offered_to")]
    first, *others = used
    assert first.endswith("PRIMARY KEY")
    assert others == ["INDEX offered_to_unadmitted", "INDEX offered_to_chosen", "INDEX offered_to_chosen"]


def test_P4_a_batch_is_filed_without_a_look_at_all_that_waits(store: Sql) -> None:
    one = Custodian.of(store)
    with plans() as steps:
        store.file(one.lease, [])
    assert [step for step in steps if step.startswith("SEARCH ledger")] == ["SEARCH ledger USING INTEGER PRIMARY KEY (rowid=?)"]


def test_each_condition_is_looked_up_by_an_index_of_what_it_asks_for() -> None:
    asked: list[tuple[str, object]] = []

    @event.listens_for(engine := create_engine("sqlite://"), "before_cursor_execute")
    def _note(_connection: Connection, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    with engine.begin() as connection:
        metadata.create_all(connection)
        assert at_rest(connection, "shared")
        statement, parameters = asked[-1]
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
        plan = [str(row.detail) for row in rows]
    engine.dispose()
    assert not [step for step in plan if step.startswith("SCAN") and step != "SCAN CONSTANT ROW"]
    used = [step.partition(" USING INDEX ")[2].partition(" ")[0] for step in plan if " USING INDEX " in step]
    assert {"ledger_waiting", "ledger_owed", "ledger_again", "ledger_refused", "offered_to_chosen", "offered_to_unadmitted"} <= {
        *used
    }
