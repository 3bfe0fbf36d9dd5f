"""A daemon ends within 5 seconds, also where servers keep it waiting, and leaves nothing behind."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.servers.proxy import FaultProxy, StreamFault
from tests.e2e.house import House, until
from tests.e2e.mailboxes import Mailboxes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.testing.servers import Dovecot

#: Far more than a test lasts: nothing here is waited for.
TIMEOUT = "300s"
LARGE = b"It is a long letter, of many lines such as this one.\r\n" * 2000
PATIENCE = 30


@pytest.fixture
def boxes(tmp_path: Path, dovecot: Dovecot) -> Mailboxes:
    house = House(tmp_path)
    house.operator("acme")
    boxes = Mailboxes(house, dovecot)
    boxes.add("well")
    return boxes


@pytest.fixture
def proxy(dovecot: Dovecot) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", dovecot.ports["imap"], address="127.0.0.1") as proxy:
        yield proxy


def left_behind(boxes: Mailboxes) -> list[str]:
    """What is left of owners, and with them of their spools."""
    return [path.name for path in (boxes.house.state / "owners").iterdir() if path.is_dir()]


@contextmanager
def nobody_accepts() -> Iterator[int]:
    """Give a port that takes no further connection, and refuses none: a connect to it hangs."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = int(listener.getsockname()[1])
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.1", port))
        yield port


def connecting(port: int) -> int:
    """How many connections to a port of this machine are being asked for (SYN_SENT)."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return sum(line[2].endswith(f":{port:04X}") and line[3] == "02" for line in lines)


@pytest.mark.parametrize("after", [0, 20, 500, 20_000], ids=["connection", "greeting", "log-in", "body"])
def test_it_stops_in_time_though_a_server_fell_silent(boxes: Mailboxes, proxy: FaultProxy, after: int) -> None:
    proxy.fault = StreamFault(do="silence", after=after)
    boxes.add("ill", port=proxy.port, timeout=TIMEOUT)
    boxes.send("ill", more=(b"", LARGE))
    boxes.send("well")
    with boxes.house.daemon() as daemon:
        boxes.filed("well", seconds=PATIENCE)
        until("the server fell silent", PATIENCE, lambda: proxy.struck)
        time.sleep(0.5)
        assert daemon.stop() < 5
    assert left_behind(boxes) == []
    proxy.fault = None
    with boxes.house.daemon():
        boxes.filed(seconds=PATIENCE)
    boxes.prove()


def test_it_stops_in_time_though_a_connect_hangs(boxes: Mailboxes) -> None:
    with nobody_accepts() as port:
        boxes.add("ill", port=port, timeout=TIMEOUT)
        boxes.send("well")
        others = connecting(port)
        with boxes.house.daemon() as daemon:
            boxes.filed("well", seconds=PATIENCE)
            until("the connect hangs", PATIENCE, lambda: connecting(port) > others)
            assert daemon.stop() < 5
    assert left_behind(boxes) == []
