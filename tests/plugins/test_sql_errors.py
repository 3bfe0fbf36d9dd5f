"""The store ``sql`` over files that can't be used, and what errors of databases mean."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import exc

from gatewayd import ConfigError, Folders, GatewaydError, Query, TransientError, Viewer
from gatewayd.testing.contracts.custodian import Custodian, make_raw
from gatewayd_sql.errors import translated
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ACME = Viewer(operator="acme")


def store_at(folder: Path) -> Sql:
    url = f"sqlite:///{folder}/gatewayd.db"
    return Sql(SqlOptions(url=url), place=Folders(config=folder, state=folder))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no folder .*missing") as caught:
        store_at(tmp_path / "missing").open()
    assert "Make the folder" in caught.value.advice


@pytest.mark.parametrize("content", [b"Dear database, this is no database." * 100, b"SQLite format 3\0" + bytes(range(256)) * 9])
def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "gatewayd.db"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"gatewayd\.db: (this file is no SQLite database|the database is damaged)"):
        store_at(tmp_path).open()
    assert file.read_bytes() == content


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_folder_or_a_pipe_in_the_file_s_place_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "gatewayd.db")
    with pytest.raises(ConfigError, match=r"gatewayd\.db: it is no file"):
        store_at(tmp_path).open()


def test_a_database_of_another_program_is_refused_and_kept(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "gatewayd.db")) as other:
        other.execute("CREATE TABLE mail (subject TEXT)")
    with pytest.raises(ConfigError, match="tables of another program: mail"):
        store_at(tmp_path).open()
    with closing(sqlite3.connect(tmp_path / "gatewayd.db")) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("mail",)]


def test_a_damaged_database_says_so_and_what_to_do(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    store.open()
    one = Custodian.of(store)
    for number in range(50):
        one.file(str(number), make_raw(number, text="x" * 30_000))
    store.close()
    file = tmp_path / "gatewayd.db"
    data = bytearray(file.read_bytes())
    for page in range(2 << 14, len(data), 1 << 14):
        data[page : page + 100] = bytes(range(100, 200))
    file.write_bytes(data)
    store = store_at(tmp_path)
    with pytest.raises(ConfigError, match="damaged") as caught:  # noqa: PT012  which of them meets the damage first is SQLite's
        store.open()
        store.filings(ACME, Query())
    assert "put back a copy" in caught.value.advice


# --- what a database server says --------------------------------------------------------------------------------------


class Said(Exception):
    """An error of the driver, as SQLAlchemy wraps it."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__(f"error {sqlstate} of hunter2")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "verb", "text"),
    [
        ("53100", TransientError, "the database server's disk is full"),
        ("53300", TransientError, "the database server is overloaded"),
        ("08006", TransientError, "the connection to the database server is lost"),
        ("57P01", TransientError, "the database server goes down"),
        ("40P01", TransientError, "two transactions were in each other's way"),
        ("40001", TransientError, "two transactions were in each other's way"),
        ("55P03", TransientError, "the database is locked"),
        ("58030", TransientError, "the database server can't read or write its files"),
        (None, TransientError, "the database server can't be reached"),
        ("25006", ConfigError, "the database can't be written"),
        ("28P01", ConfigError, "the database server refuses this user"),
        ("3D000", ConfigError, "there is no such database"),
        ("42501", ConfigError, "the database refuses this user"),
        ("58P01", ConfigError, "the database is damaged"),
        ("XX001", ConfigError, "the database is damaged"),
        ("XX002", ConfigError, "the database is damaged"),
    ],
)
def test_what_a_server_says_is_one_of_the_kernel_s_verbs(sqlstate: str | None, verb: type[GatewaydError], text: str) -> None:
    with pytest.raises(verb, match=text) as caught, translated("db.example/mail"):
        raise exc.OperationalError("SELECT 1", {}, Said(sqlstate))
    assert type(caught.value) is verb
    assert caught.value.message.startswith("db.example/mail: ")
    assert caught.value.advice
    assert "hunter2" not in caught.value.message


def test_a_log_that_many_want_at_once_is_a_matter_of_time() -> None:
    """What SQLite says where others began a transaction each time that it tried, for seconds (sqlite.org/rescode.html)."""
    busy = sqlite3.OperationalError("locking protocol")
    busy.sqlite_errorname = "SQLITE_PROTOCOL"
    with pytest.raises(TransientError, match="locked by another process"), translated("mail"):
        raise exc.OperationalError("BEGIN IMMEDIATE", {}, busy)


def test_no_free_connection_is_a_matter_of_time() -> None:
    with pytest.raises(TransientError, match="all connections are in use"), translated("mail"):
        raise exc.TimeoutError


def test_a_fault_of_ours_is_not_taken_for_the_database_s() -> None:
    with pytest.raises(exc.ProgrammingError), translated("mail"):
        raise exc.ProgrammingError("SELEKT 1", {}, Said("42601"))


def test_a_server_that_is_not_there_is_named_by_its_socket(tmp_path: Path) -> None:
    url = f"postgresql://gw@/mail?host={tmp_path}"
    with pytest.raises(TransientError, match="the database server can't be reached") as caught:
        Sql(SqlOptions(url=url), place=Folders(config=tmp_path, state=tmp_path)).open()
    assert caught.value.message.startswith(f"{tmp_path}/mail: ")
