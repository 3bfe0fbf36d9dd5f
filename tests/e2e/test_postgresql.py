"""Two daemons on PostgreSQL, with the database server killed and started again under them: the promises hold (P1, P2, P7)."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.servers.postgresql import Postgresql
from gatewayd.testing.servers.smtp import SmtpServer
from tests.e2e.house import House, until
from tests.e2e.mailboxes import Mailboxes
from tests.e2e.sending import Sending, by_message_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

CRASHES, ALL_CRASHES = 3, 30
#: Messages a second.
RATE = 15
PATIENCE = 90
DELIVERIES = 60


@pytest.fixture
def postgresql() -> Iterator[Postgresql]:
    # Of our own: others would be thrown out.
    with Postgresql() as server:
        yield server


def crash(server: Postgresql) -> None:
    server.crash()
    time.sleep(1)
    server.start()


def restarted_often(crashes: int, tmp_path: Path, dovecot: Dovecot, server: Postgresql) -> None:
    house = House(tmp_path, store=server.new_database())
    house.operator("acme", reservations="id,code,title\nR1,B-756,Rome\n")
    boxes = Mailboxes(house, dovecot)
    for name, after in (("kept", "keep"), ("moved", "{move: Imported}"), ("deleted", "delete")):
        boxes.add(name, imports=f"  after: {after}\n")
    boxes.add("popped", kind="pop3", imports="  after: delete\n  every: 1s\n")
    boxes.begin()
    with house.daemon() as first, house.daemon() as second:
        with boxes.arriving(RATE):
            for _ in range(crashes):
                time.sleep(2)
                crash(server)
        boxes.filed(seconds=PATIENCE)
        assert first.process.poll() is None
        assert second.process.poll() is None
    boxes.prove()


@pytest.mark.timeout(600)
def test_P1_P2_the_database_server_crashes_three_times_under_two_daemons(
    tmp_path: Path, dovecot: Dovecot, postgresql: Postgresql
) -> None:
    restarted_often(CRASHES, tmp_path, dovecot, postgresql)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_P1_P2_the_database_server_crashes_thirty_times_under_two_daemons(
    tmp_path: Path, dovecot: Dovecot, postgresql: Postgresql
) -> None:
    restarted_often(ALL_CRASHES, tmp_path, dovecot, postgresql)


def _has(smtp: SmtpServer, number: int) -> bool:
    return len(smtp.messages) >= number


@pytest.mark.timeout(600)
def test_P7_the_database_server_crashes_while_two_daemons_deliver(tmp_path: Path, dovecot: Dovecot, postgresql: Postgresql) -> None:
    with SmtpServer() as smtp:
        # Slow enough to be interrupted.
        smtp.answer = lambda step, _: time.sleep(0.05) if step == "dot" else None
        own = Sending(tmp_path / "own", dovecot, smtp.port, store=postgresql.new_database())
        own.begin()
        own.bring(DELIVERIES, seed=7)
        with own.house.daemon(), own.house.daemon():
            for part in (4, 2):
                until("a part of the mails is taken", PATIENCE, partial(_has, smtp, DELIVERIES // part))
                crash(postgresql)
            own.settled(DELIVERIES, PATIENCE)
        assert own.states() == {"delivered": DELIVERIES}
        taken = by_message_id(smtp.messages)
        assert taken.keys() == {one["message_id"] for one in own.deliveries()}
        # What was in hand, or ahead of the disk, when the server crashed may come twice: see `test_outgoing_killed`.
        assert taken.total() <= DELIVERIES + 2 * 9
