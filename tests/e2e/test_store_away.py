"""A store that can't be written is told everywhere, and everything goes on by itself when it can be again."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from gatewayd.testing.servers.proxy import free_ports
from tests.e2e.house import House, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot
    from tests.e2e.house import Daemon


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house whose state is on a small disk of its own."""
    if os.geteuid() != 0:
        pytest.skip("not root: no small disk can be had")
    made = House(tmp_path)
    made.state.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", made.state], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode()}")
    made.operator("acme", persons="id,name,email\n")
    yield made
    subprocess.run(["umount", "-l", made.state], check=True)


def _full(house: House) -> Callable[[], object]:
    filler = house.state / "filler"
    with filler.open("wb", buffering=0) as file:
        for piece in (b"\0" * 65536, b"\0" * 512):
            try:
                while True:
                    file.write(piece)
            except OSError:
                continue
    return filler.unlink


def _locked(house: House) -> Callable[[], object]:
    # Such as a backup that hangs.
    database = sqlite3.connect(house.database, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    return database.close


def _metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def _statuses(notified: socket.socket) -> list[str]:
    found: list[str] = []
    while True:
        try:
            datagram = notified.recv(4096, socket.MSG_DONTWAIT).decode()
        except BlockingIOError:
            return found
        found += [line.removeprefix("STATUS=") for line in datagram.splitlines() if line.startswith("STATUS=")]


@pytest.mark.parametrize("how", [pytest.param(_full, id="full"), pytest.param(_locked, id="locked", marks=pytest.mark.campaign)])
def test_P10_a_store_that_can_not_be_written_is_told_everywhere(
    house: House, dovecot: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: Callable[[House], Callable[[], object]]
) -> None:
    user = f"{tmp_path.name.lower()}@example.com"
    dovecot.user(user, "pass")
    house.account("sales", "imap", dovecot.ports["imap"], user, imports="  every: 1s\n")
    (port,) = free_ports(1)
    house.write("gatewayd.yaml", f"state: {house.state}\nmetrics: {{port: {port}}}\n")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as notified:
        notified.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with house.daemon() as daemon:
            monkeypatch.delenv("NOTIFY_SOCKET")
            until("all is well", 20, lambda: house.run("status").code == 0)
            assert _metric(port, "gatewayd_store_writable") == 1
            mend = how(house)
            try:
                _told_everywhere(house, daemon, notified, port)
                dovecot.deliver(user, booking_messages(2))
            finally:
                mend()
            until("it goes on", 60, lambda: house.filed("sales").total() == 2)
            until("all is well again", 60, lambda: house.run("status").code == 0)
            until("the metric says so", 20, lambda: _metric(port, "gatewayd_store_writable") == 1)
            until("systemd hears of it", 20, lambda: "1 account, all well" in _statuses(notified))


def _told_everywhere(house: House, daemon: Daemon, notified: socket.socket, port: int) -> None:
    # At once, and for as long as it lasts: also after the daemon has not been heard of for half a minute.
    def told() -> bool:
        done = house.run("status")
        assert "no daemon runs" not in done.err
        return done.code == 1 and "can't be written" in done.out

    until("status tells", 60, told)
    rows = {row["type"]: row for row in house.run("status", "--json").rows}
    assert rows["store"]["error"]
    assert rows["store"]["advice"]
    until("the log tells", 40, lambda: "store away" in daemon.log)
    until("the metric tells", 20, lambda: _metric(port, "gatewayd_store_writable") == 0)
    until("systemd hears of it", 20, lambda: any("1 account, the store can't be written" in one for one in _statuses(notified)))
    until("the daemon counts as silent", 90, lambda: told() and f"runs as process {daemon.process.pid}" in house.run("status").err)
    assert house.status()["sales"]["condition"] == "backing off"
