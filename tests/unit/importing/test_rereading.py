"""What a server lists with another size than it sends is fetched once more, later: only then is anything done to it there (P3)."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import Action, TransientError
from gatewayd.config import ImportConfig
from gatewayd.importing.settling import anchors_of
from gatewayd.testing import Asked, FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.kernel import Gateway, limited

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.importing.values import VisitReport

SEEN, DELETE, MOVE = Action(do="seen"), Action(do="delete"), Action(do="move", folder="Done")
LOST = TransientError("connection lost")


def estimating(number: int = 10, *, has_cursor: bool = True) -> FakeTransport:
    """A server that lists each message with some bytes too many."""
    transport = FakeTransport(("INBOX", "Done"), account="main", overlap=50, has_cursor=has_cursor)
    for one in range(1, number + 1):
        come(transport, one)
    return transport


def come(transport: FakeTransport, number: int) -> str:
    key = transport.deliver(make_raw(number))
    transport.message(key).listed_size = len(make_raw(number)) + 50
    if not transport.has_cursor:
        transport.message(key).arrival = None
    return key


def scanned(number: int, text: str = "This message is being scanned.") -> bytes:
    """What a scanner has the server send in place of a message for a while, with that message's own headers."""
    return make_raw(number).partition(b"\r\n\r\n")[0] + f"\r\n\r\n{text}\r\n".encode()


def house(folder: Path, transport: FakeTransport, after: Action | None = DELETE) -> Gateway:
    return Gateway(folder, transport, imports=ImportConfig(after=after), limits=limited(batch_messages=4))


def later(gateway: Gateway) -> VisitReport:
    gateway.pass_time()
    return gateway.visit()


def fetches(transport: FakeTransport) -> Counter[str]:
    return Counter(key for asked in transport.steps("message") for key in asked.keys)


@pytest.mark.parametrize("after", [SEEN, DELETE, MOVE])
@pytest.mark.parametrize("has_cursor", [True, False])
def test_P3_what_is_filed_with_another_size_is_settled_once_the_same_bytes_came_again(
    tmp_path: Path, after: Action, *, has_cursor: bool
) -> None:
    transport = estimating(has_cursor=has_cursor)
    keys = transport.keys()
    with house(tmp_path, transport, after) as gateway:
        report = gateway.good()
        assert (report.tally.filed, report.settled, report.later) == (10, 0, 600.0)
        assert (
            "fetched once more in 600 s; nothing is done to them on the server unless the same bytes come then" in report.notes[0]
        )
        assert (gateway.good().settled, fetches(transport)) == (0, dict.fromkeys(keys, 1)), "it is too early"
        assert (len(gateway.audit().rereads), gateway.store.lengths().rereads) == (10, {"main": 10})
        report = later(gateway)
        assert (report.error, report.problems, report.settled, report.tally.filed) == (None, (), 10, 0)
        assert sorted(settled[1:] for settled in transport.settled) == sorted((key, after) for key in keys)
        assert (gateway.audit().rereads, gateway.store.lengths().rereads) == ((), {})
        gateway.good(compare=True)
        later(gateway)
        assert fetches(transport) == dict.fromkeys(keys, 2), "twice in all, and never again"
        assert len(transport.settled) == 10


def test_when_it_is_due_is_asked_of_the_ledger_by_whichever_visit_comes(tmp_path: Path) -> None:
    transport = estimating(4)
    with house(tmp_path, transport) as gateway:
        gateway.good()
        assert 500 < gateway.good().later <= 600, "also where the daemon was started anew"
        gateway.limits = limited(reread_after=0.0)
        come(transport, 5)
        report = gateway.good()
        assert (report.tally.filed, report.settled) == (1, 1)
        assert transport.keys() == ["1:1", "1:2", "1:3", "1:4"]


@pytest.mark.parametrize("after", [None, SEEN, DELETE])
def test_P1_what_was_sent_in_place_of_a_message_leads_to_the_message(tmp_path: Path, after: Action | None) -> None:
    transport = estimating(4)
    message = transport.message("1:2")
    message.served = scanned(2)
    with house(tmp_path, transport, after) as gateway:
        assert gateway.good().tally.filed == 4
        message.served = None
        report = later(gateway)
        (problem,) = report.problems
        assert problem.startswith("INBOX: 1 messages, such as 1:2, are others than what was sent for them before (other bytes came")
        assert report.settled == 0, "nothing is done in a folder where something is not what it seems"
        assert report.tally.filed == 1
        (entry,) = [one for one in gateway.store.entries("main", "filed", after=0, limit=9) if one.key == "1:2" and not one.gone]
        assert (entry.mail_id, entry.size) == (entry.id, len(make_raw(2)) + 50)
        assert gateway.good().settled == (3 if after else 0)
        assert later(gateway).settled == (1 if after else 0)
        assert len(gateway.filings()) == 5
        assert Counter(settled[1] for settled in transport.settled) == (
            dict.fromkeys(["1:1", "1:2", "1:3", "1:4"], 1) if after else {}
        )
        assert fetches(transport)["1:1"] == 2


def test_P3_what_is_sent_in_place_of_a_message_for_longer_is_known_when_the_message_comes_before_it_is_settled(
    tmp_path: Path,
) -> None:
    transport = estimating(4)
    message = transport.message("1:2")
    message.served, message.listed_size = scanned(2), 999
    with house(tmp_path, transport) as gateway:
        gateway.good()
        gateway.pass_time()
        message.served, message.listed_size = None, len(message.raw) + 50
        gateway.visit()
        later(gateway)
        later(gateway)
        assert (transport.keys(), len(gateway.filings())) == ([], 5)


def test_P2_what_differs_each_time_stays_as_it_is_filed_and_nothing_is_done_to_it(tmp_path: Path) -> None:
    transport = estimating(4)
    numbers = count()
    with house(tmp_path, transport) as gateway:
        for _ in range(99):
            transport.on("message", lambda: setattr(transport.message("1:2"), "served", scanned(2, f"{next(numbers)}")))
        gateway.good()
        report = later(gateway)
        assert (report.tally.filed, report.settled, report.problems) == (0, 3, ())
        reports = [later(gateway) for _ in range(4)]
        assert "1 messages, such as 1:2, come with other bytes each time" in "".join(sum((one.problems for one in reports), ()))
        asked = fetches(transport)
        later(gateway)
        assert (fetches(transport), transport.keys(), len(gateway.filings())) == (asked, ["1:2"], 4)


def test_what_is_due_again_at_once_is_due_with_the_next_visit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewayd.importing.rereading._AHEAD", 2)
    transport = Restless(account="main", overlap=50)
    assert transport.deliver(b"") == "1:1"
    for number in range(2, 6):
        come(transport, number)
    with house(tmp_path, transport) as gateway:
        gateway.good()
        gateway.limits = limited(batch_messages=4, reread_after=0.0)
        for visits in (1, 2):
            later(gateway)
            assert fetches(transport)["1:5"] == 1 + 2 * visits


class Restless(FakeTransport):
    """A server that sends each message otherwise each time."""

    def ask(self, asked: Asked) -> None:
        super().ask(asked)
        for key in asked.keys if asked.step == "message" else ():
            self.message(key).served = scanned(1, f"This message is being scanned for the {len(self.asked)}th time.")


def test_of_mail_that_is_listed_as_it_comes_nothing_is_due_later(tmp_path: Path) -> None:
    transport = FakeTransport(account="main")
    transport.deliver(make_raw(1))
    with house(tmp_path, transport) as gateway:
        assert gateway.good().later == 0.0


def test_P2_what_differs_in_each_session_is_not_filed_for_ever(tmp_path: Path) -> None:
    transport = estimating(4)
    with house(tmp_path, transport) as gateway:
        for number in range(9):
            transport.message("1:2").served = scanned(2, f"{number}")
            later(gateway)
        assert len(gateway.filings()) == 4 + 2
        assert (transport.keys(), gateway.store.rereads("main", "INBOX", limit=9)) == (["1:2"], [])


@pytest.mark.parametrize(("step", "after"), [("fetch", 0), ("message", 0), ("message", 2), ("look_up", 0), ("look_up", 1)])
def test_a_session_that_breaks_while_it_fetches_once_more_costs_nothing(tmp_path: Path, step: Any, after: int) -> None:
    transport = estimating(4)
    with house(tmp_path, transport) as gateway:
        gateway.good()
        transport.on(step, LOST, after=after)
        assert later(gateway).error is LOST
        # At most one may be what ended the session: each was tried once, to be filed.
        assert sum(one.tries - 1 for one in gateway.store.rereads("main", "INBOX", limit=9)) <= 1
        later(gateway)
        assert (transport.keys(), len(gateway.filings())) == ([], 4)


class Deadly(FakeTransport):
    """A server whose sessions end at one message, from some time on."""

    deadly = ""

    def ask(self, asked: Asked) -> None:
        super().ask(asked)
        if asked.step == "message" and self.deadly in asked.keys:
            raise LOST


def test_P4_a_message_that_ends_each_session_is_put_off_and_keeps_no_other_one_from_being_proven(tmp_path: Path) -> None:
    transport = Deadly(account="main", overlap=50)
    for number in range(1, 5):
        come(transport, number)
    with house(tmp_path, transport) as gateway:
        gateway.good()
        transport.deadly = "1:1"
        assert later(gateway).error is LOST
        for _ in range(2):
            gateway.visit()
        assert transport.keys() == ["1:1"]
        (one,) = gateway.store.rereads("main", "INBOX", limit=9)
        assert (one.listed.key, one.tries, one.due_in > 0) == ("1:1", 2, True)


@pytest.mark.parametrize(("number", "first"), [(1, 9), (3, 9), (8, 7)])
def test_P4_a_message_that_ends_each_session_keeps_no_other_one_from_being_filed_where_sizes_are_estimates(
    tmp_path: Path, number: int, first: int
) -> None:
    transport = Deadly(account="main", overlap=50)
    for one in range(1, 11):
        come(transport, one)
    transport.deadly = f"1:{number}"
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE), limits=limited(batch_messages=200)) as gateway:
        assert gateway.visit().tally.filed == first, "what can be had is kept, as everywhere"
        for _ in range(2):
            gateway.visit()
        assert [one.key for one in gateway.store.entries("main", "waiting", after=0, limit=9)] == [transport.deadly]
        assert later(gateway).settled == 9
        assert transport.keys() == [transport.deadly]


def test_P4_the_message_that_ended_the_session_is_put_off_and_not_one_that_came_before_it(tmp_path: Path) -> None:
    """What came is not of its size, and nobody is left to be asked about it: it is as it was."""
    transport = Deadly(account="main", overlap=50)
    come(transport, 1)
    for one in range(2, 9):
        transport.deliver(make_raw(one))
    transport.deadly = "1:2"
    with Gateway(tmp_path, transport) as gateway:
        assert gateway.visit().tally.filed == 6
        waiting = {one.key: one.cause for one in gateway.store.entries("main", "waiting", after=0, limit=9)}
        assert waiting.keys() == {"1:1", "1:2"}
        assert "the session ended" in waiting["1:2"]
        assert "the server lists" in waiting["1:1"], "its size is asked about by a session that lives"


def test_nothing_is_fetched_once_more_in_a_folder_that_is_in_doubt(tmp_path: Path) -> None:
    transport = estimating(4)
    with house(tmp_path, transport) as gateway:
        gateway.good()
        asked = fetches(transport)
        transport.message("1:2").hidden = True
        gateway.pass_time()
        assert "the server counts 4 messages and lists 3" in gateway.visit(compare=True).problems[0]
        assert (fetches(transport), transport.settled) == (asked, [])


@pytest.mark.parametrize(("size", "known"), [(99, True), (20_000, True), (40_000, False)])
def test_a_header_that_may_have_been_cut_says_nothing(size: int, *, known: bool) -> None:
    transport = FakeTransport(account="main")
    key = transport.deliver(make_raw(1).partition(b"\r\n\r\n")[0] + b"\r\nX-Long: " + b"x" * size + b"\r\n\r\nText\r\n")
    session = transport.open()
    assert bool(anchors_of(session, "INBOX", [key])) == known
    session.close()


def test_what_can_not_be_had_once_more_is_due_again_later_and_later(tmp_path: Path) -> None:
    transport = estimating(4)
    transport.message("1:2").fails = ""
    with house(tmp_path, transport) as gateway:
        gateway.good()
        transport.fail("1:2", "busy")
        assert later(gateway).settled == 3
        (one,) = gateway.store.rereads("main", "INBOX", limit=9)
        assert (one.listed.key, one.tries, one.due_in > 0) == ("1:2", 2, True)
        transport.message("1:2").fails = ""
        assert later(gateway).settled == 1


def test_P3_another_message_under_the_key_is_never_settled_for_the_one_that_was_proven(tmp_path: Path) -> None:
    transport = estimating(4)
    with house(tmp_path, transport) as gateway:
        gateway.good()
        gateway.pass_time()

        def replace() -> None:
            transport.message("1:2").raw = make_raw(9, text="Another one, and longer than that")
            transport.message("1:2").listed_size = 700

        # The first look is for the sizes, and the second before the settle.
        transport.on("look_up", replace, after=1)
        report = gateway.visit()
        assert report.settled == 0
        assert "messages are no longer what was filed, such as 1:2 (700 bytes" in report.problems[0]
        for _ in range(3):
            later(gateway)
        assert (transport.keys(), len(gateway.filings())) == ([], 5)


def test_a_size_that_the_server_has_right_by_then_counts(tmp_path: Path) -> None:
    """As where a gateway knows the size once it had the message itself."""
    transport = estimating(4)
    with house(tmp_path, transport) as gateway:
        gateway.good()
        gateway.pass_time()

        def mend() -> None:
            for message in transport.folders["INBOX"].messages:
                message.listed_size = len(message.raw)

        transport.on("fetch", mend)
        assert gateway.visit().settled == 4


def test_what_is_renumbered_meanwhile_is_fetched_once_more_under_its_new_key(tmp_path: Path) -> None:
    transport = estimating(4)
    with house(tmp_path, transport) as gateway:
        gateway.good()
        transport.renumber()
        report = gateway.good()
        assert (report.tally.filed, report.settled, 500 < report.later <= 600) == (0, 0, True)
        assert later(gateway).settled == 4
        assert fetches(transport) == dict.fromkeys([f"{generation}:{number}" for generation in (1, 2) for number in range(1, 5)], 1)


def test_what_has_no_name_and_no_date_of_its_own_is_not_taken_where_sizes_are_estimates(tmp_path: Path) -> None:
    transport = estimating(4)
    for key, field in (("1:1", b"Message-ID"), ("1:2", b"Date")):
        message = transport.message(key)
        message.raw = message.raw.replace(field, b"X-" + field)
    with house(tmp_path, transport) as gateway:
        for number in (5, 6, 7):
            come(transport, number)
        gateway.visit()
        gateway.visit(keys=transport.keys())
        later(gateway)
        assert transport.keys() == ["1:1", "1:2"]
