"""SIGKILL at seeded places inside listing, fetching, filing and settling: nothing lost, nothing doubled (P1, P2, P3).

Half of the kills fall at byte N of the server's stream, half at the n-th event of the database. Only kills that
interrupted the work count; each has a mailbox and a store of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from gatewayd.testing.servers.proxy import FaultProxy
from tests.e2e.house import ROOT, House

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

KILLS, ALL_KILLS = 6, 100
MESSAGES = 230
SEED = 20260105
EVENTS = ("begin", "commit", "execute")


def command(house: House, kind: str = "none", number: int = 0) -> list[str]:
    program = str(ROOT / "tests/e2e/killed.py")
    return [sys.executable, program, kind, str(number), "--config", str(house.folder), "import", "main"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


class Case:
    """One kill: a fresh mailbox on the server, a fresh store, and the account's wish."""

    def __init__(self, folder: Path, dovecot: Dovecot, number: int, kind: str, store: str) -> None:
        self.dovecot = dovecot
        self.kind = kind
        self.user = f"killed-{folder.parent.name}-{number}"
        dovecot.user(self.user, "pass")
        dovecot.deliver(self.user, booking_messages(MESSAGES, seed=number))
        if kind == "imap":
            with dovecot.client(self.user) as client:
                client.create("Imported")
        self.sent = sorted(hashlib.sha256(raw).hexdigest() for raw in dovecot.raw(self.user).values())
        self.house = House(folder, store=store)
        self.house.operator("acme", reservations="id,code,title\nR1,B-756,Rome\n")

    def account(self, port: int) -> None:
        after = "{move: Imported}" if self.kind == "imap" else "delete"
        self.house.account("main", self.kind, port, self.user, imports=f"  after: {after}\n")

    def verify(self) -> None:
        """Start again, as an administrator would, and prove that each message is there once, and settled."""
        self.account(self.dovecot.ports[self.kind])
        (report,) = self.house.good("import", "main", "--json").rows
        assert report["error"] is None
        assert self.house.stored_digests() == self.sent
        rows = self.house.good("mail", "list", "--limit", "10000", "--json").rows
        assert len(rows) == len({row["message_id"] for row in rows}) == MESSAGES
        (folder,) = self.house.good("audit", "main", "--json").rows
        assert folder["proven"]
        assert folder["states"] == {"filed": MESSAGES}
        assert folder["on_server"] == 0, "all of it is settled"
        if self.kind == "imap":
            moved = sorted(hashlib.sha256(raw).hexdigest() for raw in self.dovecot.raw(self.user, "Imported").values())
            assert moved == self.sent


def kill_at_byte(case: Case, rng: random.Random) -> str | None:
    """Kill the import when N bytes of the server's stream have come through; None where it was done before."""
    with FaultProxy("127.0.0.1", case.dovecot.ports[case.kind], address="127.0.0.1") as proxy:
        case.account(proxy.port)
        at = rng.randrange(200, 400_000)
        with subprocess.Popen(command(case.house), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            proxy.call_at(at, lambda _: process.kill())
            process.communicate(timeout=120)
    return f"byte {at} of {case.kind}" if process.returncode == -signal.SIGKILL else None


def kill_at_event(case: Case, rng: random.Random, totals: dict[str, int]) -> str | None:
    """Kill the import at its n-th event of the database."""
    case.account(case.dovecot.ports[case.kind])
    event = rng.choice(EVENTS)
    at = rng.randint(1, totals[event])
    done = subprocess.run(command(case.house, event, at), env=environment(), capture_output=True, timeout=120, check=False)
    return f"{event} {at} of {case.kind}" if done.returncode == -signal.SIGKILL else None


def counted(tmp_path: Path, dovecot: Dovecot, kind: str, store: str) -> dict[str, int]:
    """How many events an import has that nothing interrupts."""
    case = Case(tmp_path / f"whole-{kind}", dovecot, 9999, kind, store)
    case.account(dovecot.ports[kind])
    done = subprocess.run(command(case.house), env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stderr.splitlines()[-1]))


def killed_often(kills: int, tmp_path: Path, dovecot: Dovecot, new_store: Callable[[], str]) -> None:
    rng = random.Random(SEED)
    totals = {kind: counted(tmp_path, dovecot, kind, new_store()) for kind in ("imap", "pop3")}
    places: list[str] = []
    for number in range(kills * 3):
        if len(places) == kills:
            break
        kind = ("imap", "pop3")[number % 2]
        case = Case(tmp_path / str(number), dovecot, number, kind, new_store())
        place = kill_at_byte(case, rng) if number % 4 < 2 else kill_at_event(case, rng, totals[kind])
        if place:
            places.append(place)
            case.verify()
    print(f"seed {SEED}: {len(places)} kills at: {', '.join(places)}")
    assert len(places) == kills


@pytest.mark.timeout(900)
def test_P1_P2_killed_six_times_nothing_is_lost_or_doubled(tmp_path: Path, dovecot: Dovecot, new_store: Callable[[], str]) -> None:
    killed_often(KILLS, tmp_path, dovecot, new_store)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_P1_P2_killed_a_hundred_times_nothing_is_lost_or_doubled(
    tmp_path: Path, dovecot: Dovecot, new_store: Callable[[], str]
) -> None:
    killed_often(ALL_KILLS, tmp_path, dovecot, new_store)
