"""A process reads the store beside the daemon that writes it: as another Unix user, or a role that may only SELECT."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from gatewayd import ConfigError, Query, StoreReplaced, TransientError
from gatewayd.testing.contracts.custodian import ACME, Custodian, make_raw
from gatewayd_sql.database import Database
from gatewayd_sql.files import LONGEST_LOG
from gatewayd_sql.migrations import HEAD, VERSION_TABLE
from tests.patience import LONG
from tests.plugins.test_sql import postgresql, run, store_at, url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd_sql.store import Sql

__all__ = ["postgresql", "url"]

#: Any user but root, and a group, that no file of this machine belongs to.
SOMEBODY, GROUP = 62846, 62847

#: Becomes somebody and answers each line with how many mails it reads, or with what keeps it from that.
READER = f"""
import os, sys
from contextlib import suppress
from pathlib import Path
from gatewayd import Folders, GatewaydError, Query, Viewer
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
url = sys.argv[1]
store = Sql(SqlOptions(url=url), place=Folders(config=Path("/"), state=Path("/")))
store.open_reading()
os.setgroups([])
os.setgid({GROUP})
os.setuid({SOMEBODY})
for line in sys.stdin:
    try:
        print(len(store.filings(Viewer(operator="acme"), Query())), flush=True)
    except GatewaydError as error:
        print(type(error).__name__, error, error.advice, flush=True)
"""

#: Becomes somebody; four threads read all the time, so that some transaction is always open.
CROWD = f"""
import os, sys, threading, time
from sqlalchemy import text
from gatewayd_sql.database import Database
database = Database(sys.argv[1], reading=True)
os.setgroups([])
os.setgid({GROUP})
os.setuid({SOMEBODY})
def read():
    while True:
        with database.reading() as connection:
            connection.execute(text("SELECT count(*) FROM bulk")).all()
            time.sleep(0.05)
with database.reading():
    threads = [threading.Thread(target=read, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
print("reading", flush=True)
sys.stdin.read()
print(sum(thread.is_alive() for thread in threads), flush=True)
os._exit(0)
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def shared() -> Iterator[Path]:
    """Return a folder of root that somebody's group may read, with a database that is still empty."""
    above = Path(tempfile.mkdtemp(prefix="gatewayd-"))
    above.chmod(0o711)
    folder = above / "store"
    folder.mkdir()
    os.chown(folder, 0, GROUP)
    folder.chmod(0o2750)
    (folder / "gatewayd.db").touch()
    (folder / "gatewayd.db").chmod(0o640)
    yield folder
    shutil.rmtree(above)


class Somebody:
    """A process of another Unix user that reads a database whenever it is asked to."""

    def __init__(self, database: str, code: str = READER) -> None:
        command = [sys.executable, "-c", code, database]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def reads(self) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.line()

    def end(self) -> str:
        return self._process.communicate(timeout=LONG)[0].strip()


@contextmanager
def somebody(database: str, code: str = READER) -> Iterator[Somebody]:
    process = Somebody(database, code)
    try:
        yield process
    finally:
        process.end()


def reading(url: str, folder: Path) -> Sql:
    store = store_at(url, folder)
    store.open_reading()
    return store


def test_it_reads_what_is_written_meanwhile_and_writes_nothing(url: str, tmp_path: Path) -> None:
    writer = store_at(url, tmp_path)
    writer.open()
    with closing(writer), closing(reading(url, tmp_path)) as reader:
        custodian = Custodian.of(writer, "main")
        for number in (1, 2):
            custodian.file(str(number), make_raw(number))
            assert len(reader.filings(ACME, Query())) == number
        with pytest.raises(ConfigError, match="can't be written"):
            reader.prove_writable()
        with pytest.raises(ConfigError, match="can't be written"):
            reader.take_lease("fresh", "web", dead=lambda _holder: False)
        assert writer.filings(ACME, Query()) == reader.filings(ACME, Query())


@pytest.mark.parametrize("there", ["0017", "9999"])
def test_it_waits_for_the_version_that_it_knows(url: str, tmp_path: Path, there: str) -> None:
    with closing(reading(url, tmp_path)) as reader:
        with pytest.raises(TransientError) as raised:
            reader.filings(ACME, Query())
        assert "Start the daemon" in str(raised.value.advice)
        writer = store_at(url, tmp_path)
        writer.open()
        writer.close()
        assert reader.filings(ACME, Query()) == []
        run(url, f"UPDATE {VERSION_TABLE} SET version_num = '{there}'")
        with pytest.raises(TransientError, match=there) as raised:
            reader.filings(ACME, Query())
        assert ("Start the daemon" if there < HEAD else "restart this process") in str(raised.value.advice)
        run(url, f"UPDATE {VERSION_TABLE} SET version_num = '{HEAD}'")
        assert reader.filings(ACME, Query()) == []


def test_it_makes_no_database(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none"):
        with (
            closing(reading(f"sqlite:///{place}/gatewayd.db", tmp_path)) as reader,
            pytest.raises(TransientError, match="no database"),
        ):
            reader.filings(ACME, Query())
    (tmp_path / "gatewayd.db").touch()
    empty = reading(f"sqlite:///{tmp_path}/gatewayd.db", tmp_path)
    with closing(empty), pytest.raises(TransientError, match="it is empty"):
        empty.filings(ACME, Query())
    assert (tmp_path / "gatewayd.db").read_bytes() == b""


def test_a_name_with_signs_of_a_url_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "50% ü#&a=b"
    folder.mkdir()
    writer = store_at(None, folder)
    writer.open()
    with closing(writer), closing(reading(writer.url, folder)) as reader:
        assert reader.filings(ACME, Query()) == []


def test_it_goes_on_with_a_database_that_was_put_in_place_of_the_one_before(tmp_path: Path) -> None:
    stores = [store_at(None, tmp_path / name) for name in ("one", "two")]
    for store in stores:
        store.place.state.mkdir()
        store.open()
    with closing(stores[0]):
        Custodian.of(stores[0], "main").file("1", make_raw(1))
        stores[1].close()
        with closing(reading(stores[0].url, tmp_path)) as reader:
            assert len(reader.filings(ACME, Query())) == 1
            for ending in ("", "-wal", "-shm"):
                (tmp_path / f"one/store/gatewayd.db{ending}").rename(tmp_path / f"away{ending}")
            with pytest.raises(TransientError, match="there is no database"):
                reader.filings(ACME, Query())
            (tmp_path / "two/store/gatewayd.db").rename(tmp_path / "one/store/gatewayd.db")
            assert reader.filings(ACME, Query()) == []


def test_P1_it_lets_go_of_a_database_that_was_overwritten_so_that_the_next_daemon_can_work(tmp_path: Path) -> None:
    database, copy = tmp_path / "gatewayd.db", tmp_path / "copy.db"
    store = store_at(f"sqlite:///{database}", tmp_path)
    store.open()
    custodian = Custodian.of(store, "main")
    custodian.file("1", make_raw(1))
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM INTO ?", [str(copy)])
    custodian.file("2", make_raw(2))
    code = READER.replace(f"os.setgroups([])\nos.setgid({GROUP})\nos.setuid({SOMEBODY})\n", "")
    with somebody(f"sqlite:///{database}", code) as other:
        assert other.reads() == "2"
        shutil.copyfile(copy, database)
        with pytest.raises(StoreReplaced):
            custodian.file("3", make_raw(3))
        store.close()
        # It read from a log of which the file knows nothing, and would keep its index from the next daemon.
        assert other.reads() == "1"
        again = store_at(f"sqlite:///{database}", tmp_path)
        again.open()
        with closing(again):
            Custodian.of(again, "other").file("4", make_raw(4))
            assert again.check().faults == ()
            assert other.reads() == "2"


@needs_root
def test_another_unix_user_reads_and_changes_nothing(shared: Path) -> None:
    database = f"sqlite:///{shared}/gatewayd.db"
    with somebody(database) as other:
        assert other.reads().startswith("TransientError"), "nothing was made yet"
        store = store_at(database, shared)
        store.open()
        with closing(store):
            custodian = Custodian.of(store, "main")
            custodian.file("1", make_raw(1))
            assert other.reads() == "1"
            run(database, "PRAGMA wal_checkpoint(TRUNCATE)")
            custodian.file("2", make_raw(2))
            assert other.reads() == "2"
        assert other.reads() == "2", "nobody writes any more"
        with somebody(database) as another:
            assert another.reads() == "2", "who reads keeps the log for others"
        store = store_at(database, shared)
        store.open()
        with closing(store):
            Custodian.of(store, "other").file("3", make_raw(3))
            assert other.reads() == "3"
        files = {path.name: (path.stat().st_uid, path.stat().st_gid, path.stat().st_mode & 0o777) for path in shared.iterdir()}
    assert files == {f"gatewayd.db{ending}": (0, GROUP, 0o640) for ending in ("", "-wal", "-shm")}


@needs_root
def test_another_unix_user_reads_what_a_killed_daemon_has_left(shared: Path) -> None:
    database = f"sqlite:///{shared}/gatewayd.db"
    writing = (
        "import os, sys; from pathlib import Path; from gatewayd.testing.contracts.custodian import Custodian, make_raw\n"
        "from tests.plugins.test_sql import store_at; store = store_at(sys.argv[1], Path('/')); store.open()\n"
        "Custodian.of(store, 'main').file('1', make_raw(1)); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", writing, database], check=False).returncode == 9
    assert (shared / "gatewayd.db-wal").stat().st_size > 0
    with somebody(database) as other:
        assert other.reads() == "1"


@needs_root
def test_another_unix_user_is_told_what_it_lacks(shared: Path) -> None:
    database = f"sqlite:///{shared}/gatewayd.db"
    store = store_at(database, shared)
    store.open()
    store.close()
    with somebody(database) as other:
        # SQLite takes the log away with the last connection, and who may not make one can't read.
        assert "Start the daemon" in other.reads()
    shared.chmod(0o700)
    with somebody(database) as other:
        assert "gatewayd install --web" in other.reads()


@needs_root
def test_the_log_is_cut_while_another_unix_user_reads_all_the_time(shared: Path) -> None:
    database = f"sqlite:///{shared}/gatewayd.db"
    store = store_at(database, shared)
    store.open()
    run(database, "CREATE TABLE bulk (bytes BLOB)")
    store.close()
    piece = 4 << 20
    longest = 0
    with closing(Database(database)) as daemon:
        with daemon.writing() as connection:
            connection.execute(text("INSERT INTO bulk VALUES (zeroblob(1))"))
        with somebody(database, CROWD) as crowd:
            assert crowd.line() == "reading"
            for _ in range(4 * LONGEST_LOG // piece):
                with daemon.writing() as connection:
                    connection.execute(text("UPDATE bulk SET bytes = randomblob(:piece)"), {"piece": piece})
                longest = max(longest, (shared / "gatewayd.db-wal").stat().st_size)
            assert crowd.end() == "4", "all of them still read"
    assert longest < 2 * LONGEST_LOG


def test_a_role_that_may_only_select_reads_postgresql(postgresql: str, tmp_path: Path) -> None:
    run(
        postgresql,
        "DROP SCHEMA public CASCADE",
        "CREATE SCHEMA public",
        "DROP ROLE IF EXISTS gatewayd_web",
        "CREATE ROLE gatewayd_web LOGIN",
        "GRANT USAGE ON SCHEMA public TO gatewayd_web",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO gatewayd_web",
    )
    role = postgresql.replace("postgres@", "gatewayd_web@")
    assert role != postgresql
    store = store_at(postgresql, tmp_path)
    store.open()
    with closing(store), closing(reading(role, tmp_path)) as reader:
        Custodian.of(store, "main").file("1", make_raw(1))
        assert len(reader.filings(ACME, Query())) == 1
        for statement in (
            "DELETE FROM mail",
            "UPDATE ledger SET state = 'new'",
            "INSERT INTO lease (account) VALUES ('a')",
            "DROP TABLE mail",
        ):
            with pytest.raises(Exception, match=r"permission denied|must be owner"):
                run(role, statement)
        run(postgresql, "REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM gatewayd_web")
        with pytest.raises(ConfigError) as raised:
            reader.filings(ACME, Query())
        assert "GRANT SELECT" in str(raised.value.advice)
    run(postgresql, "DROP OWNED BY gatewayd_web", "DROP ROLE gatewayd_web")
