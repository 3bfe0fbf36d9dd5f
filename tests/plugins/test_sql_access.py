"""What the store ``sql`` keeps of people: the activity log is bounded, and web sessions are touched and end by the database's clock."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd import ACTIVITY_DAYS, MOST_ACTIVITIES, TOUCH_SECONDS, Activity, Folders, Store
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.plugins.test_sql import postgresql, run, url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["postgresql", "url"]

_DIGEST = b"d" * 32
_SERIES = {
    "sqlite": "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {0}) ",
    "postgresql": "WITH series AS (SELECT generate_series(1, {0}) AS n) ",
}


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    with closing(Sql(SqlOptions(url=url), place=Folders(config=tmp_path, state=tmp_path))) as found:
        found.open()
        yield found


def _enter(url: str, number: int, operator: str, age: float = 0.0) -> None:
    """Enter rows of the activity log beside the store."""
    now = "julianday('now') * 86400.0 - 210866760000.0" if url.startswith("sqlite") else "extract(epoch from clock_timestamp())"
    series = _SERIES[url.partition(":")[0]].format(number)
    rows = f"SELECT {now} - {age}, '{operator}', 'irina', 'opened', n, '', '' FROM series"
    insert = "INSERT INTO activity (at, operator, who, what, mail_id, detail, address)"
    # PostgreSQL takes the WITH in front of the INSERT, SQLite as well.
    run(url, f"{series} {insert} {rows}", "SELECT 1")


def _count(url: str, operator: str) -> int:
    ((number,),) = run(url, f"SELECT count(*) FROM activity WHERE operator = '{operator}'")
    assert isinstance(number, int)
    return number


def _go_on(store: Store, operator: str = "acme") -> None:
    """Note as much as it takes for the log to be looked through."""
    for _ in range(6):
        store.note_activities([Activity(operator=operator, who="irina", what="opened")] * 100)


def test_of_each_operator_only_the_newest_rows_are_kept(store: Store, url: str) -> None:
    _enter(url, MOST_ACTIVITIES, "acme")
    _enter(url, 50, "globetrot")
    newest = store.activities("acme", limit=1)[0].id
    _go_on(store)
    # It is not looked at with each row.
    assert MOST_ACTIVITIES <= _count(url, "acme") < MOST_ACTIVITIES + 600
    assert _count(url, "globetrot") == 50, "who does much takes nothing from others"
    assert store.activities("acme", before=newest + 1, limit=1)[0].id == newest


def test_what_is_older_is_removed(store: Store, url: str) -> None:
    _enter(url, 70, "globetrot", (ACTIVITY_DAYS + 1) * 86400.0)
    _enter(url, 30, "globetrot", (ACTIVITY_DAYS - 1) * 86400.0)
    _go_on(store)
    assert _count(url, "globetrot") == 30


def test_a_web_session_is_touched_and_ends_by_the_databases_clock(store: Store, url: str) -> None:
    store.keep_users({"acme": ["irina"]})
    irina = store.know_user("acme", "irina").id
    made = store.add_web_session(irina, _DIGEST, address="", agent="", idle=3600.0, longest=86400.0)
    run(url, f"UPDATE web_session SET last_at = last_at - {TOUCH_SECONDS + 1}", "SELECT 1")
    found = store.web_session(_DIGEST, idle=3600.0, longest=86400.0)
    assert found
    assert found.last_at < made.last_at
    store.touch_web_session(_DIGEST)
    found = store.web_session(_DIGEST, idle=3600.0, longest=86400.0)
    assert found
    assert found.last_at >= made.last_at
    run(url, "UPDATE web_session SET last_at = last_at - 3700", "SELECT 1")
    assert store.web_session(_DIGEST, idle=3600.0, longest=86400.0) is None
    run(url, "UPDATE web_session SET last_at = last_at + 3700, created_at = created_at - 90000", "SELECT 1")
    assert store.web_session(_DIGEST, idle=3600.0, longest=86400.0) is None
    assert store.web_sessions("acme", idle=3600.0, longest=86400.0) == []
