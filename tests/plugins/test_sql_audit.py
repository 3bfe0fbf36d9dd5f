"""An audit proves the whole sentence, or says what it could not prove: what is stored is held against what was written down."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine, text

from gatewayd import Action, ConfigError, DatabaseCheck, FilingFault, Folders, GatewaydError, Record, TransientError
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_listing, make_raw
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd import Audit
    from gatewayd.testing.servers.postgresql import Postgresql

RECORDS = [Record(kind="customer", id=str(number), label=f"Customer {number}") for number in range(3)]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/gatewayd.db"
        return
    server: Postgresql = request.getfixturevalue("postgresql_server")
    made = server.new_database()
    yield made
    server.drop(made)


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Sql]:
    store = Sql(SqlOptions(url=url), place=Folders(config=tmp_path, state=tmp_path))
    store.open()
    yield store
    store.close()


def run(url: str, *statements: str) -> None:
    """Change the database behind the store's back, as damage does: references are not looked after."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.begin() as connection:
            if not url.startswith("sqlite"):
                connection.execute(text("SET session_replication_role = replica"))
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()


def fill(store: Sql) -> None:
    """File three mails: for two operators with all that can be said, for a user, and one that is deleted on the server."""
    one = Custodian.of(store)
    faults = [FilingFault("contacts", "it fell")]
    one.file("1", make_raw(1), make_filing(links=RECORDS[:2], rivals=RECORDS, faults=faults), make_filing("globetrot"))
    one.file("2", make_raw(2), make_filing(user="irina"))
    gone = one.file("3", make_raw(3), make_filing(links=RECORDS[:1]), owed=Action(do="delete"))
    store.settled(one.lease, [gone])
    one.file("4", make_raw(1))


def audited(store: Sql) -> Audit:
    (audit,) = store.audit("shared", {"INBOX": make_listing("1", "2", "4", exists=3)})
    return audit


@pytest.mark.parametrize(
    ("damage", "unfiled"),
    [
        ("DELETE FROM filing WHERE operator = 'globetrot'", ("1", "4")),
        ("DELETE FROM filing", ("1", "2", "3", "4")),
        ("UPDATE filing SET owner = NULL", ("2",)),
        ("UPDATE filing SET owner = 'somebody' WHERE operator = 'globetrot'", ("1", "4")),
        ("UPDATE filing SET operator = 'other' WHERE mail_id = 2", ("2",)),
        ("INSERT INTO filing VALUES ('other', 2, NULL, false, NULL, 0, NULL)", ("2",)),
        ("DELETE FROM link", ("1", "3", "4")),
        ("DELETE FROM link WHERE record_id = '1'", ("1", "4")),
        ("UPDATE link SET record_id = '7' WHERE mail_id = 3", ("3",)),
        ("UPDATE link SET removed_by = 'nobody' WHERE mail_id = 3", ("3",)),
        ("DELETE FROM rival", ("1", "4")),
        ("UPDATE rival SET label = 'x' WHERE number = 2", ("1", "4")),
        ("DELETE FROM fault", ("1", "4")),
        ("UPDATE fault SET error = ''", ("1", "4")),
        ("INSERT INTO fault VALUES ('acme', 2, 0, 'contacts', 'it fell')", ("2",)),
        ("UPDATE filing SET seal = NULL WHERE mail_id = 3", ("3",)),
        ("UPDATE mail SET filed_for = '[]' WHERE id = 3", ("3",)),
    ],
)
def test_P1_no_filing_link_rival_or_fault_is_lost_or_altered_unseen(
    store: Sql, url: str, damage: str, unfiled: tuple[str, ...]
) -> None:
    fill(store)
    assert audited(store).proven
    run(url, damage)
    audit = audited(store)
    assert (audit.unfiled, audit.damaged, audit.proven) == (unfiled, (), False)


@pytest.mark.parametrize(
    ("damage", "damaged"),
    [
        ("DELETE FROM mail WHERE id = 3", ("3",)),
        ("DELETE FROM content WHERE id = 1", ("1", "4")),
        ("DELETE FROM chunk WHERE content_id = 3", ("3",)),
        ("UPDATE chunk SET data = (SELECT data FROM chunk WHERE content_id = 2) WHERE content_id = 3", ("3",)),
        ("UPDATE ledger SET mail_id = NULL WHERE id = 1", ("1",)),
        ("UPDATE ledger SET mail_id = 99 WHERE id = 4", ("4",)),
    ],
)
def test_P1_no_mail_is_lost_unseen_also_of_what_is_gone_from_the_server(
    store: Sql, url: str, damage: str, damaged: tuple[str, ...]
) -> None:
    fill(store)
    run(url, damage)
    audit = audited(store)
    assert (audit.damaged, audit.proven) == (damaged, False)


def test_a_sound_database_says_so(store: Sql, url: str) -> None:
    fill(store)
    check = store.check()
    assert check.faults == ()
    assert ("amcheck" in check.unchecked) == url.startswith("postgresql")


def test_a_database_that_is_away_is_not_called_damaged(tmp_path: Path) -> None:
    store = Sql(SqlOptions(url=None), place=Folders(config=tmp_path, state=tmp_path))
    store.open()
    with closing(store):
        (tmp_path / "store/gatewayd.db").rename(tmp_path / "away.db")
        with pytest.raises(TransientError, match="the database's file is gone"):
            store.check()
        (tmp_path / "away.db").rename(tmp_path / "store/gatewayd.db")
        assert store.check().faults == ()


def test_P1_rows_that_belong_to_nothing_are_faults(store: Sql, url: str) -> None:
    if url.startswith("postgresql"):
        pytest.skip("PostgreSQL never lets go of what is referred to")
    fill(store)
    run(url, "DELETE FROM filing WHERE mail_id = 1", "DELETE FROM mail WHERE id = 3")
    faults = store.check().faults
    assert "2 rows of link belong to rows of filing that are not there" in faults
    assert "1 rows of filing belong to rows of mail that are not there" in faults


@pytest.mark.parametrize(
    ("table", "how"),
    [
        *(
            (table, how)
            for table in ("filing", "link", "rival", "fault", "mail", "content", "chunk", "ledger")
            for how in ("zeros", "noise")
        ),
        # What a page of rows that were never changed ends with is what the first of them says.
        *((table, "one byte") for table in ("link", "rival", "fault", "chunk")),
    ],
)
def test_P1_a_damaged_page_of_the_database_is_noticed(tmp_path: Path, table: str, how: str) -> None:
    path = tmp_path / "store/gatewayd.db"
    store = Sql(SqlOptions(url=None), place=Folders(config=tmp_path, state=tmp_path))
    store.open()
    fill(store)
    store.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    data = bytearray(path.read_bytes())
    start, end = (page - 1) * size, page * size
    if how == "one byte":
        data[end - 1] ^= 0x55
    else:
        data[start:end] = bytes(size) if how == "zeros" else bytes(range(7, 247)) * (size // 240) + bytes(size % 240)
    path.write_bytes(data)
    store.open()
    try:
        sound = not store.check().faults
        try:
            proven = audited(store).proven
        except GatewaydError:
            proven = False
    finally:
        store.close()
    assert not (sound and proven)


def test_P1_postgresql_checks_itself_by_amcheck(postgresql_server: Postgresql, tmp_path: Path) -> None:
    url = postgresql_server.new_database()
    store = Sql(SqlOptions(url=url), place=Folders(config=tmp_path, state=tmp_path))
    store.open()
    fill(store)
    assert store.check().unchecked
    run(url, "CREATE EXTENSION amcheck")
    check = store.check()
    assert (check.faults, check.unchecked) == ((), "")
    # An index whose order changes behind its back.
    run(
        url,
        "CREATE TABLE turn (how integer)",
        "INSERT INTO turn VALUES (1)",
        "CREATE FUNCTION turned(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1 || (SELECT how FROM public.turn)'",
        "CREATE INDEX wrong ON mail (turned(key))",
        "UPDATE turn SET how = 2",
    )
    (fault,) = store.check().faults
    assert fault.startswith("wrong: ")
    store.close()


def test_a_table_that_somebody_holds_or_that_is_large_is_not_called_damaged(postgresql_server: Postgresql, tmp_path: Path) -> None:
    url = postgresql_server.new_database()
    patience = "&options=-c%20lock_timeout%3D300ms%20-c%20statement_timeout%3D1s"
    store = Sql(SqlOptions(url=f"{url}{patience}"), place=Folders(config=tmp_path, state=tmp_path))
    store.open()
    with closing(store):
        fill(store)
        run(
            url,
            "CREATE EXTENSION amcheck",
            "CREATE FUNCTION slow(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1 FROM pg_sleep(0.5)'",
            "CREATE INDEX large ON mail (slow(key))",
        )
        assert store.check() == DatabaseCheck(), "it takes more than a second"
        run(url, "DROP INDEX large")
        with closing(psycopg.connect(url)) as other:
            other.execute("LOCK TABLE chunk IN ACCESS EXCLUSIVE MODE")
            check = store.check()
        assert check.faults == ()
        assert check.unchecked.startswith("chunk: canceling statement due to lock timeout")


def test_a_text_that_is_none_is_damage_and_no_lost_connection(tmp_path: Path) -> None:
    store = Sql(SqlOptions(url=None), place=Folders(config=tmp_path, state=tmp_path))
    store.open()
    fill(store)
    with closing(sqlite3.connect(tmp_path / "store/gatewayd.db")) as database, database:
        database.execute("UPDATE ledger SET cause = CAST(x'ff41' AS TEXT)")
    with pytest.raises(ConfigError, match="the database is damaged"):
        store.entries("shared", "filed", after=0, limit=9)
    store.close()
