"""On real servers: a mailbox is restored from a backup, and an audit proves what it says (P1, P3)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import House

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.operator("acme", matchers="[reservations]", reservations="id,code,title\nR756,B-756,Rome\n")
    return house


def new_mail(count: int, seed: int) -> list[bytes]:
    return list(booking_messages(count, seed=seed))


def settled(house: House, name: str) -> None:
    """Visit until nothing is left to do."""
    for _ in range(3):
        house.run("import", name)
    house.good("import", name)
    house.good("audit", name)


@pytest.mark.parametrize("kind", ["imap", "pop3"])
@pytest.mark.parametrize("after", ["keep", "delete"])
@pytest.mark.parametrize("come", [1, 5])
def test_P1_P3_a_mailbox_that_is_restored_from_a_backup_loses_nothing(
    kind: str, after: str, come: int, dovecot: Dovecot, house: House
) -> None:
    user = f"restored-{kind}-{after}-{come}"
    dovecot.user(user, "pass")
    house.account("main", kind, dovecot.ports[kind], user, imports=f"  after: {after}\n")
    dovecot.deliver(user, new_mail(5, 1))
    # What is deleted after the import comes back with the backup.
    backup = dovecot.back_up(user) if after == "delete" else None
    house.good("import", "main")
    backup = backup or dovecot.back_up(user)
    dovecot.deliver(user, new_mail(3, 2))
    house.good("import", "main")
    dovecot.restore(user, backup)
    dovecot.deliver(user, new_mail(come, 3), arrival=datetime.now(UTC))
    settled(house, "main")
    assert len(house.good("mail", "list", "--limit", "99", "--json").rows) == 8 + come
    assert len(dovecot.raw(user)) == (0 if after == "delete" else 5 + come)


def test_an_audit_says_what_it_could_not_prove_and_what_to_do(dovecot: Dovecot, house: House) -> None:
    dovecot.user("audited", "pass")
    house.account("main", "imap", dovecot.ports["imap"], "audited")
    dovecot.deliver("audited", [*new_mail(3, 1), b"", b"Subject: B-756\r\n\r\n"])
    house.good("import", "main")
    audit = house.good("audit", "main")
    assert "Custody is proven." in audit.err
    (row,) = house.good("audit", "main", "--json").rows
    assert (row["on_server"], row["exists"], row["proven"], row["database"]) == (5, 5, True, [])

    dovecot.deliver("audited", new_mail(1, 2))
    audit = house.run("audit", "main")
    assert audit.code == 1
    assert "Not proven, INBOX: 1 key, such as" in audit.err
    assert "on the server, and not in the ledger" in audit.err
    assert "Run `gatewayd import main`, then audit again." in audit.err
    assert "Custody is NOT proven." in audit.err
    house.good("import", "main")
    house.good("audit", "main")

    with closing(sqlite3.connect(house.database)) as database, database:
        database.execute("DELETE FROM link")
        database.execute("DELETE FROM filing WHERE mail_id = 1")
    audit = house.run("audit", "main")
    assert audit.code == 1
    assert "Not proven, INBOX: 2 keys" in audit.err
    assert "filings, links or faults are missing or altered" in audit.err
    assert "restore a backup" in audit.err
    (row,) = house.run("audit", "main", "--json").rows
    assert (len(row["unfiled"]), row["proven"]) == (2, False)


def test_P1_an_audit_of_a_damaged_database_is_not_content(dovecot: Dovecot, house: House) -> None:
    dovecot.user("damaged", "pass")
    house.account("main", "imap", dovecot.ports["imap"], "damaged")
    dovecot.deliver("damaged", new_mail(3, 1))
    house.good("import", "main")
    path = house.database
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'filing'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    data = bytearray(path.read_bytes())
    data[(page - 1) * size : page * size] = b"\x55" * size
    path.write_bytes(data)
    audit = house.run("audit", "main")
    assert audit.code == 1
    assert "the database is damaged" in audit.err
    (told,) = [line for line in audit.err.splitlines() if line.startswith("Not proven, the database:")]
    assert ".." not in told
    assert audit.err.count("Stop gatewayd") == 1
    assert "Traceback" not in audit.err
    json = house.run("audit", "main", "--json")
    assert json.code == 1
    assert all(not row["proven"] for row in json.rows)
