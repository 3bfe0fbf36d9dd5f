"""Whether an account is at rest: asked by each visit, so no table may be gone through for it, whatever is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import create_engine, event

from gatewayd_sql.offering_tables import metadata
from gatewayd_sql.resting import at_rest

if TYPE_CHECKING:
    from sqlalchemy import Connection


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
