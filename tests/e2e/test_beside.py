"""Commands beside a running daemon, on one store; and a command that is told to end while a server is silent."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from gatewayd.testing.servers import Dovecot
from gatewayd.testing.servers.proxy import FaultProxy, StreamFault
from tests.e2e.house import House, until
from tests.patience import AT_ONCE, LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot() as server:
        yield server


def house_with(tmp_path: Path, dovecot: Dovecot, user: str, *, port: int | None = None, store: str = "") -> House:
    dovecot.user(user, "pass")
    house = House(tmp_path, store=store)
    house.operator("acme", matchers="[reservations]", reservations="id,code,title\n")
    house.account("main", "imap", port or dovecot.ports["imap"], user, imports="  every: 1h\n", timeout=f"{LONG:g}s")
    return house


def test_an_import_of_an_account_that_a_daemon_holds_is_done_by_the_daemon_and_followed(
    tmp_path: Path, dovecot: Dovecot, new_store: Callable[[], str]
) -> None:
    user = f"asked-{tmp_path.name}"
    house = house_with(tmp_path, dovecot, user, store=new_store())
    dovecot.deliver(user, booking_messages(3))
    with house.daemon() as daemon:
        until("the first visit", 20, lambda: sum(house.filed().values()) == 3)
        (told,) = house.good("import", "main", "--from-beginning", "--json").rows
        assert (told["account"], told["filed"], told["error"]) == ("main", 0, None)
        # It was the daemon: the command would have been refused the lease.
        assert "request taken account=main" in daemon.log
        assert "request answered account=main" in daemon.log
        failed = house.run("import", "main", "--from-beginning", "--operator", "other", "--json")
        assert failed.code == 1
        assert "does not serve operator 'other'" in failed.rows[0]["error"]
        assert "Add it to the account's `operators`" in failed.rows[0]["advice"]


def test_people_read_and_link_beside_a_daemon(tmp_path: Path, dovecot: Dovecot) -> None:
    house = house_with(tmp_path, dovecot, "beside")
    dovecot.deliver("beside", booking_messages(2))
    with house.daemon():
        until("the first visit", 20, lambda: sum(house.filed().values()) == 2)
        ids = [row["id"] for row in house.good("mail", "list", "--json").rows]
        assert len(ids) == 2
        house.good("mail", "read", ids[0])
        assert {row["id"]: row["unread"] for row in house.good("mail", "list", "--json").rows} == {ids[0]: False, ids[1]: True}
        assert house.good("queue", "list", "--json").rows == []
        # The daemon tells the store how its accounts are about once a second.
        until("the daemon has told", 20, lambda: house.status()["main"]["condition"] in {"watching", "polling", "working"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_import_that_is_told_to_end_does_not_wait_for_a_silent_server(
    tmp_path: Path, dovecot: Dovecot, number: signal.Signals
) -> None:
    with FaultProxy("localhost", dovecot.ports["imap"]) as proxy:
        house = house_with(tmp_path, dovecot, f"silent{number}", port=proxy.port)
        dovecot.deliver(f"silent{number}", booking_messages(3))
        # In the middle of a message.
        proxy.fault = StreamFault(do="silence", after=3000)
        reached = threading.Event()
        proxy.call_at(3000, lambda _: reached.set())
        with house.start("import", "main") as process:
            assert reached.wait(LONG), "the server did not come so far"
            time.sleep(0.5)
            process.send_signal(number)
            began = time.monotonic()
            process.communicate(timeout=2 * LONG)
        assert time.monotonic() - began < AT_ONCE, "it waited for the account's timeout"
        assert process.returncode == 128 + number
    # The lease was given back and the spools are gone.
    house.account("main", "imap", dovecot.ports["imap"], f"silent{number}")
    assert house.good("import", "main", "--json").rows[0]["filed"] == 3
    assert not list(house.state.glob("owners/*/*.spool"))
