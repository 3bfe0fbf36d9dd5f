"""SIGKILL of a daemon and of its workers, at seeded places, under load: nothing is lost and nothing is doubled (P1, P2, P4)."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.servers.proxy import FaultProxy
from tests.e2e.house import House, until
from tests.e2e.mailboxes import Mailboxes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

KILLS, ALL_KILLS = 4, 50
WORKER_KILLS, ALL_WORKER_KILLS = 3, 50
SEED = 20260107
#: Messages a second.
RATE = 30
#: Places of a kill: bytes of the server's stream, and events of the database, from the start on.
BYTES, EVENTS = 40_000, {"begin": 60, "commit": 60, "execute": 300}
#: How long filing may take once all is well, on a machine that has other things to do, too.
PATIENCE = 30
KILLED = "tests.e2e.killed"

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
def house(tmp_path: Path, new_store: Callable[[], str]) -> House:
    house = House(tmp_path, store=new_store())
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


def test_P10_a_daemon_that_was_killed_is_not_said_to_run(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.operator("acme")
    house.account("sales", "imap", 1, "sales", imports="  enabled: false\n")
    with house.daemon() as daemon:
        until("it says how it is", PATIENCE, lambda: "Daemon " in house.run("status").out)
        daemon.kill()
        shown = house.run("status")
    assert shown.code == 1
    assert "Daemon " not in shown.out
    assert "no daemon runs" in shown.err


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
    boxes.begin()
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


def test_P1_P2_daemon_killed_four_times_under_load(boxes: Mailboxes, proxy: FaultProxy) -> None:
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
    boxes.begin()
    with boxes.house.daemon() as daemon, boxes.arriving(RATE):
        for _ in range(WORKER_KILLS):
            time.sleep(rng.random())
            os.kill(rng.choice(until("there are workers", PATIENCE, daemon.workers)), signal.SIGKILL)
        boxes.filed("first", seconds=PATIENCE)
    with boxes.house.daemon():
        boxes.filed(seconds=PATIENCE)
    boxes.prove()
