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

from gatewayd.testing.servers.proxy import free_ports
from gatewayd.testing.servers.smtp import CUT, SmtpServer
from tests.e2e.house import until
from tests.e2e.sending import Sending, by_message_id, message_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot
    from gatewayd.testing.servers.smtp import Step

SEED = 20261122
KILLS, ALL_KILLS = 7, 30
DELIVERIES, ALL_DELIVERIES = 200, 1000
#: Where it is killed, and at which time it comes there at the latest: at the server, before a mail is its own and behind that;
#: in the store, before and after a commit. See `tests.e2e.killed_sending`.
AT_THE_SERVER = {"RCPT": 15, "dot": 15, "taken": 15}
IN_THE_STORE = {"taking": 1, "taken": 1, "settling": 5, "settled": 5}
PLACES = [("server", *one) for one in AT_THE_SERVER.items()] + [("store", *one) for one in IN_THE_STORE.items()]
#: So many mails at most were taken over and not committed when it was killed: what is ahead of the disk, and what is in hand.
AHEAD = 8 + 1


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
        #: How often it took a mail and broke off before it said so, by Message-ID.
        self.unanswered: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()

    def __call__(self, step: Step, argument: str) -> str | None:
        del argument
        with self._door:
            chance = self._rng.random()
            if chance > 0.06:
                return None
            self.seen[step] += 1
            if step == "taken":
                self.unanswered[message_id(self._server.messages[-1].data)] += 1
                return CUT
            if step in {"connect", "EHLO", "QUIT", "RSET"} or chance < 0.02:
                return CUT if chance < 0.03 else "421 4.3.2 going down"
            return "550 5.7.1 not from you" if chance < 0.03 else "451 4.3.0 try again"


def deliver_all(own: Sending, smtp: SmtpServer, number: int, kills: int, *, calm: bool = False) -> None:
    """Deliver so many and be killed so often; ``calm``: the server gets well behind the last kill, so that it ends soon."""
    moody = smtp.answer = Moody(smtp, SEED)
    rng = random.Random(SEED)
    own.begin()
    own.bring(number, seed=SEED)
    own.house.good("import", "inbox")
    places = [PLACES[nth % len(PLACES)] for nth in range(kills)]
    rng.shuffle(places)
    interrupted: Counter[str] = Counter()
    for where, stage, latest in places:
        at = rng.randint(1, latest)
        before = _taken_over(smtp, moody)
        (_killed_at_the_server if where == "server" else _killed_in_the_store)(own, smtp, moody, stage, at)
        until("the server has done with what it got", 10, lambda: not smtp.open)
        waits = {one["message_id"] for one in own.deliveries() if one["state"] == "waiting"}
        owed = (_taken_over(smtp, moody) - before).keys() & waits
        print(f"killed at {where} {stage} {at}: {own.states()}, {len(owed)} of them taken over")
        assert len(owed) <= AHEAD
        assert owed or (where, stage) != ("server", "taken"), "it was not killed behind the final dot"
        interrupted.update(owed)
    print(f"seed {SEED}: {len(places)} kills; answers: {dict(moody.seen)}; repeats: {moody.unanswered + interrupted}")
    if calm:
        smtp.answer = lambda _step, _argument: None
    with own.house.daemon():
        own.settled(number, 60 + number / 5)
    prove(own, smtp, number, repeats=moody.unanswered + interrupted)


def _taken_over(smtp: SmtpServer, moody: Moody) -> Counter[str]:
    """How often each mail was taken over by the server and answered for, as far as it knows."""
    return by_message_id(smtp.messages) - moody.unanswered


def _killed_at_the_server(own: Sending, smtp: SmtpServer, moody: Moody, stage: str, at: int) -> None:
    """Run a daemon and kill it when the server is at this stage for the n-th time, and has not answered."""
    count = 0

    def killing(step: Step, argument: str) -> str | None:
        nonlocal count
        count += step == stage
        if step == stage and count == at:
            daemon.process.kill()
            return CUT
        return moody(step, argument)

    with own.house.daemon(ready=False) as daemon:
        smtp.answer = killing
        daemon.process.wait(60)
        smtp.answer = moody
    assert count >= at


def _killed_in_the_store(own: Sending, _smtp: SmtpServer, _moody: Moody, stage: str, at: int) -> None:
    """Run a daemon that kills itself when the store is at this stage for the n-th time."""
    with own.house.daemon("-m", "tests.e2e.killed_sending", stage, at, ready=False) as daemon:
        daemon.process.wait(60)
    assert daemon.process.returncode == -signal.SIGKILL


def prove(own: Sending, smtp: SmtpServer, number: int, *, repeats: Counter[str]) -> None:
    """See that none is lost, and none repeated more often than by ``repeats``."""
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
    assert taken - Counter(dict.fromkeys(taken, 1)) <= repeats
    bodies = {(one.data, one.recipients) for one in smtp.messages}
    assert len(bodies) == len(taken), "a repeat is equal to the byte"


def test_P7_a_server_that_fails_at_every_stage_loses_nothing(tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer) -> None:
    own = Sending(tmp_path / "own", dovecot, smtp.port)
    deliver_all(own, smtp, DELIVERIES, 0)
    # None is repeated but what was not answered for.
    assert by_message_id(smtp.messages).total() > len(by_message_id(smtp.messages))


def test_P7_killed_seven_times_while_it_delivers(
    tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer, new_store: Callable[[], str]
) -> None:
    deliver_all(Sending(tmp_path / "own", dovecot, smtp.port, store=new_store()), smtp, DELIVERIES, KILLS, calm=True)


@pytest.mark.campaign
def test_P7_killed_thirty_times_in_a_thousand_deliveries(
    tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer, new_store: Callable[[], str]
) -> None:
    deliver_all(Sending(tmp_path / "own", dovecot, smtp.port, store=new_store()), smtp, ALL_DELIVERIES, ALL_KILLS)


def test_P4_a_dead_server_keeps_back_its_own_deliveries_only(tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer) -> None:
    own = Sending(tmp_path / "own", dovecot, smtp.port, rules="forward: [{when: {}, to: [duty, away]}]\n")
    (dead,) = free_ports(1)
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
