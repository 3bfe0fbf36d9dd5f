"""Daemons beside each other on one store: they share the work, and take it over from one that ends, dies or freezes (P1, P2)."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import House, until
from tests.e2e.mailboxes import Mailboxes

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.testing.servers import Dovecot
    from tests.e2e.house import Daemon

ACCOUNTS = 4
#: Messages a second.
RATE = 6
#: Each third of a lease's life there is a round in which leases are renewed, taken and given.
LEASE = 30
ROUND = LEASE / 3
#: What working takes on a machine that has other things to do, too.
SLACK = 10
PATIENCE = 30


@pytest.fixture
def boxes(tmp_path: Path, dovecot: Dovecot, new_store: Callable[[], str]) -> Mailboxes:
    house = House(tmp_path, store=new_store())
    house.operator("acme")
    boxes = Mailboxes(house, dovecot)
    for number in range(ACCOUNTS):
        boxes.add(f"account-{number}")
    return boxes


def held(house: House) -> dict[str, list[str]]:
    """The accounts of each daemon, by its process id, as they were last told."""
    found: dict[str, list[str]] = {}
    for name, owner in house.read("SELECT account, owner FROM health"):
        found.setdefault(owner.split(":")[1], []).append(name)
    return found


def _is_over(daemon: Daemon, account: str) -> bool:
    """Whether the visit has ended during which the daemon was frozen; or it had none, and heard of its loss otherwise."""
    lost = f"lease lost account={account} cause="
    endings = (
        f"visit done account={account} ",
        f'{lost}"the lease of account {account} is lost',
        f'{lost}"it ended, or another daemon',
    )
    return any(ending in daemon.log for ending in endings)


def freeze(house: House, daemon: Daemon) -> None:
    """Freeze a daemon. With SQLite, while none of its threads has the database locked: it would stay so for everybody.

    PostgreSQL ends the transaction of a process that is frozen in one.
    """
    if house.store:
        daemon.signal(signal.SIGSTOP)
        return
    with closing(sqlite3.connect(house.database, timeout=SLACK, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        daemon.signal(signal.SIGSTOP)
        stat = Path(f"/proc/{daemon.process.pid}/stat")
        until("it is frozen", SLACK, lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
        db.execute("ROLLBACK")


def share(house: House, *daemons: Daemon) -> None:
    """Wait until these daemons have all accounts, and none of them many more than another."""

    def shared() -> bool:
        found = held(house)
        counts = [len(found.pop(str(daemon.process.pid), [])) for daemon in daemons]
        return not found and sum(counts) == ACCOUNTS and max(counts) - min(counts) <= 1

    until(f"{len(daemons)} daemons share the accounts", 2 * ROUND + SLACK, shared)


def takes_over(house: House, daemon: Daemon, seconds: float) -> None:
    """Wait until a daemon has all accounts."""
    until("one daemon has all accounts", seconds, lambda: list(held(house)) == [str(daemon.process.pid)])


def test_daemons_share_the_work_and_who_is_left_takes_it_over(boxes: Mailboxes) -> None:
    house = boxes.house
    with ExitStack() as stack, boxes.arriving(RATE):
        first, second = (stack.enter_context(house.daemon()) for _ in range(2))
        share(house, first, second)
        assert first.stop() < 5
        takes_over(house, second, ROUND + SLACK)
        third = stack.enter_context(house.daemon())
        share(house, second, third)
        second.kill()
        # Its lock ended with it, so nobody waits for its leases to end.
        takes_over(house, third, ROUND + SLACK)
    with house.daemon():
        boxes.filed(seconds=PATIENCE)
    boxes.prove()


def test_P1_a_daemon_that_wakes_up_too_late_writes_nothing(boxes: Mailboxes, tmp_path: Path) -> None:
    """It is frozen when it has a batch in hand and is about to write it; the other has filed it when it wakes up."""
    house = boxes.house
    now = tmp_path / "now"
    with house.daemon("-m", "tests.e2e.frozen", now) as frozen, house.daemon() as other:
        share(house, frozen, other)
        now.touch()
        for name in boxes.sent:
            boxes.send(name, more=(b"",) * 3)
        held_there = now.with_suffix(".held")
        until("it is held", SLACK, held_there.exists)
        freeze(house, frozen)
        held_there.unlink()
        victims = held(house)[str(frozen.process.pid)]
        with boxes.arriving(1):
            takes_over(house, other, LEASE + ROUND + SLACK)
        boxes.filed(seconds=PATIENCE)
        before = house.filed()
        frozen.signal(signal.SIGCONT)
        until("it sees that its leases are lost", SLACK, lambda: all(_lost(frozen, name) for name in victims))
        until("its write was tried", SLACK, now.with_suffix(".tried").exists)
        until("its visits have ended", SLACK, lambda: all(_is_over(frozen, name) for name in victims))
        assert house.filed() == before
        share(house, frozen, other)
        with boxes.arriving(RATE):
            time.sleep(2)
        boxes.filed(seconds=PATIENCE)
    boxes.prove()


@pytest.mark.campaign
def test_leases_of_a_daemon_that_cannot_be_judged_from_here_are_taken_when_they_end(boxes: Mailboxes, tmp_path: Path) -> None:
    """With a state folder of its own it is as if it ran on another machine: nobody sees its lock."""
    house, other = boxes.house, House(tmp_path / "other")
    shutil.copytree(house.folder, other.folder, dirs_exist_ok=True)
    store = house.store or f"sqlite:///{house.database}"
    other.write("gatewayd.yaml", f"state: {other.state}\nstore: {{kind: sql, url: '{store}'}}\n")
    with house.daemon() as killed, other.daemon() as left:
        share(house, killed, left)
        killed.kill()
        with boxes.arriving(RATE):
            takes_over(house, left, LEASE + ROUND + SLACK)
        boxes.filed(seconds=PATIENCE)
    boxes.prove()


def _lost(daemon: Daemon, account: str) -> bool:
    return any(f"account={account} " in line for line in daemon.log.splitlines() if "lease lost" in line)
