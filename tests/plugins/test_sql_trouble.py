"""The store ``sql`` in trouble: full disks, files that can't be used, other processes, and the end of its own."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psycopg
import pytest

from gatewayd import ConfigError, Folders, Held, Lease, Query, StoreReplaced, Tally, TransientError, Viewer
from gatewayd.testing.contracts.custodian import Custodian, make_delivery, make_listing, make_raw
from gatewayd.testing.contracts.outbox import entered, settled, take
from gatewayd.testing.servers.postgresql import Postgresql
from gatewayd_sql.database import Database
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACME = Viewer(operator="acme")

#: What a child process begins with: a store in the folder of the first argument, and its own time to tell what it saw.
CHILD = """
import os, sys
from pathlib import Path
from gatewayd import GatewaydError, Folders, Query, Viewer
from gatewayd.testing.contracts.custodian import Custodian, make_raw
from gatewayd_sql.errors import translated
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
import gatewayd_sql.migrations.versions.v0001_first, alembic.command
folder = Path(sys.argv[1])
store = Sql(SqlOptions(url=f"sqlite:///{folder}/gatewayd.db"), place=Folders(config=folder, state=folder))
def told(call):
    try:
        return call()
    except GatewaydError as error:
        print(type(error).__name__, error, "|", error.advice)
"""


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD + code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(code: str, *arguments: object) -> str:
    out, errors = child(code, *arguments).communicate(timeout=60)
    assert not errors, errors
    return out


def store_at(folder: Path, query: str = "") -> Sql:
    url = f"sqlite:///{folder}/gatewayd.db{query}"
    return Sql(SqlOptions(url=url), place=Folders(config=folder, state=folder))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Sql]:
    store = store_at(tmp_path)
    store.open()
    yield store
    store.close()


# --- files that can't be used -----------------------------------------------------------------------------------------


UNPRIVILEGED = """
import tempfile
with tempfile.TemporaryDirectory() as elsewhere:
    # What is imported by now need not be readable for the other user.
    warm = Sql(SqlOptions(), place=Folders(config=folder, state=Path(elsewhere)))
    warm.open()
    warm.close()
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
told(store.open)
sys.stdout.flush()
os._exit(0)  # what else would be written at the end can't be
"""


@pytest.mark.parametrize("made", [False, True])
def test_a_place_that_can_t_be_written_is_refused(*, made: bool) -> None:
    # Root is refused nothing, so another user must reach the folder; tmp_path lies in one that only its owner enters.
    with TemporaryDirectory() as name:
        folder = Path(name)
        if made:
            store = store_at(folder)
            store.open()
            store.close()
            (folder / "gatewayd.db").chmod(0o444)
        folder.chmod(0o555)
        out = said(UNPRIVILEGED, folder)
        folder.chmod(0o755)
    assert out.startswith(f"ConfigError {name}/gatewayd.db: the database can't be ")
    assert out.endswith("| Let the service's user write the file and its folder, or correct `state` or the store's `url`.\n")


# --- full disks -------------------------------------------------------------------------------------------------------

FILL = """
told(store.open)
one = Custodian.of(store)
filed = 0
def fill():
    global filed
    while True:
        one.file(str(filed), make_raw(filed, text="x" * 50_000 * 70))
        filed += 1
if len(sys.argv) > 2:
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
told(fill)
print(filed, len(store.filings(Viewer(operator="acme"), Query())), sorted(set(one.states().values())))
store.close()
"""


def check_full(out: str) -> None:
    error, counts = out.splitlines()
    assert error.startswith("TransientError ")
    assert "disk is full" in error
    assert error.endswith("| Make room on the disk; the work goes on by itself.")
    filed, seen, states = counts.split(" ", 2)
    assert int(filed) > 0
    assert filed == seen, "P2: what was committed before is there, the rest not at all"
    assert states in {"['filed', 'waiting']", "['filed']"}


def test_P2_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    check_full(said(FILL, tmp_path, 30 << 20))
    store = store_at(tmp_path)
    store.open()
    assert [audit.proven for audit in store.audit("shared", {"INBOX": make_listing()})] == [True]
    store.close()


def test_P2_a_full_disk_is_one(tmp_path: Path) -> None:
    # A mount of its own, that ends with the process.
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    shell = 'mount -t tmpfs -o size=30m tmpfs "$1" && exec "$0" -c "$2" "$1"'
    command = [*mount, shell, sys.executable, str(tmp_path), CHILD + FILL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"this system allows no mounts of one's own: {done.stderr}")
    assert not done.stderr, done.stderr
    check_full(done.stdout)


# --- several processes ------------------------------------------------------------------------------------------------

WRITE = """
store.open()
one = Custodian.of(store, sys.argv[2])
print("ready", flush=True)
for number in range(60):
    one.file(str(number), make_raw(number, text=sys.argv[2] * 10_000))
    store.mark(Viewer(operator="acme"), [1], unread=bool(number % 2))
print("done")
"""


def test_several_processes_write_at_once(store: Sql, tmp_path: Path) -> None:
    one = Custodian.of(store)
    first = one.file("1", make_raw())
    writers = [child(WRITE, tmp_path, account) for account in ("a", "b")]
    marks = 0
    while any(writer.poll() is None for writer in writers):
        store.mark(ACME, [first], unread=bool(marks % 2))
        assert store.filings(ACME, Query(limit=5))
        marks += 1
    for writer in writers:
        out, errors = writer.communicate()
        assert (out, errors) == ("ready\ndone\n", "")
    assert marks > 5
    assert len(store.filings(ACME, Query(limit=1000))) == 121


def test_a_writer_that_waits_too_long_says_that_the_database_is_locked(store: Sql, tmp_path: Path) -> None:
    hasty = store_at(tmp_path, "?timeout=0.1")
    hasty.open()
    one = Custodian.of(store)
    with closing(sqlite3.connect(tmp_path / "gatewayd.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert hasty.folder("shared", "INBOX") is None, "readers wait for nobody"
        with pytest.raises(TransientError, match="locked by another process"):
            hasty.renew(one.lease)
    hasty.renew(one.lease)
    hasty.close()


@pytest.mark.parametrize("times", [1, 100])
def test_a_lease_that_somebody_else_snatches_is_theirs(store: Sql, times: int) -> None:
    owners = iter(range(times))

    def dead(_owner: str) -> bool:
        # While this one asks, the next one comes and takes it.
        new = next(owners, None)
        if new is not None:
            assert isinstance(store.take_lease("shared", f"{new}", dead=lambda _: True), Lease)
        return new is not None

    store.take_lease("shared", "first", dead=dead)
    if times == 1:
        held = store.take_lease("shared", "late", dead=dead)
        assert isinstance(held, Held)
        assert held.holder == "0"
    else:
        with pytest.raises(TransientError, match="changes hands"):
            store.take_lease("shared", "late", dead=dead)


# --- the end of a process ---------------------------------------------------------------------------------------------

KILLED = """
from dataclasses import replace
import signal
store.open()
one = Custodian.of(store)
batch = [one.outcome(str(number), make_raw(number, text="x" * 200_000)) for number in range(40)]

class Deadly:
    def __init__(self, source): self.source, self.size = source, source.size
    def read(self, offset, size):
        os.kill(os.getpid(), signal.SIGKILL)

at = int(sys.argv[2])
batch[at] = replace(batch[at], mail=replace(batch[at].mail, source=Deadly(batch[at].mail.source)))
one.commit(*batch)
"""


@pytest.mark.parametrize("at", [0, 17, 39])
def test_P2_a_kill_inside_a_batch_leaves_nothing_of_it(store: Sql, tmp_path: Path, at: int) -> None:
    one = Custodian.of(store)
    one.enter(*(str(number) for number in range(40)))
    store.release(one.lease)
    killed = child(KILLED, tmp_path, at)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    again = store.take_lease("shared", "two", dead=lambda owner: owner == "one")
    two = Custodian(store, again)  # type: ignore[arg-type]
    assert set(two.states(*map(str, range(40))).values()) == {"waiting"}
    assert not store.filings(ACME, Query())
    tally = two.commit(*(two.outcome(str(number), make_raw(number)) for number in range(40)))
    assert tally == Tally(filed=40)
    assert [audit.proven for audit in store.audit("shared", {"INBOX": make_listing(*list(map(str, range(40))))})] == [True]


ENDLESS = """
store.open()
one = Custodian.of(store)
number = 0
while True:
    keys = [str(number + each) for each in range(20)]
    one.enter(*keys, cursor=keys[-1])
    one.commit(*(one.outcome(key, make_raw(int(key), text="x" * 20_000)) for key in keys))
    number += 20
    print(number, flush=True)
"""


@pytest.mark.parametrize("seed", [3, 7, 12])
def test_P2_a_kill_between_commits_loses_nothing_that_was_told(tmp_path: Path, seed: int) -> None:
    writer = child(ENDLESS, tmp_path)
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(seed)][-1]
    writer.kill()
    writer.communicate()
    store = store_at(tmp_path)
    store.open()
    held = store.take_lease("shared", "two", dead=lambda owner: owner == "one")
    keys = [str(number) for number in range(told + 100)]
    states = Custodian(store, held).states(*keys)  # type: ignore[arg-type]
    filed = [key for key, state in states.items() if state == "filed"]
    assert len(filed) >= told
    assert len(filed) % 20 == 0
    assert len(states) % 20 == 0
    state = store.folder("shared", "INBOX")
    assert state is not None
    assert state.cursor == str(len(states) - 1), "P2: keys and cursor are committed together"
    assert len(store.filings(ACME, Query(limit=10_000))) == len(filed)
    assert [audit.damaged for audit in store.audit("shared", {"INBOX": make_listing(*keys)})] == [()]
    store.close()


def test_a_connection_that_is_in_use_at_the_close_is_closed_after_it(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/gatewayd.db")
    for transaction in (database.reading, database.writing):
        with transaction() as connection:
            used = connection.connection.driver_connection
            database.close()
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            used.execute("SELECT 1")  # type: ignore[union-attr]  # it is a connection of sqlite3


def test_a_postgresql_database_that_was_restored_under_a_process_is_noticed(postgresql_server: Postgresql, tmp_path: Path) -> None:
    url = postgresql_server.new_database()
    store = Sql(SqlOptions(url=url), place=Folders(config=tmp_path, state=tmp_path))
    store.open()
    lease = store.take_lease("sales", "me", dead=lambda _: False)
    assert isinstance(lease, Lease)
    store.renew(lease)
    entered(store, make_delivery(1), make_delivery(2, "other@example.com"))
    (first,) = take(store, limit=1)
    with closing(store), psycopg.connect(url, autocommit=True) as restore:
        restore.execute("ALTER TABLE lease RENAME TO before")
        with pytest.raises(TransientError, match="the database's tables are gone"):
            store.renew_leases([lease])
        # As of a backup that is younger than the lease.
        restore.execute("CREATE TABLE lease (LIKE before INCLUDING ALL)")
        restore.execute("INSERT INTO lease SELECT * FROM before")
        for write in (
            lambda: store.renew(lease),
            lambda: store.renew_leases([lease]),
            lambda: take(store, limit=1),
            lambda: store.settle("one", [settled(first, "delivered")]),
        ):
            with pytest.raises(StoreReplaced, match="the database was replaced"):
                write()


def test_P1_a_damaged_postgresql_database_says_so(tmp_path: Path) -> None:
    with Postgresql() as server:
        url = server.new_database()
        store = Sql(SqlOptions(url=url), place=Folders(config=tmp_path, state=tmp_path))
        store.open()
        Custodian.of(store).file("1", make_raw())
        store.close()
        with psycopg.connect(url, autocommit=True) as database:
            database.execute("CHECKPOINT")
            rows = [database.execute("SELECT pg_relation_filepath(%s)", [name]).fetchone() for name in ("mail", "filing")]
        mail, filing = (server.folder / "data" / row[0] for row in rows if row)
        server.crash()
        mail.write_bytes(b"\x55" * 64 + mail.read_bytes()[64:])
        filing.unlink()
        server.start()
        store.open()
        with closing(store):
            # One meets a page that is none, the other a file that is not there.
            for look in (lambda: store.audit("shared", {}), lambda: store.filings(ACME, Query())):
                with pytest.raises(ConfigError, match="the database is damaged") as caught:
                    look()
                assert "restore a backup" in caught.value.advice


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_postgresql_database_that_does_not_hold_all_characters_is_refused(
    postgresql_server: Postgresql, tmp_path: Path, encoding: str
) -> None:
    name = f"in_{encoding.lower()}"
    with psycopg.connect(postgresql_server.url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    url = postgresql_server.url.replace("/postgres?", f"/{name}?")
    with pytest.raises(ConfigError, match=f"{name}: the database's encoding is {encoding}") as caught:
        Sql(SqlOptions(url=url), place=Folders(config=tmp_path, state=tmp_path)).open()
    assert "ENCODING 'UTF8'" in caught.value.advice
    postgresql_server.drop(url)


def test_what_a_process_is_told_of_encodings_does_not_keep_mail_out(
    postgresql_server: Postgresql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    store = Sql(SqlOptions(url=postgresql_server.new_database()), place=Folders(config=tmp_path, state=tmp_path))
    store.open()
    with closing(store):
        Custodian.of(store).file("1", make_raw(subject="Zürich \u2708"))
        assert store.filings(ACME, Query())[0].subject == "Zürich \u2708"


def test_a_database_that_was_replaced_is_noticed_by_whoever_reads_or_writes(tmp_path: Path) -> None:
    code = """
from gatewayd_sql.database import Database
database = Database(f"sqlite:///{folder}/gatewayd.db")
database.upgrade()
def read():
    with database.reading(): pass
def write():
    with database.writing(): pass
def late():
    with database.writing(): os.replace(folder / "copy.db", folder / "gatewayd.db")
read()
import shutil
shutil.copy(folder / "gatewayd.db", folder / "copy.db")
told(late)
told(read)
told(write)
database.close()
"""
    assert said(code, tmp_path).count("StoreReplaced") == 3
    for name in ("gatewayd.db-wal", "gatewayd.db-shm"):
        assert (tmp_path / f"{name}.of-before").exists(), "it would be taken for the new database's"
        assert not (tmp_path / name).exists()


def _vacuumed(database: Database, copy: Path) -> None:
    # As the docs make a backup.
    with closing(sqlite3.connect(database.name)) as connection:
        connection.execute("VACUUM INTO ?", [str(copy)])


def _as_it_was(database: Database, copy: Path) -> None:
    # Nobody else has it open, so that all is in the file; then the file goes on.
    database.close()
    shutil.copy(database.name, copy)


@pytest.mark.parametrize("backup", [_vacuumed, _as_it_was])
def test_P3_a_database_that_was_overwritten_in_place_is_noticed_and_nothing_is_mixed_into_the_backup(
    tmp_path: Path, backup: Callable[[Database, Path], None]
) -> None:
    name, copy = tmp_path / "gatewayd.db", tmp_path / "copy.db"
    with closing(Database(f"sqlite:///{name}")) as database:
        database.upgrade()
        backup(database, copy)
    with closing(Database(f"sqlite:///{name}")) as database:
        database.prove_writable()
    with closing(Database(f"sqlite:///{name}")) as database:
        database.prove_writable()
        with pytest.raises(StoreReplaced, match="was overwritten"), database.writing():
            shutil.copyfile(copy, name)
        for transaction in (database.reading, database.writing):
            with pytest.raises(StoreReplaced), transaction():
                pass
    assert name.read_bytes() == copy.read_bytes(), "what was in the log is none of the backup's"
    assert (tmp_path / "gatewayd.db-wal.of-before").exists()
    with closing(Database(f"sqlite:///{name}")) as database:
        database.prove_writable()


def test_a_checkpoint_of_another_process_is_no_overwritten_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gatewayd.db"
    with closing(Database(url)) as one, closing(Database(url)) as other:
        one.upgrade()
        for _ in range(3):
            other.prove_writable()
            with closing(sqlite3.connect(tmp_path / "gatewayd.db")) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            one.prove_writable()


def test_a_database_that_was_replaced_once_is_never_believed_again(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path}/gatewayd.db")) as database:
        database.upgrade()
        (tmp_path / "gatewayd.db").rename(tmp_path / "away.db")
        sqlite3.connect(tmp_path / "gatewayd.db").close()
        (tmp_path / "gatewayd.db").touch()
        with pytest.raises(StoreReplaced), database.writing():
            pass
        (tmp_path / "away.db").replace(tmp_path / "gatewayd.db")
        with pytest.raises(StoreReplaced), database.writing():
            pass


def test_no_connection_makes_a_database_where_one_was_moved_away(tmp_path: Path) -> None:
    files = ["gatewayd.db", "gatewayd.db-wal", "gatewayd.db-shm"]
    with closing(Database(f"sqlite:///{tmp_path}/gatewayd.db")) as database:
        database.upgrade()
        with database.reading():
            for name in files:
                (tmp_path / name).rename(tmp_path / f"{name}.away")
            # One more than there are connections.
            with pytest.raises(TransientError, match="the database's file is gone"), database.reading():
                pass
            assert not (tmp_path / "gatewayd.db").exists()
            (tmp_path / "gatewayd.db").touch()
            with pytest.raises(StoreReplaced), database.reading():
                pass


def test_a_log_that_was_taken_away_is_brought_into_the_database_at_the_close(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    store.open()
    Custodian.of(store).file("1", make_raw())
    (tmp_path / "gatewayd.db-wal").unlink()
    with pytest.raises(StoreReplaced):
        Custodian.of(store).file("2", make_raw())
    store.close()
    again = store_at(tmp_path)
    again.open()
    with closing(again):
        assert len(again.filings(ACME, Query())) == 1


def test_a_state_folder_that_can_not_be_looked_at_is_not_called_empty(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    with closing(Database(f"sqlite:///{folder}/gatewayd.db")) as database:
        database.upgrade()
        folder.rename(tmp_path / "away")
        folder.write_text("a file in its place")
        with pytest.raises(TransientError, match="it can't be looked at: Not a directory"), database.reading():
            pass
