from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event, text

from gatewayd import (
    CHUNK,
    LEASE_SECONDS,
    AccountHealth,
    Bounce,
    Bounced,
    ConfigError,
    DaemonHealth,
    DeliveryQuery,
    Folders,
    Follows,
    Lease,
    Lengths,
    Provisional,
    Query,
    Record,
    Settled,
    Store,
    Task,
    TransientError,
    Viewer,
)
from gatewayd.testing.contracts.custodian import Custodian, make_delivery, make_filing, make_listing, make_raw
from gatewayd.testing.contracts.store import StoreContract
from gatewayd_sql.migrations import HEAD, VERSION_TABLE, upgrade
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from gatewayd_sql.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatewayd.testing.servers.postgresql import Postgresql

#: Set to the URL of a PostgreSQL database of which nothing is needed, to run the contract there and not on a server of our own.
POSTGRESQL = os.environ.get("GATEWAYD_TEST_POSTGRESQL", "")

ACME = Viewer(operator="acme")


@pytest.fixture(scope="session")
def postgresql(request: pytest.FixtureRequest) -> str:
    if POSTGRESQL:
        return POSTGRESQL
    server: Postgresql = request.getfixturevalue("postgresql_server")
    return server.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/gatewayd.db"
    address: str = request.getfixturevalue("postgresql")
    run(address, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return address


def run(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run SQL beside the store, and return the rows of the last statement."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.begin() as connection:
            found = [connection.execute(text(statement)) for statement in statements][-1]
            return [tuple(row) for row in found] if found.returns_rows else []
    finally:
        engine.dispose()


def store_at(url: str | None, folder: Path) -> Sql:
    return Sql(SqlOptions(url=url), place=Folders(config=folder, state=folder))


@pytest.fixture
def open_store(url: str, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    opened: list[Sql] = []

    def open_store() -> Store:
        opened.append(store_at(url, tmp_path))
        opened[-1].open()
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


class TestSqlStore(StoreContract):
    @pytest.fixture
    def expire(self, url: str) -> Callable[[str], None]:
        def expire(account: str) -> None:
            run(url, f"UPDATE lease SET until = 0 WHERE account = '{account}'")

        return expire

    @pytest.fixture
    def later(self, url: str) -> Callable[[float], None]:
        def later(seconds: float) -> None:
            run(
                url,
                f"UPDATE daemon SET beat_at = beat_at - {seconds}",
                f"UPDATE request SET answered_at = answered_at - {seconds}",
                f"UPDATE delivery SET entered_at = entered_at - {seconds}, due = due - {seconds}, was_due = was_due - {seconds}",
            )

        return later


# --- opening ----------------------------------------------------------------------------------------------------------


def test_by_default_the_database_is_in_the_state_folder(tmp_path: Path) -> None:
    store = store_at(None, tmp_path)
    store.open()
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def python(code: str, *arguments: object) -> str:
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True)
    return done.stdout


def test_nothing_heavy_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        import gatewayd_sql
        from gatewayd import Folders
        heavy = lambda: sorted(set(sys.modules) & {"sqlalchemy", "alembic"})
        print(heavy())
        (sql,) = gatewayd_sql.gatewayd_stores()
        print(heavy())
        store = sql(sql.Options(), place=Folders(config=Path(), state=Path(sys.argv[1])))
        store.open()
        print(heavy())
    """
    assert python(code, tmp_path) == "[]\n[]\n['sqlalchemy']\n", "all tables at once need no steps"
    assert python(code, tmp_path) == "[]\n[]\n['sqlalchemy']\n"


def script() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", "gatewayd_sql:migrations")
    return ScriptDirectory.from_config(config)


def test_the_version_is_that_of_the_last_step() -> None:
    assert script().get_current_head() == HEAD


def _is_declared(name: str | None, _kind: str, _parents: object) -> bool:
    """Leave out the index of words, for which SQLAlchemy has no words: tables in SQLite, an index in PostgreSQL."""
    return not (name or "").startswith("indexed_words")


@pytest.mark.parametrize("older", ["base", *(step.revision for step in script().walk_revisions())])
def test_older_tables_are_brought_to_this_version(url: str, tmp_path: Path, older: str) -> None:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        if older != "base":
            upgrade(connection, older)
    store = store_at(url, tmp_path)
    store.open()
    assert Custodian.of(store).file("1", make_raw())
    assert store.lengths() == Lengths(waiting={}, queued={}, undelivered={}, stuck={}, unindexed=1)
    store.close()
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "include_name": _is_declared})
        assert context.get_current_revision() == HEAD
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    migrated = schema(url)
    if older != "base":
        words = ("indexed_words",) if url.startswith("sqlite") else ()
        run(
            url, *(f"DROP TABLE {table}" for table in (*words, "gatewayd_sql_version", *map(str, reversed(metadata.sorted_tables))))
        )
        store.open()
        store.close()
    assert migrated == schema(url), "a new database and a migrated one are the same"


def schema(url: str) -> set[tuple[object, ...]]:
    """Everything that a database says of its tables and indexes."""
    if url.startswith("sqlite"):
        return {(name, "".join(str(sql).split())) for name, sql in run(url, "SELECT name, sql FROM sqlite_master")}
    columns = "table_name, column_name, ordinal_position, column_default, is_nullable, data_type"
    return {
        *run(url, f"SELECT {columns} FROM information_schema.columns WHERE table_schema = 'public'"),
        *run(url, "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"),
        *run(url, "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace"),
    }


#: One mail as version 0001 has kept it.
FIRST_VERSION = (
    "INSERT INTO lease VALUES ('shared', 'old', 3, 0)",
    "INSERT INTO folder VALUES ('shared', 'INBOX', 'c', NULL)",
    "INSERT INTO ledger VALUES (1, 'shared', 'INBOX', '7', 'filed', '', 5, NULL, false, 0, 0, 0, NULL, 'x', 1, 'seen')",
    "INSERT INTO content VALUES (1, {digest}, 5)",
    "INSERT INTO chunk VALUES (1, 0, {data})",
    "INSERT INTO mail VALUES (1, 'shared', 'INBOX', '7', 1, '', 'a@b', '', '[]', '[]', 'Rome', 'rome', NULL, 1.5, 'in')",
    "INSERT INTO filing VALUES ('acme', 1, NULL, true, 'desk', 1.5)",
    "INSERT INTO link VALUES ('acme', 1, 'customer', 'C1', 'Nord', 'contacts', 'x', false, NULL)",
    "INSERT INTO rival VALUES ('acme', 1, 0, 'customer', 'C2', 'Ost', 'contacts', 'x')",
    "INSERT INTO fault VALUES ('acme', 1, 0, 'contacts', 'no')",
)


def test_mail_of_the_first_version_is_there_after_all_steps(url: str, tmp_path: Path) -> None:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        upgrade(connection, "0001")
    engine.dispose()
    form = "X'{}'" if url.startswith("sqlite") else r"'\x{}'"
    data, digest = (form.format(value.hex()) for value in (b"hello", sha256(b"hello").digest()))
    run(url, *(statement.format(digest=digest, data=data) for statement in FIRST_VERSION))
    store = store_at(url, tmp_path)
    store.open()
    (audit,) = store.audit("shared", {"INBOX": make_listing("7")})
    assert audit.proven, "what is there is what was filed, as far as anybody knows"
    (view,) = store.filings(ACME, Query())
    assert (view.id, view.key, view.subject, view.queue) == (1, "7", "Rome", "desk")
    assert ([each.id for each in view.links], [each.id for each in view.rivals]) == (["C1"], ["C2"])
    assert [(cause.by, cause.filings) for cause in store.causes(ACME)] == [("contacts", 1)]
    assert [owed.key for owed in store.owed("shared", limit=9)] == ["7"]
    (lease,) = store.take_leases(["shared"], "new", dead=lambda _: False)
    assert lease.epoch == 4
    assert store.deliver(ACME, 1, [make_delivery()])
    assert store.destinations().keys() == {"account out"}
    store.close()


def test_a_newer_database_is_refused_by_both_versions(url: str, open_store: Callable[[], Store], tmp_path: Path) -> None:
    open_store()
    run(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(ConfigError, match=f"version 9999, this gatewayd knows up to {HEAD}") as caught:
        store_at(url, tmp_path).open()
    assert "newer" in caught.value.advice


def test_many_that_open_at_once_make_the_tables_once(url: str, tmp_path: Path) -> None:
    stores = [store_at(url, tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(Sql.open, stores))
        leases = list(threads.map(lambda store: store.take_lease("a", "one", dead=lambda _: False), stores))
    for store in stores:
        store.close()
    assert len([lease for lease in leases if isinstance(lease, Lease)]) == 1


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite:///relative.db", "mysql://x/y", "", "sqlite://", "postgresql://"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected sqlite:////absolute/path\.db or postgresql://user@host/name"):
        SqlOptions(url=url)


@pytest.mark.parametrize("place", ["127.0.0.1:1/mail", "127.0.0.1:port/mail", "[::/mail"])
def test_P9_a_password_in_the_url_is_refused_and_never_shown(place: str) -> None:
    for url in (
        f"postgresql://gw:hunter2@{place}",
        f"postgresql://gw:hunter2/x@{place}",
        f"postgresql://gw:@hunter2@{place}",
        f"postgresql://gw@{place}?password=hunter2",
        f"postgresql://gw@{place}?sslpassword=hunter2",
    ):
        with pytest.raises(ValueError, match="a password never stands in the url") as refused:
            SqlOptions(url=url)
        assert "hunter2" not in str(refused.value)
    with pytest.raises(ValueError, match="expected") as refused:
        SqlOptions(url=f"mysql://gw:hunter2@{place}")
    assert "hunter2" not in str(refused.value)


# --- how it is kept ---------------------------------------------------------------------------------------------------


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


def test_P2_sqlite_writes_through_to_the_disk_at_every_commit(tmp_path: Path) -> None:
    store = store_at(None, tmp_path)
    store.open()
    with store._db.reading() as connection:
        words = ("journal_mode", "synchronous", "foreign_keys")
        assert [connection.exec_driver_sql(f"PRAGMA {word}").scalar() for word in words] == ["wal", 2, 1]
    store.close()


def test_equal_bytes_are_stored_once_in_chunks_of_at_most_1_MiB(store: Store, url: str) -> None:
    message = make_raw() + bytes(3 * CHUNK)
    for account in ("one", "two"):
        Custodian.of(store, account).file("1", message)
    assert run(url, "SELECT digest, size FROM content") == [(sha256(message).digest(), len(message))]
    sizes = [size for (size,) in run(url, "SELECT length(data) FROM chunk ORDER BY number")]
    assert sizes == [CHUNK, CHUNK, CHUNK, len(message) - 3 * CHUNK]


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM chunk WHERE content_id = (SELECT max(content_id) FROM chunk)",
        "UPDATE chunk SET data = substr(data, 2) WHERE content_id = (SELECT max(content_id) FROM chunk) AND number = 1",
        "DELETE FROM chunk WHERE content_id = (SELECT max(content_id) FROM chunk) AND number = 0",
    ],
)
def test_P1_the_audit_finds_raw_bytes_that_are_missing_or_damaged(store: Store, url: str, damage: str) -> None:
    one = Custodian.of(store)
    one.file("1", make_raw(1))
    one.file("2", make_raw(2) + bytes(CHUNK))
    one.file("3", make_raw(2) + bytes(CHUNK))
    (before,) = store.audit("shared", {"INBOX": make_listing("1", "2", "3")})
    assert before.proven
    run(url, damage)
    (after,) = store.audit("shared", {"INBOX": make_listing("1", "2", "3")})
    assert (after.damaged, after.proven) == (("2", "3"), False)


def test_P3_bytes_that_are_gone_are_written_anew_when_they_come_again(store: Store, url: str) -> None:
    message = make_raw() + bytes(2 * CHUNK)
    mail_id = Custodian.of(store, "one").file("1", message)
    run(url, "DELETE FROM chunk WHERE number = 1")
    Custodian.of(store, "two").file("1", message)
    assert store.stored_source(mail_id).read(0, len(message)) == message
    assert [audit.proven for name in ("one", "two") for audit in store.audit(name, {"INBOX": make_listing("1")})] == [True, True]


@pytest.mark.parametrize("more", [-4e-7, 4e-7])
def test_mail_is_of_the_time_that_it_shows_though_the_database_knows_it_more_exactly(store: Store, url: str, more: float) -> None:
    mail_id = Custodian.of(store).file("1", make_raw())
    run(url, f"UPDATE mail SET received_at = 1764588000.25 + {more}")
    (shown,) = store.filings(ACME, Query())
    assert [one.id for one in store.filings(ACME, Query(since=shown.received_at))] == [mail_id]
    assert store.filings(ACME, Query(until=shown.received_at)) == []


def test_P1_the_audit_finds_a_filed_key_without_its_mail(store: Store, url: str) -> None:
    Custodian.of(store).file("1", make_raw())
    run(url, "DELETE FROM link", "DELETE FROM filing", "DELETE FROM unindexed", "DELETE FROM mail")
    (audit,) = store.audit("shared", {"INBOX": make_listing("1")})
    assert audit.damaged == ("1",)


def test_P1_the_audit_names_damage_of_a_past_key_as_the_server_did(store: Store, url: str) -> None:
    one = Custodian.of(store)
    one.file("1", make_raw())
    one.enter(standing=[])
    one.enter(standing=["1"])
    run(url, "DELETE FROM chunk")
    (audit,) = store.audit("shared", {"INBOX": make_listing("1")})
    assert (audit.damaged, audit.gone) == (("1",), 1)


# --- daemons ----------------------------------------------------------------------------------------------------------


def test_daemons_that_died_are_forgotten_after_a_day(store: Store, url: str) -> None:
    for owner in ("one", "two"):
        assert store.beat(DaemonHealth(holder=owner, version="1", started_at=datetime.now(UTC)))
    run(url, "UPDATE daemon SET beat_at = beat_at - 86399 WHERE owner = 'one'")
    assert store.beat(DaemonHealth(holder="two", version="1", started_at=datetime.now(UTC))) == 1
    assert run(url, "SELECT owner FROM daemon ORDER BY owner") == [("one",), ("two",)]
    run(url, "UPDATE daemon SET beat_at = beat_at - 2 WHERE owner = 'one'")
    store.beat(DaemonHealth(holder="two", version="1", started_at=datetime.now(UTC)))
    assert run(url, "SELECT owner FROM daemon") == [("two",)]


def test_a_verdict_is_provisional_for_its_time_at_most_also_where_nobody_has_looked_since(store: Store, url: str) -> None:
    one = Custodian.of(store)
    one.enter("1")
    verdict = Provisional(operator="nord", since=datetime(2026, 11, 22, tzinfo=UTC), version="1", fire=False, undecided=False)
    one.commit(replace(filed := one.outcome("1", make_raw(1)), provisional=(verdict,)))
    assert store.doubted("nord", [filed.entry_id]) == {filed.entry_id}
    run(url, "UPDATE provisional SET until = 1")
    assert store.doubted("nord", [filed.entry_id]) == frozenset()


def test_daemons_that_start_at_once_share_the_leases(url: str, open_store: Callable[[], Store]) -> None:
    stores = [open_store() for _ in range(4)]
    accounts = [f"account {number}" for number in range(700)]
    with ThreadPoolExecutor(4) as threads:
        taken = list(threads.map(lambda pair: pair[1].take_leases(accounts, f"{pair[0]}", dead=lambda _: False), enumerate(stores)))
    held = [lease.account for leases in taken for lease in leases]
    assert len(held) == len(set(held))
    rest = stores[0].take_leases(accounts, "0", dead=lambda _: False)
    assert sorted([*held, *(lease.account for lease in rest)]) == sorted(accounts)
    owners = {(lease.account, lease.holder) for leases in (*taken, rest) for lease in leases}
    assert owners == set(run(url, "SELECT account, owner FROM lease"))


def test_P2_a_commit_waits_for_the_disk_also_where_the_server_is_set_up_not_to(postgresql: str, tmp_path: Path) -> None:
    assert run(postgresql, "SHOW synchronous_commit") == [("off",)]
    store = store_at(postgresql, tmp_path)
    store.open()
    for engine in (store._db._reader, store._db._writer):
        with engine.begin() as connection:
            assert connection.scalar(text("SHOW synchronous_commit")) == "on"
            assert connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == "30s"
    store.close()


def test_P4_no_lease_waits_for_a_batch_that_another_account_commits(postgresql: str, tmp_path: Path) -> None:
    # SQLite has one writer at a time, whatever it writes.
    run(postgresql, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    store = store_at(f"{postgresql}&options=-c%20lock_timeout%3D1s", tmp_path)
    store.open()
    busy, calm = store.take_leases(["busy", "calm"], "one", dead=lambda _: False)
    run(postgresql, "UPDATE lease SET until = 0")
    engine = create_engine(postgresql.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE lease SET until = until WHERE account = 'busy'"))
        assert store.renew_leases([busy, calm]) == [busy, calm]
        ((until, now),) = run(postgresql, "SELECT until, extract(epoch FROM now()) FROM lease WHERE account = 'calm'")
        assert LEASE_SECONDS - 5 < float(str(until)) - float(str(now)) <= LEASE_SECONDS
        assert store.take_leases(["busy", "calm", "new"], "two", dead=lambda owner: owner == "one") == [
            Lease(account="calm", holder="two", epoch=calm.epoch + 1),
            Lease(account="new", holder="two", epoch=1),
        ]
        with pytest.raises(TransientError, match="locked by another process"):
            store.renew(busy)
    engine.dispose()
    store.close()


@pytest.fixture
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def remember(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", remember)
    yield seen
    event.remove(Engine, "before_cursor_execute", remember)


def test_a_batch_and_a_page_take_a_handful_of_statements(store: Store, statements: list[str]) -> None:
    one = Custodian.of(store)
    one.enter(*(str(number) for number in range(100)))
    records = [Record(kind="customer", id=str(number), label="") for number in range(3)]
    filings = [make_filing(operator, links=records, rivals=records) for operator in ("acme", "globetrot")]
    batch = [one.outcome(str(number), make_raw(number), *filings) for number in range(100)]
    statements.clear()
    assert one.commit(*batch).filed == 100
    assert len(statements) <= 13, statements
    statements.clear()
    assert len(store.filings(ACME, Query(limit=100))) == 100
    assert len(statements) <= 5, statements


def test_thousands_of_accounts_take_a_handful_of_statements(store: Store, statements: list[str]) -> None:
    accounts = [f"account {number}" for number in range(2000)]
    leases = store.take_leases(accounts, "one", dead=lambda _: False)
    assert len(leases) == 2000
    calls: list[tuple[Callable[[], object], int]] = [
        (lambda: store.take_leases([f"other {number}" for number in range(2000)], "one", dead=lambda _: False), 3),
        (lambda: store.take_leases(accounts, "two", dead=lambda _: False), 1),
        (lambda: store.renew_leases(leases), 2),
        (lambda: store.tell([AccountHealth(account=account, holder="one", condition="new") for account in accounts]), 1),
        (lambda: store.requests(accounts), 1),
        (lambda: store.ask("a", Task()), 2),
        (store.healths, 1),
        (store.lengths, 5),
        (lambda: store.causes(ACME), 1),
        (lambda: store.release_leases(leases), 1),
        (lambda: store.renew_leases([]), 0),
        (lambda: store.release_leases([]), 0),
    ]
    for call, number in calls:
        statements.clear()
        call()
        # SQLite's BEGIN is none that the driver tells.
        assert len([each for each in statements if not each.startswith("BEGIN")]) == number, statements


# --- what goes out ----------------------------------------------------------------------------------------------------


def test_P7_many_that_take_at_once_get_each_delivery_once(open_store: Callable[[], Store]) -> None:
    stores = [open_store() for _ in range(4)]
    mail_id = Custodian.of(stores[0]).file("1", make_raw())
    ids = stores[0].deliver(ACME, mail_id, [make_delivery(number, f"{number}@x.de") for number in range(200)])

    def work(number: int) -> list[int]:
        done: list[int] = []
        while found := stores[number].take("account out", f"{number}", limit=7, dead=lambda _: False):
            said = [Settled(id=each.id, tries=each.tries, state="delivered") for each in found]
            done += stores[number].settle(f"{number}", said)
        return done

    with ThreadPoolExecutor(4) as threads:
        done = [each for found in threads.map(work, range(4)) for each in found]
    # One that found all others locked by somebody may have ended before they were given out.
    done += work(0)
    assert sorted(done) == sorted(ids)


def test_P7_many_that_enter_the_same_at_once_make_one(open_store: Callable[[], Store]) -> None:
    stores = [open_store() for _ in range(4)]
    mail_id = Custodian.of(stores[0]).file("1", make_raw())
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda store: store.deliver(ACME, mail_id, [make_delivery()]), stores))
    assert len(set(map(tuple, found))) == len(stores[0].deliveries(ACME, DeliveryQuery())) == 1


def test_what_is_entered_waits_for_a_target_that_is_being_resumed(postgresql: str, tmp_path: Path) -> None:
    # It would else be held for a suspension that is gone, and for ever. SQLite has one writer at a time.
    run(postgresql, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    store = store_at(f"{postgresql}&options=-c%20lock_timeout%3D1s", tmp_path)
    store.open()
    mail_id = Custodian.of(store).file("1", make_raw())
    run(postgresql, "INSERT INTO suspension VALUES ('acme', 'duty', 0, 'it came back')")
    engine = create_engine(postgresql.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM suspension"))
        with pytest.raises(TransientError, match="locked by another process"):
            store.deliver(ACME, mail_id, [make_delivery(target="duty")])
        assert store.deliver(Viewer(operator="acme"), mail_id, []) == []
    store.deliver(ACME, mail_id, [make_delivery(target="duty")])
    assert store.destinations()["account out"] <= 0
    engine.dispose()
    store.close()


def test_the_outbox_takes_a_handful_of_statements(store: Store, statements: list[str]) -> None:
    one = Custodian.of(store)
    one.enter(*(str(number) for number in range(100)))
    deliveries = tuple(make_delivery(number, target=f"{number}", cause="rule 1") for number in range(3))
    follows = tuple(("threads", Follows(0, f"<{number}@x>", "it answers")) for number in range(3))
    filings = [replace(make_filing(operator), deliveries=deliveries, follows=follows) for operator in ("acme", "globetrot")]
    batch = [one.outcome(str(number), make_raw(number), *filings) for number in range(100)]
    bounce = Bounce(message_id=deliveries[0].message_id, recipients=(Bounced(address="duty@example.com", hard=True, words="no"),))
    batch = [replace(each, bounce=bounce) for each in batch]

    def count(call: Callable[[], object]) -> int:
        statements.clear()
        call()
        # SQLite's BEGIN is none that the driver tells.
        return len([each for each in statements if not each.startswith("BEGIN")])

    assert count(store.destinations) == 2
    assert count(lambda: store.take("account out", "me", limit=100, dead=lambda _: False)) == 2, "nothing is due"
    assert count(lambda: store.file(one.lease, batch)) <= 11 + 5 + 2 + 7, statements
    taken = store.take("account out", "me", limit=100, dead=lambda _: False)
    assert len(taken) == 100
    said = [Settled(id=each.id, tries=0, state="waiting", recipients=each.recipients, due_in=9) for each in taken]
    assert count(lambda: store.settle("me", said)) == 4, statements
    assert count(lambda: store.take("account out", "me", limit=100, dead=lambda owner: owner == "x")) <= 7, statements
    assert count(lambda: store.overdue(-60)) <= 5, statements
    assert count(lambda: store.deliveries(ACME, DeliveryQuery(limit=100))) == 2
    assert count(lambda: store.redeliver(ACME, [each.id for each in taken])) <= 5, statements
    assert count(lambda: store.settle("me", [])) == count(lambda: store.give_back("me", [])) == 0
