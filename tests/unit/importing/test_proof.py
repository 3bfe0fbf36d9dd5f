"""When a visit's listings prove that a folder was listed whole (P1), and what counts as new mail then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatewayd import Action, Lease, TransientError
from gatewayd.config import ImportConfig
from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.importing.uidl_mailboxes import backlog, dated, filled, late, uidls
from tests.unit.kernel import Gateway, limited

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


SEEN, DELETE = Action(do="seen"), Action(do="delete")

LOST = TransientError("connection lost")


def hide(transport: FakeTransport, *keys: str) -> None:
    for key, message in transport.folders["INBOX"].keyed().items():
        message.hidden = key in keys


@pytest.mark.parametrize("make", [filled, uidls])
def test_P1_a_listing_that_is_shorter_than_the_count_proves_nothing(tmp_path: Path, make: Callable[[int], FakeTransport]) -> None:
    transport = make(3)
    hide(transport, *transport.keys())
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        report = gateway.visit()
        assert "the server counts 3 messages and lists 0" in report.problems[0]
        assert not gateway.audit().proven
        assert gateway.store.folder("main", "INBOX").checked_at is None  # type: ignore[union-attr]
        hide(transport)
        report = gateway.visit(compare=True)
        assert report.tally.filed == 3
        assert gateway.good().settled == 3


def test_P1_nothing_is_given_up_because_a_short_listing_lacks_it(tmp_path: Path) -> None:
    transport = uidls(3)
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        transport.fail("1:3", "busy")
        transport.on("settle", LOST)
        gateway.visit()
        hide(transport, "1:1", "1:3")
        report = gateway.visit()
        assert (report.settled, len(transport.keys())) == (0, 3)
        assert gateway.states() == {"1:1": "filed", "1:2": "filed", "1:3": "waiting"}


def test_P1_a_message_behind_the_cursor_that_was_never_listed_is_found_by_the_count(tmp_path: Path) -> None:
    transport = filled(9, overlap=2)
    with Gateway(tmp_path, transport, limits=limited(batch_messages=100)) as gateway:
        hide(transport, "1:3")
        # Its count is not told, so nothing shows.
        transport.on("listing", lambda: None)
        gateway.visit()
        hide(transport)
        gateway.visit(compare=True)
        assert len(gateway.filings()) == 9
        transport.restore(transport.back_up())
        transport.folders["INBOX"].messages.insert(2, transport.back_up().messages[0])
        transport.folders["INBOX"].messages[2].number = 0
        report = gateway.visit()
        assert (report.problems, report.tally.duplicate) == ((), 1)


def test_a_doubt_that_a_whole_listing_does_not_clear_up_is_not_asked_of_the_server_at_each_visit(tmp_path: Path) -> None:
    transport = filled(3, overlap=2)
    hide(transport, "1:2")
    with Gateway(tmp_path, transport, imports=ImportConfig(after=SEEN)) as gateway:
        gateway.visit()
        listings = len(transport.steps("listing"))
        for _ in range(3):
            report = gateway.visit()
            assert "the server counts 3 messages and lists 2" in report.problems[0]
        assert len(transport.steps("listing")) == listings + 3
        assert transport.seen() == []
        lease = gateway.store.take_lease("main", "time", dead=lambda _: False)
        assert isinstance(lease, Lease)
        earlier = datetime.now(UTC) - timedelta(minutes=11)
        gateway.store.prove(lease, "INBOX", checked_at=None, compared_at=earlier, doubt="the server counts 3 messages and lists 2")
        gateway.store.release(lease)
        gateway.visit()
        assert len(transport.steps("listing")) == listings + 5, "after ten minutes the whole listing is tried again"


def test_P1_the_whole_listing_says_what_is_gone_so_that_the_count_says_what_is_missing(tmp_path: Path) -> None:
    transport = filled(6, overlap=2)
    with Gateway(tmp_path, transport, limits=limited(batch_messages=100)) as gateway:
        gateway.good()
        for key in ("1:1", "1:2"):
            transport.vanish(key)
        gateway.good()
        assert sum(gateway.store.standing("main", "INBOX").values()) == 6
        gateway.good(compare=True)
        assert sum(gateway.store.standing("main", "INBOX").values()) == 4
        hide(transport, transport.deliver(make_raw(7)))
        assert "the server counts 5 messages and lists 4" in gateway.visit().problems[0]


def renumbered(transport: FakeTransport) -> None:
    transport.renumber()


def restored(transport: FakeTransport) -> None:
    del transport.folders["INBOX"].messages[-2:]
    transport.folders["INBOX"].next_number -= 2


@pytest.mark.parametrize("how", [renumbered, restored])
@pytest.mark.parametrize(
    ("arrived", "sent", "is_backlog"),
    [(1, 1, False), (-3600, 1, True), (1, -3600, True), (-3600, -3600, True), (1, None, True)],
)
def test_what_arrived_and_was_written_after_the_last_proven_check_is_new(
    tmp_path: Path, how: Callable[[FakeTransport], None], arrived: float, sent: float | None, *, is_backlog: bool
) -> None:
    transport = filled(5)
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        how(transport)
        raw = make_raw(9).replace(b"Date: ", b"Old-Date: ") if sent is None else dated(9, late(sent))
        key = transport.deliver(raw, arrival=late(arrived))
        transport.fail(key, "busy")
        report = gateway.visit()
        assert backlog(gateway) == {key: is_backlog}
        told = [text for text in report.notes if f"such as {key}, are backlog" in text]
        assert len(told) == is_backlog


@pytest.mark.parametrize("how", [renumbered, restored])
def test_where_arrivals_were_not_kept_nothing_is_new(tmp_path: Path, how: Callable[[FakeTransport], None]) -> None:
    transport = filled(5)
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        how(transport)
        for message in transport.folders["INBOX"].messages:
            message.arrival = late()
        key = transport.deliver(dated(9, late()), arrival=late())
        transport.fail(key, "busy")
        gateway.visit()
        assert backlog(gateway) == {key: True}


def test_the_first_listing_is_backlog_however_late_its_mail_arrived(tmp_path: Path) -> None:
    transport = FakeTransport(account="main")
    key = transport.deliver(dated(1, late()), arrival=late())
    transport.fail(key, "busy")
    with Gateway(tmp_path, transport) as gateway:
        assert gateway.good().notes == ()
        assert backlog(gateway) == {key: True}


def test_the_last_proven_check_is_kept_only_where_a_listing_proved_something(tmp_path: Path) -> None:
    transport = filled(3)
    with Gateway(tmp_path, transport) as gateway:
        transport.on("page", LOST)
        gateway.visit()
        assert gateway.store.folder("main", "INBOX") is None
        before = datetime.now(UTC) - timedelta(seconds=1)
        gateway.good()
        state = gateway.store.folder("main", "INBOX")
        assert state is not None
        assert state.checked_at is not None
        assert state.compared_at is not None
        assert before < state.checked_at <= datetime.now(UTC)
        hide(transport, "1:1")
        gateway.visit(compare=True)
        again = gateway.store.folder("main", "INBOX")
        assert again is not None
        assert again.checked_at == state.checked_at
        assert again.doubt
