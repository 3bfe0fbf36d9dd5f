"""A backup is put in the database's place while the daemon runs: nothing is believed to be kept that is kept in no file."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import House, until
from tests.patience import LONG

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot


def _backup(house: House) -> Path:
    """A copy as the docs make it."""
    copy = house.state.parent / "backup.db"
    with closing(sqlite3.connect(house.database)) as database:
        database.execute("VACUUM INTO ?", [str(copy)])
    return copy


def _restored(house: House, copy: Path) -> None:
    # As the docs restore it, but for the stop before.
    for name in ("gatewayd.db-wal", "gatewayd.db-shm"):
        house.database.with_name(name).unlink()
    copy.rename(house.database)


def _moved_over(house: House, copy: Path) -> None:
    # With the log of the database before, which is none of the backup's.
    copy.rename(house.database)


def _copied_over(house: House, copy: Path) -> None:
    # By `cp`, which the docs forbid.
    shutil.copyfile(copy, house.database)


def _log_removed(house: House, _copy: Path) -> None:
    house.database.with_name("gatewayd.db-wal").unlink()


_WAYS = [
    pytest.param(_restored, id="restored"),
    pytest.param(_moved_over, id="moved over"),
    pytest.param(_copied_over, id="copied over"),
    pytest.param(_log_removed, id="log removed"),
]


@pytest.fixture
def house(tmp_path: Path, dovecot: Dovecot) -> House:
    """A house with one account, whose mail is deleted on the server once it is filed."""
    made = House(tmp_path)
    made.operator("acme")
    dovecot.user(f"{tmp_path.name}@example.com", "pass")
    made.account("sales", "imap", dovecot.ports["imap"], f"{tmp_path.name}@example.com", imports="  every: 1s\n  after: delete\n")
    return made


def _send(dovecot: Dovecot, house: House, mails: list[bytes]) -> None:
    dovecot.deliver(f"{house.state.parent.name}@example.com", mails)


@pytest.mark.parametrize("do", _WAYS)
@pytest.mark.parametrize("linked", [False, True])
def test_P1_P3_a_daemon_whose_database_was_replaced_deletes_nothing_and_ends(
    house: House, dovecot: Dovecot, do: Callable[[House, Path], None], *, linked: bool
) -> None:
    first, second = [*booking_messages(1, 1)], [*booking_messages(2, 2)]
    if linked:
        link = house.state.parent / "link"
        link.mkdir()
        house.database.parent.mkdir(parents=True)
        (link / "gatewayd.db").symlink_to(house.database)
        house.write("gatewayd.yaml", f"state: {house.state}\nstore: {{kind: sql, url: sqlite:///{link}/gatewayd.db}}\n")
    with house.daemon() as daemon:
        copy = _backup(house)
        _send(dovecot, house, first)
        until("mail is filed", LONG, house.filed)
        do(house, copy)
        _send(dovecot, house, second)
        assert daemon.process.wait(LONG) == 1
        what = "overwritten" if do is _copied_over else "replaced, or its write-ahead log taken away,"
        assert f"the database was {what} while gatewayd had it open" in daemon.log
        assert "daemon stopped" in daemon.log
    # What was filed and deleted before is what a restore loses; all else is there.
    kept = len(second) + (len(first) if do is _log_removed else 0)
    with house.daemon():
        until("all is filed", LONG, lambda: len(house.filed()) >= kept)
    house.good("audit", "sales")


def test_P1_a_database_that_is_moved_away_stops_the_import_until_it_is_back(house: House, dovecot: Dovecot) -> None:
    first, second = [*booking_messages(1, 1)], [*booking_messages(2, 2)]
    names = ("gatewayd.db-wal", "gatewayd.db-shm", "gatewayd.db")
    with house.daemon() as daemon:
        _send(dovecot, house, first)
        until("mail is filed", LONG, house.filed)
        # A log that is away while its database is there is another matter: then the daemon ends.
        for name in reversed(names):
            house.database.with_name(name).rename(house.database.with_name(f"{name}.away"))
        _send(dovecot, house, second)
        until("it is told", LONG, lambda: "the database's file is gone" in daemon.log)
        for command in (["status"], ["import"], ["mail", "list"]):
            shown = house.run(*command)
            assert shown.code == 1
            assert f"there is no database, though the daemon runs as process {daemon.process.pid}" in shown.err
        assert not house.database.exists()
        for name in names:
            house.database.with_name(f"{name}.away").rename(house.database.with_name(name))
        until("all is filed", LONG, lambda: len(house.filed()) == len(first) + len(second))
        daemon.stop()
    house.good("audit", "sales")
