"""The database has a folder of its own in the state folder; that of a release before is moved there, whole, whatever happens."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd import ConfigError, Query
from gatewayd.testing.contracts.custodian import ACME, Custodian, make_raw
from tests.patience import LONG
from tests.plugins.test_sql import store_at

if TYPE_CHECKING:
    from pathlib import Path

#: Opens the store of a folder, files one mail, says how many there are, and ends in the way that the second argument names.
OPENING = """
import os, sys
from pathlib import Path
from gatewayd import Query
from gatewayd.testing.contracts.custodian import ACME, Custodian, make_raw
from tests.plugins.test_sql import store_at
folder, how = Path(sys.argv[1]), sys.argv[2]
events = []
def hook(event, arguments):
    if event in ("os.rename", "os.mkdir", "os.chmod", "sqlite3.connect") and str(folder) in str(arguments[0]):
        events.append(event)
        if str(len(events)) == how:
            os._exit(9)
if how.isdigit():
    sys.addaudithook(hook)
store = store_at(None, folder)
store.open()
print(len(store.filings(ACME, Query())), flush=True)
if how == "holds":
    sys.stdin.read()
store.close()
"""


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A state folder as a release before left it when it was killed: with a write-ahead log, which has all that was filed."""
    code = (
        "import os, sys; from pathlib import Path; from tests.plugins.test_sql import store_at\n"
        "from gatewayd.testing.contracts.custodian import Custodian, make_raw\n"
        "store = store_at(f'sqlite:///{sys.argv[1]}/gatewayd.db', Path(sys.argv[1])); store.open(); one = Custodian.of(store, 'main')\n"
        "[one.file(str(number), make_raw(number)) for number in (1, 2, 3)]; os._exit(9)"
    )
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    assert subprocess.run([sys.executable, "-c", code, str(state)], check=False).returncode == 9
    assert (state / "gatewayd.db-wal").stat().st_size > 100_000
    return state


def opening(state: Path, how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OPENING, str(state), how]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_database_of_a_release_before_is_moved_with_all_that_its_log_has(before: Path) -> None:
    store = store_at(None, before)
    assert not store.is_new()
    assert store.is_current()
    store.open()
    with closing(store):
        assert len(store.filings(ACME, Query())) == 3
        Custodian.of(store, "other").file("4", make_raw(4))
    assert names(before) == ["store", "store/gatewayd.db"]
    assert before.joinpath("store").stat().st_mode & 0o777 == 0o700
    assert before.joinpath("store/gatewayd.db").stat().st_mode & 0o777 == 0o600


def test_P1_a_kill_at_any_step_of_the_move_loses_nothing(before: Path) -> None:
    killed = 0
    for step in range(1, 9):
        process = opening(before, str(step))
        out, _ = process.communicate(timeout=LONG)
        killed += process.returncode == 9
        assert (out, process.returncode) in {("3\n", 0), ("", 9)}, (step, out)
    assert killed >= 3
    with closing(store_at(None, before)) as store:
        store.open()
        assert len(store.filings(ACME, Query())) == 3
    assert names(before) == ["store", "store/gatewayd.db"]


def test_several_processes_that_open_it_at_once_all_find_it(before: Path) -> None:
    processes = [opening(before, "") for _ in range(6)]
    assert {process.communicate(timeout=LONG)[0] for process in processes} == {"3\n"}
    assert names(before) == ["store", "store/gatewayd.db"]


def test_as_long_as_others_have_it_open_it_is_used_where_it_is(before: Path) -> None:
    with closing(sqlite3.connect(before / "gatewayd.db")) as other:
        assert other.execute("SELECT count(*) FROM mail").fetchone() == (3,)
        store = store_at(None, before)
        store.open()
        with closing(store):
            Custodian.of(store, "other").file("4", make_raw(4))
        assert not (before / "store/gatewayd.db").exists()
        assert other.execute("SELECT count(*) FROM mail").fetchone() == (4,)
    store = store_at(None, before)
    store.open()
    with closing(store):
        assert len(store.filings(ACME, Query())) == 4
    assert names(before) == ["store", "store/gatewayd.db"]


def test_of_two_databases_none_is_chosen(before: Path) -> None:
    store = store_at(None, before)
    store.open()
    store.close()
    (before / "gatewayd.db").write_bytes((before / "store/gatewayd.db").read_bytes())
    with pytest.raises(ConfigError, match="there are two databases") as raised:
        store_at(None, before).open()
    assert f"Only {before}/store/gatewayd.db is used" in str(raised.value.advice)


def test_a_link_stays_where_it_is(before: Path, tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    for ending in ("", "-wal", "-shm"):
        (before / f"gatewayd.db{ending}").rename(tmp_path / f"large/gatewayd.db{ending}")
    (before / "gatewayd.db").symlink_to(tmp_path / "large/gatewayd.db")
    store = store_at(None, before)
    store.open()
    with closing(store):
        assert len(store.filings(ACME, Query())) == 3


def test_P9_the_group_may_read_it_where_it_may_read_the_folder_and_nobody_else_ever(before: Path) -> None:
    (before / "store").mkdir()
    (before / "store").chmod(0o755)
    before_umask = os.umask(0o077)
    try:
        store = store_at(None, before)
        for _ in range(2):
            store.open()
            found = {path.name: path.stat().st_mode & 0o777 for path in (before / "store").iterdir()}
            store.close()
            assert found == {f"gatewayd.db{ending}": 0o640 for ending in ("", "-wal", "-shm")}
        (before / "store").chmod(0o700)
        store.open()
        found = {path.name: path.stat().st_mode & 0o777 for path in (before / "store").iterdir()}
        store.close()
        assert found == {f"gatewayd.db{ending}": 0o600 for ending in ("", "-wal", "-shm")}
    finally:
        os.umask(before_umask)


def test_a_state_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("no folder")
    with pytest.raises(ConfigError, match="the database's folder can't be used: File exists"):
        store_at(None, tmp_path).open()
