"""Test class for forwarders: derive from it and bring a server that takes deliveries."""

# ruff: noqa: PLR2004, N802  tests are made of expected numbers and named after promises

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

import pytest

from gatewayd import Address, FilingView, Parcel, TransientError
from gatewayd.message.mail import BytesSource
from gatewayd.testing.contracts.custodian import make_raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd import Courier, Forwarder, Receipt

__all__ = ["ForwarderContract", "Goal", "make_parcel"]

#: Within so many seconds a step that is aborted ends, and leave is taken, on a busy machine; give a goal a longer timeout.
_AT_ONCE = 10.0
_NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def make_parcel(number: int = 1, *, to: Sequence[str] = ("duty@example.com",), sends_mail: bool = True) -> Parcel:
    """Return a parcel of a small mail; another number, another delivery of another mail."""
    message_id = f"<gw.f.{number}.token@example.com>"
    return Parcel(
        id=number,
        message_id=message_id,
        filing=_filing(number),
        source=BytesSource(make_raw(number)),
        mode="attached",
        sender=Address(name="Acme", email="out@example.com") if sends_mail else None,
        to=tuple(to),
        addressed=tuple(to),
        entered_at=_NOON,
        cause="rule 1",
        hops=(f"Gatewayd-Hop: {message_id}",) if sends_mail else (),
    )


def _filing(number: int) -> FilingView:
    return FilingView(
        id=number,
        operator="acme",
        user=None,
        account="reservations",
        folder="INBOX",
        key=f"1:{number}",
        message_id=f"<{number}@example.com>",
        sender="anna@example.com",
        sender_name="Anna",
        to=("reservations@example.com",),
        subject="Booking",
        sent_at=_NOON,
        received_at=_NOON,
        size=len(make_raw(number)),
        digest=b"",
        direction="in",
        unread=True,
        attachments=(),
        links=(),
        rivals=(),
        faults=(),
        queue=None,
    )


class Goal(ABC):
    """Your server that takes deliveries, new for each test, and what a test does to it from outside."""

    @abstractmethod
    def forwarder(self) -> Forwarder:
        """Return a forwarder that delivers to it."""

    @abstractmethod
    def taken(self) -> Sequence[str]:
        """Return the Message-IDs, or the webhook ids made of them, of all deliveries that it has taken, in their order."""

    def fall_silent(self) -> None:
        """Send nothing more from now on, but keep connections open. Not called if ``has_network`` is False."""
        raise NotImplementedError

    def go_away(self) -> None:
        """Break all connections, and accept no more. Not called if ``has_network`` is False."""
        raise NotImplementedError


class ForwarderContract:
    """Derive a test class from it, say how to reach a server, and let pytest run it.

    class TestMyForwarder(ForwarderContract):
        @pytest.fixture
        def goal(self, server): return MyGoal(server)
    """

    #: Whether there is a server that can be silent or away. A forwarder that writes to a disk has none.
    has_network: ClassVar[bool] = True

    @pytest.fixture
    def goal(self) -> Goal:
        """Return the server to test with."""
        raise NotImplementedError

    def parcels(self, goal: Goal, *numbers: int) -> list[Parcel]:
        """Return parcels that the server takes."""
        sends = goal.forwarder().sends_mail
        return [make_parcel(number, to=("duty@example.com",) if sends else ("crm",), sends_mail=sends) for number in numbers]

    def test_P7_each_parcel_gets_its_receipt_in_their_order_and_is_taken_once(self, goal: Goal) -> None:
        """Three go by one courier; each receipt has the recipients of its parcel."""
        parcels = self.parcels(goal, 1, 2, 3)
        with closing(goal.forwarder().open()) as courier:
            receipts = list(courier.deliver(parcels))
        assert [one.id for one in receipts] == [1, 2, 3]
        for receipt, parcel in zip(receipts, parcels, strict=True):
            assert tuple(one.address for one in receipt.recipients) == parcel.to
            assert {one.state for one in receipt.recipients} == {"delivered"}
        assert len(goal.taken()) == 3
        assert len(set(goal.taken())) == 3

    def test_P7_a_receipt_is_given_before_the_next_parcel_is_begun(self, goal: Goal) -> None:
        """What is told is committed while the next is on its way: at most one is ahead."""
        with closing(goal.forwarder().open()) as courier:
            receipts = courier.deliver(self.parcels(goal, 1, 2, 3))
            for number in range(1, 4):
                assert next(receipts).id == number
                assert len(goal.taken()) == number

    def test_P7_what_is_sent_again_is_known_by_its_id(self, goal: Goal) -> None:
        """By one courier, and by another."""
        for _ in range(2):
            with closing(goal.forwarder().open()) as courier:
                list(courier.deliver(self.parcels(goal, 1)))
                list(courier.deliver(self.parcels(goal, 1)))
        assert len(goal.taken()) == 4
        assert len(set(goal.taken())) == 1

    def test_nothing_to_deliver_has_no_receipts(self, goal: Goal) -> None:
        """And is no fault."""
        with closing(goal.forwarder().open()) as courier:
            assert list(courier.deliver([])) == []
        assert list(goal.taken()) == []

    def test_who_stops_asking_has_delivered_no_more(self, goal: Goal) -> None:
        """The daemon is told to stop: what is behind the parcel in hand is left to the next start."""
        with closing(goal.forwarder().open()) as courier:
            receipts = courier.deliver(self.parcels(goal, 1, 2))
            next(receipts)
        assert len(goal.taken()) == 1

    def test_P7_a_server_that_is_away_leaves_it_undecided(self, goal: Goal) -> None:
        """It is tried later."""
        self._needs_network()
        goal.go_away()
        assert undecided(goal.forwarder(), self.parcels(goal, 1))

    def test_P7_a_server_that_goes_away_leaves_what_is_behind_undecided(self, goal: Goal) -> None:
        """The courier that was open is of no use any more."""
        self._needs_network()
        with closing(goal.forwarder().open()) as courier:
            assert next(iter(courier.deliver(self.parcels(goal, 1)))).recipients[0].state == "delivered"
            goal.go_away()
            assert undecided(courier, self.parcels(goal, 2))

    def test_a_step_that_waits_ends_at_once_when_it_is_aborted(self, goal: Goal) -> None:
        """From another thread, also twice; and leave is taken at once then."""
        self._needs_network()
        courier = goal.forwarder().open()
        goal.fall_silent()
        with ThreadPoolExecutor(1) as thread:
            waits = thread.submit(undecided, courier, self.parcels(goal, 1))
            time.sleep(0.2)
            assert not waits.done()
            began = time.monotonic()
            courier.abort()
            courier.abort()
            assert waits.result(_AT_ONCE * 5)
        courier.close()
        assert time.monotonic() - began < _AT_ONCE

    def test_leave_is_taken_within_a_second_of_a_server_that_says_nothing(self, goal: Goal) -> None:
        """It never raises, whatever state the connection is in; to abort what is closed does nothing."""
        self._needs_network()
        courier = goal.forwarder().open()
        goal.fall_silent()
        began = time.monotonic()
        courier.close()
        assert time.monotonic() - began < _AT_ONCE
        courier.abort()

    def test_to_make_one_does_no_io(self, goal: Goal) -> None:
        """Only what is opened connects."""
        if self.has_network:
            goal.go_away()
        assert goal.forwarder().name
        assert list(goal.taken()) == []

    def _needs_network(self) -> None:
        if not self.has_network:
            pytest.skip("it has no server")


def undecided(by: Forwarder | Courier, parcels: Sequence[Parcel]) -> bool:
    """Whether parcels are tried later: their receipts say so, or opening or delivering raises TransientError."""
    receipts: list[Receipt] = []
    try:
        if not hasattr(by, "deliver"):
            with closing(by.open()) as courier:
                receipts += courier.deliver(parcels)
        else:
            receipts += by.deliver(parcels)
    except TransientError:
        pass
    else:
        assert len(receipts) == len(parcels)
    return all(recipient.state == "waiting" for receipt in receipts for recipient in receipt.recipients)
