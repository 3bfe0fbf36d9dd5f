"""Daemons that are killed, frozen, stopped and run beside each other, under load: nothing is lost and nothing is doubled (P1, P2)."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.proxy import Fault, FaultProxy
from tests.e2e.house import ROOT, Daemon, House, until
from tests.e2e.mailboxes import Mailboxes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.testing.servers import Dovecot

KILLS, ALL_KILLS = 5, 50
WORKER_KILLS, ALL_WORKER_KILLS = 5, 50
SEED = 20260107
#: Messages a second.
RATE = 30
#: Places of a kill: bytes of the server's stream, and events of the database, from the start on.
BYTES, EVENTS = 40_000, {"begin": 60, "commit": 60, "execute": 300}
#: How long filing may take once all is well, on a machine that has other things to do, too.
PATIENCE = 30
#: A lease is taken over when it has ended, by a round of which there is one each third of its life.
LEASE = 30
TAKEN_OVER = LEASE + LEASE / 3 + 10
FROZEN, KILLED = "tests.e2e.frozen", "tests.e2e.killed"

SLOW = '''
import os
import time
from pathlib import Path

from gatewayd import Matcher, hookimpl


class Slow(Matcher):
    """Says when it begins, and takes its time."""

    kind = "slow"

    def match(self, mails, directory):
        Path("{folder}", str(os.getpid())).touch()
        time.sleep(0.3)
        return ()


@hookimpl
def gatewayd_matchers():
    return [Slow]
'''


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.operator("acme", reservations="id,code,title\nR1,B-756,Rome\n")
    return house


@pytest.fixture
def boxes(house: House, dovecot: Dovecot) -> Mailboxes:
    return Mailboxes(house, dovecot)


@pytest.fixture
def proxy(dovecot: Dovecot) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", dovecot.ports["imap"], address="127.0.0.1") as proxy:
        yield proxy


def spools(house: House) -> list[Path]:
    return list((house.state / "owners").glob("*/*.spool"))


# --- SIGKILL ----------------------------------------------------------------------------------------------------------


def killed_once(boxes: Mailboxes, proxy: FaultProxy, rng: random.Random) -> str | None:
    """Run a daemon under load and kill it at one place; return that, or None where it interrupted no work."""
    event = rng.choice(["byte", "byte", "byte", *EVENTS])
    at = rng.randint(1, EVENTS.get(event, BYTES))
    program = () if event == "byte" else ("-m", KILLED, event, at)
    with boxes.house.daemon(*program, ready=False) as daemon, boxes.arriving(RATE):
        if event == "byte":
            proxy.call_at(at, lambda _: daemon.process.kill())
        daemon.process.wait(PATIENCE)
        interrupted = boxes.left() > 0 or spools(boxes.house)
    # The workers see that nobody is there any more.
    assert daemon.process.returncode == -signal.SIGKILL
    return f"{event} {at}" if interrupted else None


def killed_often(kills: int, boxes: Mailboxes, proxy: FaultProxy) -> None:
    rng = random.Random(SEED)
    for name, after in (("kept", "keep"), ("moved", "{move: Imported}"), ("deleted", "delete")):
        boxes.add(name, port=proxy.port, imports=f"  after: {after}\n")
    boxes.add("popped", kind="pop3", imports="  after: delete\n  every: 1s\n")
    boxes.house.good("import")
    places: list[str] = []
    for _ in range(kills * 2):
        if len(places) < kills and (place := killed_once(boxes, proxy, rng)):
            places.append(place)
    print(f"seed {SEED}: {len(places)} kills at: {', '.join(places)}")
    assert len(places) == kills
    with boxes.house.daemon():
        boxes.filed(seconds=PATIENCE)
    boxes.prove()
    assert not spools(boxes.house)


def test_P1_P2_daemon_killed_five_times_under_load(boxes: Mailboxes, proxy: FaultProxy) -> None:
    killed_often(KILLS, boxes, proxy)


@pytest.mark.campaign
def test_P1_P2_daemon_killed_fifty_times_under_load(boxes: Mailboxes, proxy: FaultProxy) -> None:
    killed_often(ALL_KILLS, boxes, proxy)


def worker_killed_often(kills: int, boxes: Mailboxes, tmp_path: Path) -> None:
    """Kill the workers that have begun to match, one after another, while mail keeps arriving."""
    begun = tmp_path / "begun"
    begun.mkdir()
    boxes.house.write("plugins/slow.py", SLOW.format(folder=begun))
    boxes.house.operator("acme", matchers="[slow, reservations]", reservations="id,code,title\nR1,B-756,Rome\n")
    boxes.add("first")
    boxes.add("second")
    with boxes.house.daemon() as daemon:
        for number in range(kills):
            boxes.send("first" if number % 2 else "second", more=(b"",) * 5)
            worker = int(until("a worker matches", PATIENCE, lambda: next(begun.iterdir(), None)).name)
            assert worker in daemon.workers()
            os.kill(worker, signal.SIGKILL)
            boxes.filed(seconds=PATIENCE)
            for file in begun.iterdir():
                file.unlink()
        (found,) = [row for row in boxes.house.run("status", "--json").rows if row["type"] == "daemon"]
        assert not found["open_breakers"]
        assert daemon.log.count("worker replaced") >= kills
    boxes.prove()


def test_P4_workers_killed_while_they_match_leave_no_fault(boxes: Mailboxes, tmp_path: Path) -> None:
    worker_killed_often(WORKER_KILLS, boxes, tmp_path)


@pytest.mark.campaign
def test_P4_workers_killed_fifty_times_while_they_match_leave_no_fault(boxes: Mailboxes, tmp_path: Path) -> None:
    worker_killed_often(ALL_WORKER_KILLS, boxes, tmp_path)


def test_P1_P4_workers_killed_whatever_they_do(boxes: Mailboxes) -> None:
    """Parsing, admitting, matching, being idle or being made: mail is filed, and in the end without a fault."""
    rng = random.Random(SEED)
    boxes.add("first")
    boxes.add("second")
    with boxes.house.daemon() as daemon, boxes.arriving(RATE):
        for _ in range(WORKER_KILLS):
            time.sleep(rng.random())
            os.kill(rng.choice(until("there are workers", PATIENCE, daemon.workers)), signal.SIGKILL)
        boxes.filed("first", seconds=PATIENCE)
    with boxes.house.daemon():
        boxes.filed(seconds=PATIENCE)
    boxes.prove()


# --- daemons beside each other ----------------------------------------------------------------------------------------


def held(house: House) -> dict[str, list[str]]:
    """The accounts of each daemon, by its process id, as they were last told."""
    found: dict[str, list[str]] = {}
    for name, row in house.status().items():
        found.setdefault((row["owner"] or ":").split(":")[1], []).append(name)
    return found


def shared(house: House, *daemons: Daemon) -> bool:
    """Whether these daemons have all accounts, and none of them many more than another."""
    found = held(house)
    counts = [len(found.pop(str(daemon.process.pid), [])) for daemon in daemons]
    return not found and max(counts) - min(counts) <= 1


def has_all(house: House, daemon: Daemon) -> bool:
    return list(held(house)) == [str(daemon.process.pid)]


def test_two_daemons_share_the_work_and_one_goes_on_alone(boxes: Mailboxes) -> None:
    for number in range(6):
        boxes.add(f"account-{number}")
    house = boxes.house
    with ExitStack() as stack:
        daemons = [stack.enter_context(house.daemon()) for _ in range(2)]
        until("they share the accounts", LEASE, lambda: shared(house, *daemons))
        with boxes.arriving(RATE):
            time.sleep(1)
            daemons[0].stop()
            until("the other has all accounts", LEASE / 3 + 5, lambda: has_all(house, daemons[1]))
            third = stack.enter_context(house.daemon())
            until("they share the accounts", LEASE, lambda: shared(house, daemons[1], third))
            daemons[1].kill()
            # Its lock is gone with it, so nobody waits for its leases to end.
            until("the third has all accounts", LEASE / 3 + 5, lambda: has_all(house, third))
        boxes.filed(seconds=PATIENCE)
    boxes.prove()
