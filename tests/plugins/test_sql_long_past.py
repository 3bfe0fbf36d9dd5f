"""What a visit writes does not take longer the longer an account has been imported (promise P4): other accounts wait for it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from gatewayd import Folders
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.unit.linear import cpu_seconds

if TYPE_CHECKING:
    from pathlib import Path

#: What came in some years, and is deleted on the server since.
GONE = 200_000


def test_P4_a_whole_listing_is_not_held_against_all_that_is_gone_by_the_gateway_itself(tmp_path: Path) -> None:
    store = Sql(SqlOptions(url=None), place=Folders(config=tmp_path, state=tmp_path))
    store.open()
    with closing(store):
        one = Custodian.of(store)
        with closing(sqlite3.connect(tmp_path / "store/gatewayd.db")) as database:
            database.execute(
                f"WITH RECURSIVE past(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM past WHERE n < {GONE}) "
                "INSERT INTO ledger (account, folder, key, state, cause, backlog, tries, due, listed_at, gone_at) "
                "SELECT 'shared', 'INBOX', 'past ' || n, 'filed', '', 0, 0, 0, 0, 1 FROM past"
            )
            database.commit()
        keys = [f"new {number}" for number in range(100)]
        assert one.enter(*keys, standing=keys) == len(keys)
        assert min(cpu_seconds(lambda: one.enter(standing=keys)) for _ in range(3)) < 0.3
        # What is gone and listed again is another message, or the same: it is fetched.
        assert one.enter(standing=[*keys[1:], "past 7"]) == 1
        assert one.states(keys[0], "past 7", "past 8") == {keys[0]: "vanished", "past 7": "waiting", "past 8": "filed"}


def test_P4_old_mail_of_one_account_is_not_held_against_all_personal_mail_of_others(tmp_path: Path) -> None:
    store = Sql(SqlOptions(url=None), place=Folders(config=tmp_path, state=tmp_path))
    store.open()
    with closing(store):
        general, personal = Custodian.of(store), Custodian.of(store, "irina")
        ids = [general.file(str(number), make_raw(number)) for number in range(100)]
        mine = personal.file("1", make_raw(1000), make_filing(user="irina"))
        with closing(sqlite3.connect(tmp_path / "store/gatewayd.db")) as database:
            database.execute(
                f"WITH RECURSIVE past(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM past WHERE n < {GONE // 10}) "
                f"INSERT INTO filing (operator, mail_id, owner, unread, filed_at) SELECT 'acme', {mine} + n, 'irina', 0, 0 FROM past"
            )
            database.commit()

        def unfiled() -> object:
            return store.unfiled("shared", "globetrot", after=0, limit=1000)

        assert unfiled() == ids
        assert min(cpu_seconds(unfiled) for _ in range(3)) < 0.3
