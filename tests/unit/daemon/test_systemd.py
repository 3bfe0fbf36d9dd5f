from __future__ import annotations

import os
import socket
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from gatewayd.daemon.systemd import Notifier
from tests.patience import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(AT_ONCE)
        yield listener


def heard(listener: socket.socket) -> list[str]:
    return listener.recv(4096).decode().split("\n")


def test_each_word_is_one_datagram(systemd: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": systemd.getsockname()})
    notifier.ready()
    notifier.status("3 accounts,\n 1 broken")
    notifier.watchdog()
    notifier.stopping()
    assert [heard(systemd) for _ in range(4)] == [["READY=1"], ["STATUS=3 accounts, 1 broken"], ["WATCHDOG=1"], ["STOPPING=1"]]


def test_a_reload_tells_its_time_in_the_same_datagram(systemd: socket.socket) -> None:
    before = time.monotonic_ns() // 1000
    Notifier({"NOTIFY_SOCKET": systemd.getsockname()}).reloading()
    reloading, when = heard(systemd)
    assert reloading == "RELOADING=1"
    assert before <= int(when.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_an_abstract_socket_is_spoken_to() -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind(f"\0gatewayd-test-{os.getpid()}")
        listener.settimeout(AT_ONCE)
        Notifier({"NOTIFY_SOCKET": f"@gatewayd-test-{os.getpid()}"}).ready()
        assert heard(listener) == ["READY=1"]


@pytest.mark.parametrize("name", ["", "vsock:2:1234", "/nobody/listens/here", "@gatewayd-nobody", "/" + "x" * 300, "/a\0b"])
def test_where_nobody_listens_nothing_happens(name: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.ready()
    notifier.status("\ud800")


def test_what_a_busy_systemd_could_not_take_comes_with_the_next_word(systemd: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": systemd.getsockname()})
    systemd.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as crowd:
        crowd.setblocking(False)
        crowd.connect(systemd.getsockname())
        with suppress(BlockingIOError):
            while crowd.send(b"X=1"):
                pass
    # It would never end if it waited for room.
    notifier.reloading()
    notifier.status("busy")
    notifier.status("done")
    notifier.ready()
    systemd.setblocking(False)
    with suppress(BlockingIOError):
        while heard(systemd) == ["X=1"]:
            pass
    systemd.settimeout(AT_ONCE)
    notifier.watchdog()
    said = heard(systemd)
    assert [said[0], *said[2:]] == ["RELOADING=1", "STATUS=done", "READY=1", "WATCHDOG=1"]
    notifier.watchdog()
    assert heard(systemd) == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "1500000"}, 1.5),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_ours_only_if_it_names_us(environment: dict[str, str], seconds: float | None) -> None:
    assert Notifier(environment).watchdog_seconds == seconds
