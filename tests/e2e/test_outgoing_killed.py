"""Deliveries against a server that fails in every way, and with the daemon killed at seeded places (P7).

Each ends delivered, or parked with the server's words; a mail is repeated only where the server's last answer was lost, or where
the daemon was killed between that answer and our commit, and then under the same Message-ID; none is lost.
"""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.smtp import CUT, SmtpServer
from tests.e2e.house import until
from tests.e2e.sending import Sending, by_message_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot
    from gatewayd.testing.smtp import Step

SEED = 20261122
KILLS, ALL_KILLS = 10, 30
DELIVERIES, ALL_DELIVERIES = 200, 1000
KILLED = "tests.e2e.killed"
#: Of how many kills at most one parcel each can have been taken and not committed: what is ahead of the disk, see `gatewayd.outbox`.
AHEAD = 8


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


class Moody:
    """Answers at random, from a seed: later, never, or not at all, at every stage; now and then what it takes is not answered for."""

    def __init__(self, server: SmtpServer, seed: int) -> None:
        self._server = server
        self._rng = random.Random(seed)
        self._door = threading.Lock()
        self.calm = False
        #: How often it took a mail and broke off before it said so.
        self.unanswered = 0
        self.seen: Counter[str] = Counter()

    def __call__(self, step: Step, argument: str) -> str | None:
        del argument
        with self._door:
            chance = self._rng.random()
            if self.calm or chance > 0.06:
                return None
            self.seen[step] += 1
            if step == "taken":
                self.unanswered += 1
                return CUT
            if step in {"connect", "EHLO", "QUIT", "RSET"} or chance < 0.02:
                return CUT if chance < 0.03 else "421 4.3.2 going down"
            return "550 5.7.1 not from you" if chance < 0.03 else "451 4.3.0 try again"


def deliver_all(own: Sending, smtp: SmtpServer, number: int, kills: int) -> None:
    moody = Moody(smtp, SEED)
    smtp.answer = moody
    rng = random.Random(SEED)
    own.begin()
    own.bring(number, seed=SEED)
    places: list[str] = []
    while len(places) < kills:
        event, at = rng.choice(["taken", "begin", "commit", "execute"]), rng.randint(1, 40)
        if not _killed(own, smtp, moody, event, at):
            break
        places.append(f"{event} {at}")
    print(f"seed {SEED}: {len(places)} kills at {', '.join(places)}; answers: {dict(moody.seen)}")
    assert len(places) == kills
    with own.house.daemon():
        own.settled(number, 60 + number / 5)
    prove(own, smtp, number, repeats=moody.unanswered + AHEAD * kills)


def _killed(own: Sending, smtp: SmtpServer, moody: Moody, event: str, at: int) -> bool:
    """Run a daemon and kill it at one place while there is something to deliver; return whether it was."""
    left = threading.Semaphore(0)
    count = 0

    def counting(step: Step, argument: str) -> str | None:
        nonlocal count
        count += step == "taken"
        if event == "taken" and count == at:
            left.release()
        return moody(step, argument)

    program = () if event == "taken" else ("-m", KILLED, event, at * 4)
    with own.house.daemon(*program, ready=False) as daemon:
        if event == "taken":
            smtp.answer = counting
            assert left.acquire(timeout=60), own.states()
            daemon.kill()
        else:
            daemon.process.wait(60)
        smtp.answer = moody
    return daemon.process.returncode == -signal.SIGKILL


def prove(own: Sending, smtp: SmtpServer, number: int, *, repeats: int) -> None:
    deliveries = own.deliveries()
    assert len(deliveries) == number
    assert {one["state"] for one in deliveries} <= {"delivered", "parked"}
    taken = by_message_id(smtp.messages)
    for one in deliveries:
        if one["state"] == "delivered":
            assert taken[one["message_id"]] >= 1, "a delivery that nobody got"
        else:
            assert "not from you" in one["words"], one["words"]
    assert taken.keys() <= {one["message_id"] for one in deliveries}
    assert taken.total() - len(taken) <= repeats
    bodies = {(one.data, one.recipients) for one in smtp.messages}
    assert len(bodies) == len(taken), "a repeat is equal to the byte"


def test_P7_a_server_that_fails_at_every_stage_loses_nothing(tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer) -> None:
    own = Sending(tmp_path / "own", dovecot, smtp.port)
    deliver_all(own, smtp, DELIVERIES, 0)
    # None is repeated but what was not answered for.
    assert by_message_id(smtp.messages).total() > len(by_message_id(smtp.messages))


def test_P7_killed_ten_times_while_it_delivers(tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer) -> None:
    deliver_all(Sending(tmp_path / "own", dovecot, smtp.port), smtp, DELIVERIES, KILLS)


@pytest.mark.campaign
def test_P7_killed_thirty_times_in_a_thousand_deliveries(tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer) -> None:
    deliver_all(Sending(tmp_path / "own", dovecot, smtp.port), smtp, ALL_DELIVERIES, ALL_KILLS)


def test_P4_a_dead_server_keeps_back_its_own_deliveries_only(tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer) -> None:
    own = Sending(tmp_path / "own", dovecot, smtp.port, rules="forward: [{when: {}, to: [duty, away]}]\n")
    (dead,) = _free_port()
    file = own.house.folder / "operators/acme.yaml"
    file.write_text(
        file.read_text().replace("targets:\n", "targets:\n  away: {kind: smtp, account: dead, to: [away@target.example]}\n")
    )
    out = (own.house.folder / "accounts/out.yaml").read_text()
    own.house.write("accounts/dead.yaml", out.replace(str(smtp.port), str(dead)).replace("system: true, ", ""))
    own.begin()
    own.bring(20, seed=3)
    with own.house.daemon():
        until("the living server has all", 30, lambda: own.states()["delivered"] == 20)
        assert own.states()["waiting"] == 20
    words = {one["words"] for one in own.deliveries() if one["state"] == "waiting"}
    assert any("refused" in one for one in words), words


def _free_port() -> list[int]:
    from gatewayd.testing.proxy import free_ports  # noqa: PLC0415  only here

    return list(free_ports(1))
