"""What breaks a session is left for the next visit: the rest of the account is had by another session (P4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import Action, TransientError
from gatewayd.api.spool import SpoolFailed
from gatewayd.config import ImportConfig
from gatewayd.importing.values import VisitReport
from gatewayd.testing import Asked, FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.kernel import Gateway, limited

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.fakes.transport import Step


LOST = TransientError("connection lost")


def test_P4_a_folder_that_ends_the_session_is_left_and_the_others_are_had_by_another_one(tmp_path: Path) -> None:
    transport = FakeTransport(("INBOX", "Sent"), account="main")
    transport.deliver(make_raw(2), "Sent")
    with Gateway(tmp_path, transport) as gateway:
        transport.on("listing", LOST)
        report = gateway.visit()
        assert (report.error, report.problems, report.unproven) == (LOST, (), ("INBOX",))
        assert (report.tally.filed, len(transport.steps("open"))) == (1, 2)


class Breaking(FakeTransport):
    """A server that breaks each session at one step, of one folder or of any."""

    broken: tuple[str, str | None] = ("", None)
    error: Exception = LOST

    def ask(self, asked: Asked) -> None:
        super().ask(asked)
        step, folder = self.broken
        if asked.step == step and folder in {None, asked.folder}:
            raise self.error


@pytest.mark.parametrize("error", [LOST, ValueError("a bug of the transport")])
@pytest.mark.parametrize("step", ["listing", "fetch", "message"])
def test_P4_a_folder_that_breaks_each_session_keeps_no_other_one_from_being_filed(
    tmp_path: Path, step: str, error: Exception
) -> None:
    transport = Breaking(("A", "B", "C"), account="main")
    transport.broken, transport.error = (step, "A"), error
    for folder in ("A", "B", "C"):
        transport.deliver(make_raw(1), folder)
    with Gateway(tmp_path, transport) as gateway:
        report = gateway.visit()
        assert report.error
        assert len(transport.steps("open")) == 2
        assert {one for one in ("B", "C") if gateway.states(one)} == {"B", "C"}
        assert not {"waiting"} & {*gateway.states("B").values(), *gateway.states("C").values()}
        assert report.unproven == (("A",) if step == "listing" else ())


class Curt(FakeTransport):
    """A server that hangs up before it sends any of what it is asked for, where that includes one message."""

    poison = ""

    def ask(self, asked: Asked) -> None:
        super().ask(asked)
        if asked.step == "fetch" and self.poison in asked.keys:
            raise LOST


@pytest.mark.parametrize("place", [0, 5, 30, 149, 199])
def test_P4_a_message_that_ends_the_session_before_others_come_keeps_none_of_them_from_being_filed(
    tmp_path: Path, place: int
) -> None:
    transport = Curt(account="main")
    keys = [transport.deliver(make_raw(number)) for number in range(1, 251)]
    transport.poison = keys[place]
    with Gateway(tmp_path, transport, limits=limited(batch_messages=200)) as gateway:
        report = gateway.visit()
        assert report.error is LOST
        assert len(transport.steps("open")) <= 6, "it asks for fewer at a time, and not for ever"
        # Who was first of a batch is taken for the cause, and waits for some seconds.
        for _ in range(4):
            with gateway.store._db.writing() as connection:
                connection.exec_driver_sql("UPDATE ledger SET due = due - 12 WHERE state = 'waiting'")
            gateway.visit()
        assert {key for key, state in gateway.states().items() if state != "filed"} == {transport.poison}
        transport.poison = ""
        assert gateway.good(keys=keys).tally.filed == 1


def test_P4_a_full_disk_is_no_messages_fault_and_all_come_at_once_when_there_is_space(tmp_path: Path) -> None:
    transport = FakeTransport(account="main")
    for number in range(1, 10):
        transport.deliver(make_raw(number))
    with Gateway(tmp_path, transport, limits=limited(batch_messages=5)) as gateway:
        for _ in range(3):
            transport.on("message", SpoolFailed("the spool can't be written: No space left on device"))
            report = gateway.visit()
            assert isinstance(report.error, SpoolFailed)
            assert (report.tally.filed, report.tally.deferred) == (0, 0)
        assert len(transport.steps("open")) == 3, "no other session helps"
        assert gateway.good().tally.filed == 9


def test_P4_a_message_that_is_too_large_for_the_disk_lets_others_go_first(tmp_path: Path) -> None:
    transport = FakeTransport(account="main")
    large = transport.deliver(make_raw(1))
    transport.deliver(make_raw(2))
    with Gateway(tmp_path, transport, limits=limited(batch_messages=1)) as gateway:
        transport.on("message", SpoolFailed("the spool can't be written: No space left on device"))
        assert gateway.visit().tally.deferred == 1
        assert gateway.good().tally.filed == 1
        assert gateway.states()[large] == "waiting"


@pytest.mark.parametrize("step", ["settle", "look_up"])
def test_P4_what_is_owed_and_breaks_each_session_keeps_no_new_mail_from_being_filed(tmp_path: Path, step: Step) -> None:
    transport = Breaking(("A", "B"), account="main")
    transport.broken = (step, None)
    with Gateway(tmp_path, transport, imports=ImportConfig(folders=("A", "B"), after=Action(do="delete"))) as gateway:
        for number in range(1, 4):
            transport.deliver(make_raw(number), "A")
            transport.deliver(make_raw(number + 10), "B")
            report = gateway.visit()
            assert (report.error, report.tally.filed, report.settled) == (LOST, 2, 0)
        assert len(transport.steps(step)) == 3, "it is tried once in a visit"
        transport.broken = ("", None)
        assert (gateway.good().settled, transport.keys("A")) == (6, [])


def test_P4_a_server_that_is_gone_is_asked_once_more_and_not_for_each_folder(tmp_path: Path) -> None:
    transport = FakeTransport(("A", "B", "C", "D"), account="main")
    with Gateway(tmp_path, transport) as gateway:
        transport.on("listing", LOST)
        transport.on("open", TransientError("nobody answers"), after=1)
        assert gateway.visit().error is LOST, "what was first"
        assert (len(transport.steps("open")), len(transport.steps("listing"))) == (2, 1)


def test_a_session_that_cannot_be_closed_is_the_last_one_of_its_visit(tmp_path: Path) -> None:
    transport = FakeTransport(("A", "B"), account="main")
    with Gateway(tmp_path, transport) as gateway:
        transport.on("listing", LOST)
        transport.on("close", ValueError("a bug of the transport"))
        report = gateway.try_visit()
        assert isinstance(report, VisitReport)
        assert report.error is LOST
        assert ["the session was not closed" in one for one in report.problems] == [True]
        assert len(transport.steps("open")) == 1


def test_a_visit_that_is_to_end_opens_no_other_session(tmp_path: Path) -> None:
    transport = FakeTransport(("A", "B"), account="main")
    with Gateway(tmp_path, transport) as gateway:
        stopping = False

        def breaks() -> None:
            nonlocal stopping
            stopping = True
            raise LOST

        gateway.stopping = lambda: stopping
        transport.on("listing", breaks)
        assert gateway.visit().error is LOST
        assert len(transport.steps("open")) == 1
