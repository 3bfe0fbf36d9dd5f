"""What a daemon says and does at its start where something is not as it was: its database is new, or its metrics' port is taken."""

from __future__ import annotations

import socket
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.servers.proxy import free_ports
from tests.e2e.house import House, until
from tests.patience import LONG

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot


@pytest.fixture
def house(tmp_path: Path, dovecot: Dovecot) -> House:
    made = House(tmp_path)
    made.operator("acme")
    dovecot.user(f"{tmp_path.name}@example.com", "pass")
    made.account("sales", "imap", dovecot.ports["imap"], f"{tmp_path.name}@example.com")
    return made


def test_a_new_database_in_a_state_folder_that_was_used_is_told(house: House) -> None:
    with house.daemon() as daemon:
        until("the account has logged in", LONG, lambda: house.read("SELECT 1 FROM folder"))
        assert "store new" not in daemon.log
    with house.daemon() as daemon:
        assert "store new" not in daemon.log
    (house.database).unlink()
    with house.daemon() as daemon:
        assert "restore its backup first" in daemon.log


def test_a_port_of_metrics_that_is_taken_keeps_no_daemon_from_starting(house: House) -> None:
    (port,) = free_ports(1)
    with closing(socket.create_server(("127.0.0.1", port))) as taken:
        house.write("gatewayd.yaml", f"state: {house.state}\nmetrics: {{port: {port}}}\n")
        with house.daemon() as daemon:
            until("it is told", LONG, lambda: "metrics not served" in daemon.log)
            taken.close()
            until("they are served", LONG, lambda: _served(port))
            assert daemon.log.count("metrics not served") == 1


def _served(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return b"gatewayd_" in answer.read()
    except OSError:
        return False
