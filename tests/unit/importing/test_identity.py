"""A message is its key and its size and its arrival: whatever a server does with keys, nothing is lost, doubled or done to another."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

import pytest

from gatewayd import Action, TransientError
from gatewayd.config import ImportConfig
from gatewayd.importing.settling import anchors_of
from gatewayd.testing import FakeTransport, make_contact, make_record
from gatewayd.testing.contracts.custodian import make_raw
from gatewayd.testing.fakes.session import FakeSession
from tests.unit.importing.uidl_mailboxes import backlog, dated, filled, late, uidls
from tests.unit.kernel import Gateway, directory, limited, spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


SEEN, DELETE = Action(do="seen"), Action(do="delete")

LOST = TransientError("connection lost")

STAND_IN = b"From: System Administrator <root@localhost>\r\nSubject: message unavailable\r\n\r\nGone.\r\n"

LONG_AGO = datetime(2026, 1, 5, tzinfo=UTC)


def subjects(gateway: Gateway) -> list[str]:
    return sorted(one.message_id for one in gateway.filings())


def ids(*numbers: int) -> list[str]:
    return sorted(f"<{number}@example.com>" for number in numbers)


# --- a folder is restored from a backup ---------------------------------------------------------------------------------


@pytest.mark.parametrize("new", [1, 2, 3, 4, 60])
@pytest.mark.parametrize("visits", [0, 1])
def test_P1_mail_that_comes_to_a_restored_folder_is_filed(tmp_path: Path, new: int, visits: int) -> None:
    """UIDVALIDITY stays, UIDNEXT goes back, and may have overtaken the cursor by the time of the visit."""
    transport = filled(5)
    backup = transport.back_up()
    with Gateway(tmp_path, transport, limits=limited(batch_messages=100)) as gateway:
        gateway.good()
        for number in (6, 7, 8):
            transport.deliver(make_raw(number))
        gateway.good()
        transport.restore(backup)
        for _ in range(visits):
            gateway.visit()
        for number in range(101, 101 + new):
            transport.deliver(make_raw(number), arrival=datetime.now(UTC))
        report = gateway.visit()
        assert (report.error, report.tally.filed) == (None, new)
        # Without any visit in between, the numbers that were given again are told.
        assert bool(report.problems) == (visits == 0)
        assert gateway.audit().proven
        assert subjects(gateway) == ids(*range(1, 9), *range(101, 101 + new))
        assert gateway.good().listed == 0


@pytest.mark.parametrize("when", ["before the listing", "behind the listing", "before the settle"])
def test_P3_deletes_that_were_owed_before_a_restore_are_done_to_nothing_else(tmp_path: Path, when: str) -> None:
    transport = filled(3)
    backup = transport.back_up()
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE), limits=limited(batch_messages=100)) as gateway:
        transport.deliver(make_raw(4))
        transport.deliver(make_raw(5))
        transport.on("settle", LOST)
        assert gateway.visit().error is LOST
        assert len(gateway.store.owed("main", limit=9)) == 5

        def restore() -> None:
            transport.restore(backup)
            for number in (14, 15):
                transport.deliver(make_raw(number), arrival=datetime.now(UTC))

        if when == "before the listing":
            restore()
        else:
            transport.on("page" if when == "behind the listing" else "look_up", restore)
        report = gateway.visit()
        assert len(transport.keys()) == 5, "what stands under those keys was never filed"
        assert report.settled == 0
        assert report.problems
        for _ in range(3):
            report = gateway.visit()
        assert (report.error, report.problems) == (None, ())
        assert transport.keys() == []
        assert subjects(gateway) == ids(1, 2, 3, 4, 5, 14, 15)


def test_P3_an_action_that_is_left_undone_because_its_message_is_another_is_told(tmp_path: Path) -> None:
    transport = filled(2)
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        transport.on("settle", LOST)
        gateway.visit()
        transport.message("1:2").arrival = datetime.now(UTC)
        report = gateway.visit()
        assert "1 keys name other messages than before, such as 1:2 (arrived" in report.problems[0]
        assert "nothing is done to mail there in this visit" in report.problems[0]
        assert "1 owed actions are left undone" in report.notes[0]
        assert report.settled == 0
        (view,) = [one for one in gateway.store.entries("main", "filed", after=0, limit=9) if one.gone]
        assert view.cause.startswith("its key is another message's by now: arrived")


def test_a_restore_whose_visit_broke_is_compared_by_the_next_one(tmp_path: Path) -> None:
    """The page that contradicts is committed, and what it is a sign of must not be forgotten."""
    transport = filled(9, overlap=2, page_size=3)
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        # The one in the overlap, and one that only a whole listing shows.
        for key in ("1:8", "1:3"):
            transport.message(key).raw, transport.message(key).listed_size = STAND_IN, len(STAND_IN)
        transport.on("page", LOST, after=1)
        assert gateway.visit().error is LOST
        assert "1:8" in gateway.store.folder("main", "INBOX").doubt  # type: ignore[union-attr]
        report = gateway.visit()
        assert "1:3" in report.problems[0]
        assert gateway.store.folder("main", "INBOX").doubt == ""  # type: ignore[union-attr]
        assert gateway.audit().proven


# --- a key is given to another message ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["filed", "duplicate", "not admitted", "waiting", "offered", "vanished"])
@pytest.mark.parametrize("by", ["size", "arrival", "both"])
def test_P1_a_key_that_names_another_message_is_had_anew_whatever_became_of_the_first(tmp_path: Path, state: str, by: str) -> None:
    transport = filled(1)
    first = transport.deliver(
        make_raw(1 if state == "duplicate" else 2, sender="stranger@example.com" if state == "not admitted" else "anna@example.com")
    )
    known = directory([], [make_contact(make_record("customer", "C1"), "anna@example.com", contact_type="sales")])
    imports = ImportConfig(contact_types={"customer": ("sales",)}, start="now" if state == "offered" else "all")
    with Gateway(tmp_path, transport, imports=imports, plugins=[known], specs=[spec(known=True)]) as gateway:
        if state == "waiting":
            transport.fail(first, "busy")
        if state == "vanished":
            message = transport.message(first)
            transport.on("fetch", lambda: transport.vanish(first))
        gateway.visit()
        if state == "vanished":
            transport.folders["INBOX"].messages.append(message)
        assert gateway.states()[first] == state
        other = make_raw(9, text="Hello" if by == "arrival" else "Another one")
        message = transport.message(first)
        message.raw, message.listed_size, message.fails = other, len(other), ""
        if by != "size":
            message.arrival = datetime.now(UTC)
        if by == "arrival":
            message.listed_size = len(other)
        report = gateway.visit()
        # What is known to be gone leaves its key to others.
        assert [text for text in report.problems if "1 keys name other messages than before" in text] or state == "vanished"
        if state == "offered" and by == "size":
            # It arrived before the start, as far as anybody knows: a person may take it.
            assert gateway.states()[first] == "offered"
            gateway.good(keys=[first])
        assert gateway.states()[first] == "filed"
        assert "<9@example.com>" in subjects(gateway)
        assert gateway.audit().proven
        assert gateway.good().listed == 0


def test_P1_a_uidl_that_is_given_to_another_message_is_had_anew_if_its_size_differs(tmp_path: Path) -> None:
    transport = uidls(3)
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        transport.on("settle", LOST)
        gateway.visit()
        other = make_raw(9, text="Another one")
        transport.message("1:2").raw, transport.message("1:2").listed_size = other, len(other)
        report = gateway.visit()
        assert (report.tally.filed, report.settled) == (1, 0)
        assert len(transport.keys()) == 3
        assert (gateway.good().settled, transport.keys()) == (3, [])
        assert subjects(gateway) == ids(1, 2, 3, 9)


def test_several_messages_under_one_key_are_told_and_none_of_them_is_touched(tmp_path: Path) -> None:
    transport = uidls(2)
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        transport.message("1:2").uidl = "1:1"
        report = gateway.visit()
        assert "2 messages are listed under the one key 1:1" in report.problems[0]
        assert (report.settled, len(transport.folders["INBOX"].messages)) == (0, 2)
        assert not gateway.audit().proven


def test_P3_a_key_that_several_messages_have_when_it_is_settled_is_left_alone(tmp_path: Path) -> None:
    transport = uidls(2)
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        transport.on("look_up", lambda: setattr(transport.folders["INBOX"].messages[1], "uidl", "1:1"))
        report = gateway.visit()
        assert "2 messages have this key" in report.problems[0]
        assert (report.settled, len(transport.folders["INBOX"].messages)) == (0, 2)


@pytest.mark.parametrize("listed", ["there again", "gone and there again"])
def test_a_key_that_was_only_offered_is_offered_when_it_comes_back(tmp_path: Path, listed: str) -> None:
    """A server that lists nothing for a moment must not turn what was offered into mail that is imported."""
    transport = uidls(3)
    with Gateway(tmp_path, transport, imports=ImportConfig(start="now")) as gateway:
        gateway.good()
        messages = transport.folders["INBOX"].messages[:]
        if listed != "there again":
            transport.folders["INBOX"].messages.clear()
            gateway.good()
            assert set(gateway.states().values()) == {"vanished"}
        transport.folders["INBOX"].messages[:] = messages
        assert gateway.good().tally.filed == 0
        assert set(gateway.states().values()) == {"offered"}
        offered = gateway.store.entries("main", "offered", after=0, limit=9)
        assert {one.cause for one in offered} == {"there before the start (now)"}
        assert gateway.good(keys=transport.keys()[:1]).tally.filed == 1


@pytest.mark.parametrize("asked", [{"from_beginning": True}, {"keys": ["1:1", "1:2"]}])
def test_a_key_that_was_only_offered_and_comes_back_is_taken_where_it_is_asked_for(tmp_path: Path, asked: dict[str, Any]) -> None:
    transport = uidls(2)
    with Gateway(tmp_path, transport, imports=ImportConfig(start="now")) as gateway:
        gateway.good()
        messages = transport.folders["INBOX"].messages[:]
        transport.folders["INBOX"].messages.clear()
        gateway.good()
        transport.folders["INBOX"].messages[:] = messages
        transport.fail("1:1", "busy")
        assert gateway.good(**asked).tally.filed == 1
        (waiting,) = gateway.store.waiting("main", "INBOX", after=0, limit=9, keys=["1:1"])
        assert waiting.backlog


@pytest.mark.parametrize("start", ["all", "now"])
def test_new_mail_that_was_not_listed_for_a_moment_is_new_still(tmp_path: Path, start: Literal["all", "now"]) -> None:
    transport = uidls(1)
    with Gateway(tmp_path, transport, imports=ImportConfig(start=start)) as gateway:
        gateway.good()
        key = transport.deliver(make_raw(2))
        transport.message(key).arrival = None
        transport.fail(key, "busy")
        assert gateway.good().tally.deferred == 1
        messages = transport.folders["INBOX"].messages[:]
        transport.folders["INBOX"].messages.clear()
        gateway.good()
        transport.folders["INBOX"].messages[:] = messages
        assert gateway.good().notes == ()
        (waiting,) = gateway.store.waiting("main", "INBOX", after=0, limit=9, keys=[key])
        assert not waiting.backlog
        (entry,) = gateway.store.entries("main", "waiting", after=0, limit=9)
        assert entry.cause == "busy"


def test_what_comes_under_the_key_of_mail_that_went_is_new_where_its_listing_is_no_backlog(tmp_path: Path) -> None:
    """POP3 has no arrivals: nothing says that it came after the last check, and nothing that it did not."""
    transport = uidls(2)
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        transport.vanish("1:2")
        gateway.good()
        transport.message(transport.deliver(make_raw(7))).arrival = None
        transport.folders["INBOX"].messages[-1].number = 2
        transport.fail("1:2", "busy")
        assert gateway.good().notes == ()
        (waiting,) = gateway.store.waiting("main", "INBOX", after=0, limit=9, keys=["1:2"])
        assert not waiting.backlog


# --- a server lists less than it has --------------------------------------------------------------------------------------


def test_keys_may_be_asked_for_by_the_first_visit(tmp_path: Path) -> None:
    with Gateway(tmp_path, uidls(3), imports=ImportConfig(start="now")) as gateway:
        assert gateway.good(keys=["1:2"]).tally.filed == 1
        assert list(gateway.states().values()).count("offered") == 2


# --- what comes is not what was listed ------------------------------------------------------------------------------------


@pytest.mark.parametrize("stand_in", [STAND_IN, b"", make_raw(1)[:-30], make_raw(1) + b"more\r\n"])
def test_P1_what_a_server_sends_in_place_of_a_message_is_never_filed(tmp_path: Path, stand_in: bytes) -> None:
    transport = filled(3)
    transport.message("1:2").served = stand_in
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        report = gateway.visit()
        assert (report.tally.filed, report.tally.deferred, report.settled) == (2, 1, 2)
        (waiting,) = gateway.store.entries("main", "waiting", after=0, limit=9)
        assert "they may stand in for the message" in waiting.cause
        assert "1 messages wait, such as 1:2" in report.problems[0]
        assert (gateway.audit().waiting, gateway.audit().proven) == (("1:2",), False)
        transport.message("1:2").served = None
        assert gateway.good(keys=["1:2"]).tally.filed == 1
        assert subjects(gateway) == ids(1, 2, 3)
        assert transport.keys() == []


@pytest.mark.parametrize("stand_in", [STAND_IN, b"", b"\r\n", b"Subject: Cannot display Unicode content\r\n\r\nSorry.\r\n"])
@pytest.mark.parametrize("after", [SEEN, DELETE])
def test_P3_nothing_is_done_to_what_a_server_lists_and_sends_in_place_of_a_message(
    tmp_path: Path, stand_in: bytes, after: Action
) -> None:
    transport = filled(3)
    message = transport.message("1:2")
    message.served, message.listed_size = stand_in, len(stand_in)
    with Gateway(tmp_path, transport, imports=ImportConfig(after=after)) as gateway:
        report = gateway.good()
        assert (report.tally.filed, report.settled) == (3, 2)
        assert "1 messages, such as 1:2, have neither Message-ID nor Date nor Received" in report.notes[0]
        message.served, message.listed_size = None, len(message.raw)
        assert "1:2" in gateway.visit().problems[0]
        gateway.good()
        assert set(ids(1, 2, 3)) <= set(subjects(gateway))
        assert [settled[1] for settled in transport.settled].count("1:2") == 1


@pytest.mark.parametrize("stand_in", [STAND_IN, b""])
def test_P1_what_is_expunged_between_listing_and_fetch_is_vanished_whatever_is_sent_for_it(tmp_path: Path, stand_in: bytes) -> None:
    transport = filled(3)
    transport.placeholder = stand_in
    with Gateway(tmp_path, transport) as gateway:
        transport.on("fetch", lambda: transport.vanish("1:2"))
        report = gateway.good()
        assert (report.tally.filed, report.tally.vanished) == (2, 1)
        (vanished,) = gateway.store.entries("main", "vanished", after=0, limit=9)
        assert "what the server sent in its place is not kept" in vanished.cause
        assert gateway.audit().proven


def test_what_is_sent_right_when_it_is_asked_for_again_is_filed(tmp_path: Path) -> None:
    transport = filled(3)
    transport.message("1:2").served = STAND_IN
    with Gateway(tmp_path, transport) as gateway:
        transport.on("look_up", lambda: setattr(transport.message("1:2"), "served", None))
        assert gateway.good().tally.filed == 3


def test_a_size_that_has_changed_since_the_listing_counts(tmp_path: Path) -> None:
    transport = filled(2)
    transport.message("1:2").listed_size = 7
    with Gateway(tmp_path, transport, imports=ImportConfig(after=SEEN)) as gateway:
        transport.on("look_up", lambda: setattr(transport.message("1:2"), "listed_size", len(make_raw(2))))
        report = gateway.good()
        assert (report.tally.filed, report.settled) == (2, 2)
        assert {one.size for one in gateway.store.entries("main", "filed", after=0, limit=9)} == {len(make_raw(2))}
        assert gateway.good() == gateway.good()
        assert gateway.audit().proven


def test_what_differs_each_time_waits(tmp_path: Path) -> None:
    transport = filled(2)
    transport.message("1:2").served = STAND_IN
    with Gateway(tmp_path, transport) as gateway:
        transport.on("look_up", lambda: setattr(transport.message("1:2"), "served", b"Something else\r\n"))
        assert gateway.visit().tally.deferred == 1
        (waiting,) = gateway.store.entries("main", "waiting", after=0, limit=9)
        assert "sends others each time" in waiting.cause


@pytest.mark.parametrize("step", ["look_up", "fetch", "message"])
def test_P1_a_session_that_ends_while_it_is_asked_again_files_no_stand_in(tmp_path: Path, step: Any) -> None:
    transport = filled(3)
    transport.message("1:2").served = STAND_IN
    with Gateway(tmp_path, transport) as gateway:
        transport.on(step, LOST, after={"look_up": 0, "fetch": 1, "message": 2}[step])
        report = gateway.visit()
        assert report.error is LOST
        assert gateway.states()["1:2"] == "waiting"
        assert "<2@example.com>" not in subjects(gateway)
        transport.message("1:2").served = None
        gateway.good(keys=transport.keys())
        assert subjects(gateway) == ids(1, 2, 3)


def test_P1_a_message_that_takes_anothers_place_while_it_is_fetched_is_filed_as_its_own(tmp_path: Path) -> None:
    transport = filled(2)
    other = make_raw(9, text="Another one")

    def replace() -> None:
        message = transport.message("1:2")
        message.raw, message.listed_size, message.arrival = other, len(other), datetime.now(UTC)

    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        transport.on("fetch", replace)
        report = gateway.visit()
        assert (report.tally.filed, report.tally.deferred) == (1, 1)
        gateway.visit()
        assert subjects(gateway) == ids(1, 9)
        assert [one.key for one in gateway.store.entries("main", "vanished", after=0, limit=9)] == ["1:2"]


# --- servers whose sizes are estimates --------------------------------------------------------------------------------------


def test_servers_that_count_line_ends_otherwise_work_as_all_others_do(tmp_path: Path) -> None:
    transport = filled(5)
    for message in transport.folders["INBOX"].messages:
        message.listed_size = len(message.raw.replace(b"\r\n", b"\n"))
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        audit = gateway.good(), gateway.audit()
        assert (audit[0].tally.filed, audit[0].settled, audit[1].proven) == (5, 5, True)


@pytest.mark.parametrize("by", [-40, 25, 3000])
def test_mail_of_a_server_whose_sizes_are_estimates_is_filed_and_nothing_is_done_to_it_at_once(tmp_path: Path, by: int) -> None:
    transport = filled(10)
    for number, message in enumerate(transport.folders["INBOX"].messages):
        message.listed_size = len(message.raw) + by + number
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        report = gateway.good()
        assert (report.tally.filed, report.settled) == (10, 0)
        assert "have another size than the server lists, as many on this server do" in report.notes[0]
        assert len(transport.keys()) == 10
        transport.deliver(make_raw(11), size=7)
        assert gateway.good().tally.filed == 1, "a single one, where it is known"
        assert (len(gateway.audit().unlike), gateway.audit().proven) == (11, False)
        assert gateway.good().listed == 0


@pytest.mark.parametrize(
    "served", [[STAND_IN] * 10, [b""] * 10, [b"Subject: message %d unavailable\r\n\r\n" % n for n in range(10)]]
)
def test_P1_a_mailbox_in_which_no_message_can_be_read_is_not_taken_for_one_with_estimates(
    tmp_path: Path, served: list[bytes]
) -> None:
    transport = filled(10)
    for message, what in zip(transport.folders["INBOX"].messages, served, strict=True):
        message.served = what
    with Gateway(tmp_path, transport) as gateway:
        report = gateway.visit()
        assert (report.tally.filed, report.tally.deferred) == (0, 10)
        for message in transport.folders["INBOX"].messages:
            message.served = None
        assert gateway.good(keys=transport.keys()).tally.filed == 10


def test_P1_one_wrong_size_among_right_ones_stands_against_the_message(tmp_path: Path) -> None:
    transport = filled(100)
    for key in ("1:7", "1:8", "1:9"):
        transport.message(key).listed_size = 7
    with Gateway(tmp_path, transport, limits=limited(batch_messages=30)) as gateway:
        gateway.visit()
        gateway.visit(keys=["1:7", "1:8", "1:9"])
        assert len(gateway.filings()) == 97


# --- what is new in a folder that was renumbered or restored ----------------------------------------------------------------


def test_what_comes_to_a_renumbered_folder_is_new_where_a_visit_broke_between_its_pages(tmp_path: Path) -> None:
    transport = filled(7, page_size=3)
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        transport.renumber()
        key = transport.deliver(dated(9, late()), arrival=late())
        transport.fail(key, "busy")
        transport.on("page", LOST, after=2)
        assert gateway.visit().error is LOST
        gateway.good()
        assert backlog(gateway) == {key: False}


def test_what_comes_to_a_folder_that_is_emptied_by_us_is_new_after_a_renumbering(tmp_path: Path) -> None:
    transport = filled(3)
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        gateway.good()
        transport.renumber()
        key = transport.deliver(dated(9, late()), arrival=late())
        transport.fail(key, "busy")
        gateway.good()
        assert backlog(gateway) == {key: False}


# --- a UIDL is given again to a message of the same size ------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["listing", "look_up"])
@pytest.mark.parametrize("other", [make_raw(9), make_raw(9).replace(b"Message-ID", b"X-Comments")])
def test_P3_nothing_is_done_to_another_message_of_the_same_size_where_no_arrival_is_told(
    tmp_path: Path, step: Any, other: bytes
) -> None:
    transport = uidls(3)
    assert len(make_raw(2)) == len(other)
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        transport.on("settle", LOST)
        assert gateway.visit().error is LOST
        transport.on(step, lambda: setattr(transport.message("1:2"), "raw", other))
        report = gateway.visit()
        assert report.settled == 0
        assert "1 messages, such as 1:2, are others than what was sent for them before (it has other headers" in report.problems[0]
        gateway.visit()
        gateway.good()
        assert {one.digest for one in gateway.filings()} == {sha256(raw).digest() for raw in (*map(make_raw, (1, 2, 3)), other)}
        assert transport.keys() == []


def test_P3_P4_nothing_is_done_to_a_message_of_which_nothing_is_said_any_more_and_all_else_is(tmp_path: Path) -> None:
    """A server may have it and refuse to say its size and arrival: it is not surely the one that was filed."""
    transport = filled(3)
    message = transport.message("1:2")
    told = message.listed_size, message.arrival

    def say(size: int | None, arrival: datetime | None) -> None:
        message.listed_size, message.arrival = size, arrival

    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        transport.on("look_up", lambda: say(None, None))
        report = gateway.visit()
        assert (report.error, report.settled, transport.keys()) == (None, 2, ["1:2"])
        (problem,) = report.problems
        assert problem.startswith("INBOX: delete: the server says neither size nor arrival of 1 messages, such as 1:2")
        assert gateway.visit().settled == 0
        say(*told)
        assert (gateway.good().settled, transport.keys()) == (1, [])


@pytest.mark.parametrize("raw", [b"Received: by mx.example\r\n\r\nA text.\r\n", make_raw(1)])
def test_what_has_none_of_the_headers_that_mail_is_known_by_is_settled_like_other_mail(tmp_path: Path, raw: bytes) -> None:
    transport = FakeTransport(account="main", has_cursor=False)
    transport.message(transport.deliver(raw)).arrival = None
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        assert gateway.good().settled == 1
        assert transport.keys() == []


@pytest.mark.parametrize(("size", "done"), [(0, True), (1, False)])
def test_P3_a_size_that_is_told_only_before_a_settle_is_the_one_that_was_filed(tmp_path: Path, size: int, *, done: bool) -> None:
    transport = FakeTransport(account="main")
    message = transport.message(transport.deliver(make_raw(1), size=None))
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE), limits=limited(reread_after=0)) as gateway:
        transport.on("settle", LOST)
        assert gateway.visit().error is LOST
        transport.on("look_up", lambda: setattr(message, "listed_size", len(make_raw(1)) + size))
        report = gateway.visit()
        assert (report.settled, transport.keys() == [], report.problems == ()) == (done, done, done)


@pytest.mark.parametrize(
    ("block", "says"),
    [
        (b"", False),
        (b"\r\n", False),
        (b"Message-ID: <1@x.example>\r\n", True),
        (b"Message-ID: <1@x.example>\r\n\r\n", True),
        (b"Message-ID: <1@x.example>\r\n" + b"X-Long: 1\r\n" * 2000, False),
        (b"Message-ID: <1@x.example>\r\n" + b"X-Long: 1\r\n" * 2000 + b"\r\n", True),
        (b"Message-ID: <1@x.example>\n" + b"X-Long: 1\n" * 2000 + b"\n", True),
    ],
)
def test_headers_that_are_missing_or_may_be_cut_say_nothing_of_which_message_they_are_of(block: bytes, *, says: bool) -> None:
    class Heads(FakeSession):
        def headers(self, folder: str, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
            del folder
            yield from ((key, block) for key in keys)

    found = anchors_of(Heads(FakeTransport()), "INBOX", ["1"])
    assert [key for key, mark in found if mark] == ["1"] * says
    assert len(found) == says


def test_what_was_filed_by_a_release_that_kept_no_headers_is_settled_like_other_mail(tmp_path: Path) -> None:
    transport = uidls(3)
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        transport.on("settle", LOST)
        assert gateway.visit().error is LOST
        with closing(sqlite3.connect(tmp_path / "store/gatewayd.db")) as database, database:
            database.execute("UPDATE ledger SET anchor = NULL")
        assert gateway.good().settled == 3
        assert transport.keys() == []


def test_where_the_server_tells_arrivals_nothing_is_asked_before_a_settle_that_they_tell(tmp_path: Path) -> None:
    """A server that adds a header to what was read would else keep it for ever."""
    transport = filled(3)
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        transport.on("settle", LOST)
        assert gateway.visit().error is LOST
        asked = len(transport.steps("headers"))
        assert gateway.good().settled == 3
        assert len(transport.steps("headers")) == asked


def test_what_gets_other_headers_each_time_is_left_where_it_is(tmp_path: Path) -> None:
    transport = uidls(3)
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE)) as gateway:
        for number in range(4, 9):
            transport.on("headers", partial(setattr, transport.message("1:2"), "raw", make_raw(number)))
        problems = [text for _ in range(8) for text in gateway.visit().problems]
        assert "INBOX: 1 messages, such as 1:2, have other headers each time: nothing is done to them" in problems
        assert (transport.keys(), len(gateway.filings())) == (["1:2"], 5)
        # It was told, and is owed nothing any more.
        gateway.good()
