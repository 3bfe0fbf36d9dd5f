"""An audit takes no longer for each mail the more there are (promise P8)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from gatewayd import Folders
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.unit.linear import cpu_seconds

if TYPE_CHECKING:
    from pathlib import Path

_COUNT = "WITH RECURSIVE c(n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM c WHERE n < {last}) "
#: Mails without bytes, each filed and linked.
_MAILS = (
    (
        "INSERT INTO ledger (id, account, folder, key, state, cause, backlog, tries, due, listed_at, mail_id) "
        "SELECT n, 'many', 'INBOX', n, 'filed', '', 0, 0, 0, 0, n FROM c"
    ),
    "INSERT INTO content SELECT n, CAST(n AS BLOB), 0 FROM c",
    (
        "INSERT INTO mail (id, account, folder, key, content_id, message_id, sender, sender_name, recipients, attachments, "
        "subject, search, received_at, direction) "
        "SELECT n, 'many', 'INBOX', n, n, '', '', '', '[]', '[]', '', '', 0, 'in' FROM c"
    ),
    "INSERT INTO filing (operator, mail_id, unread, filed_at) SELECT 'acme', n, 1, 0 FROM c",
    "INSERT INTO link SELECT 'acme', n, 'customer', 'C1', '', 'contacts', '', 0, NULL FROM c",
)


def store_with(folder: Path, number: int) -> Sql:
    folder.mkdir()
    store = Sql(SqlOptions(url=None), place=Folders(config=folder, state=folder))
    store.open()
    with closing(sqlite3.connect(folder / "store/gatewayd.db")) as database:
        for statement in _MAILS:
            into, _, rows = statement.partition(" SELECT ")
            database.execute(f"{into} {_COUNT.format(last=number + 9)} SELECT {rows}")
        database.commit()
    return store


def test_P8_an_audit_takes_linear_time(tmp_path: Path) -> None:
    took = []
    for number in (4_000, 32_000):
        with closing(store_with(tmp_path / str(number), number)) as store:
            took.append(cpu_seconds(partial(audited, store, number)))
    # Eight times as many may take somewhat more than eight times as long, not sixty-four times.
    assert took[1] < 14 * took[0], took


def audited(store: Sql, number: int) -> None:
    (audit,) = store.audit("many", {})
    assert audit.states == {"filed": number}
    assert len(audit.damaged) == number


def test_P1_an_audit_of_very_many_operators_proves_as_much(tmp_path: Path) -> None:
    with closing(store_with(tmp_path / "many", 1)) as store:
        one = Custodian.of(store)
        one.file("1", make_raw(1), *(make_filing(f"operator{number}") for number in range(102)))
        one.file("2", make_raw(2), make_filing("operator7"))
        assert [audit.unfiled for audit in store.audit("shared", {})] == [()]
        with closing(sqlite3.connect(tmp_path / "many" / "store/gatewayd.db")) as database:
            database.execute("DELETE FROM filing WHERE operator = 'operator99'")
            database.commit()
        assert [audit.unfiled for audit in store.audit("shared", {})] == [("1",)]
