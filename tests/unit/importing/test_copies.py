"""What a server shows in several folders is fetched once: if all that it says, and the bytes that are stored, agree."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewayd import Action, OfferQuery, TransientError, Viewer
from gatewayd.config import ImportConfig
from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import NOON, make_raw
from tests.unit.kernel import Gateway, directory, spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from gatewayd.testing.fakes.mailbox import FakeMessage

A, B = "INBOX", "All Mail"
SEEN, LOST = Action(do="seen"), TransientError("connection lost")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    transport = FakeTransport((A, B), account="main")
    with Gateway(tmp_path, transport, imports=ImportConfig(folders=(A, B), after=SEEN)) as made:
        yield made


def show(gateway: Gateway, raw: bytes, folder: str, called: str | None = "7", arrival: datetime = NOON) -> FakeMessage:
    """Let a folder show a message."""
    transport = gateway.transport
    message = transport.message(transport.deliver(raw, folder, arrival=arrival), folder)
    message.spanning_id = called
    return message


def fetched(gateway: Gateway, folder: str = B) -> int:
    """How many messages of a folder were asked for."""
    return sum(len(one.keys) for one in gateway.transport.asked if one.step == "fetch" and one.folder == folder)


def test_P1_a_first_import_fetches_each_message_once_and_settles_it_in_each_folder(gateway: Gateway) -> None:
    for number in range(1, 8):
        raw = make_raw(number)
        for folder in (A, B) if number % 2 else (B,):
            show(gateway, raw, folder, called=f"{number}")
    report = gateway.good()
    assert (report.tally.filed, report.tally.duplicate) == (7, 4)
    assert (fetched(gateway, A), fetched(gateway, B)) == (4, 3)
    assert [len(gateway.transport.seen(folder)) for folder in (A, B)] == [4, 7]
    assert {one.cause for one in gateway.store.entries("main", "duplicate", after=0, limit=1)} == {
        "mail 1, which its server also shows in INBOX"
    }
    assert gateway.audit(B).proven
    assert gateway.good().listed == 0


def test_P1_what_no_longer_lies_in_a_folder_is_known_in_the_next(gateway: Gateway) -> None:
    show(gateway, make_raw(), A)
    gateway.good()
    gateway.transport.move(gateway.transport.keys(A)[0], A, B)
    gateway.transport.folders[B].messages[0].spanning_id = "7"
    assert gateway.good().tally.duplicate == 1
    assert fetched(gateway) == 0


@pytest.mark.parametrize("differs", ["size", "arrival", "no arrival", "Message-ID", "no Message-ID", "id"])
def test_P1_what_differs_in_anything_is_fetched(gateway: Gateway, differs: str) -> None:
    raw = make_raw()
    if differs == "no Message-ID":
        raw = raw.replace(b"Message-ID:", b"X-Message-I:")
    show(gateway, raw, A)
    gateway.good()
    other = {"size": make_raw(text="Hello!"), "Message-ID": raw.replace(b"<1@", b"<2@")}.get(differs, raw)
    message = show(gateway, other, B, arrival=NOON + timedelta(seconds=5 if differs == "arrival" else 0))
    if differs == "no arrival":
        message.arrival = None
    if differs == "id":
        message.spanning_id = "8"
    report = gateway.good()
    assert (report.tally.filed, report.tally.duplicate) == ((1, 0) if other != raw else (0, 1))
    assert fetched(gateway) == 1


def test_P1_what_is_stored_with_another_size_than_is_listed_is_fetched(gateway: Gateway) -> None:
    for number in range(1, 6):
        show(gateway, make_raw(number), A, called=f"{number}").listed_size = 5000 + number
    gateway.visit()
    filed = len(gateway.filings())
    show(gateway, make_raw(1), B, called="1").listed_size = 5001
    gateway.visit()
    assert filed == 5
    assert fetched(gateway) >= 1


def test_of_mails_that_are_alike_nobody_can_say_which_it_is(gateway: Gateway) -> None:
    for letter in (b"Hella", b"Hellb"):
        show(gateway, make_raw().replace(b"Hello", letter), A)
    gateway.good()
    show(gateway, make_raw().replace(b"Hello", b"Hellb"), B)
    assert gateway.good().tally.duplicate == 1
    assert fetched(gateway) == 1


def test_what_nobody_admitted_is_fetched_from_each_folder(tmp_path: Path) -> None:
    transport = FakeTransport((A, B), account="main")
    imports = ImportConfig(folders=(A, B), contact_types={"customer": ("sales",)})
    with Gateway(tmp_path, transport, imports=imports, plugins=[directory()], specs=[spec(known=True)]) as gateway:
        for folder in (A, B):
            show(gateway, make_raw(), folder)
        assert gateway.good().tally.not_admitted == 2
        assert fetched(gateway) == 1


def listed(gateway: Gateway, operator: str = "acme", **asked: Any) -> list[str]:
    """The folders of what is offered to an operator."""
    found = gateway.store.offers(Viewer(operator=operator), OfferQuery(account="main", **asked))
    return [one.folder for one in found]


def decide(gateway: Gateway, operator: str, *, dismiss: bool = False) -> int:
    """Let an operator choose or dismiss the only message that it is offered."""
    viewer, do = Viewer(operator=operator), gateway.store.dismiss if dismiss else gateway.store.choose
    (one,) = gateway.store.offers(viewer, OfferQuery(account="main", open=True))
    return do(viewer, "main", [one.id], who="anna")


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Gateway]:
    """An account of two operators that choose, with one message in two folders."""
    transport = FakeTransport((A, B), account="main")
    imports = ImportConfig(folders=(A, B), take="chosen", after=Action(do="delete"))
    with Gateway(tmp_path, transport, imports=imports, specs=[spec("acme"), spec("globetrot")]) as made:
        for folder in (A, B):
            show(made, make_raw(), folder)
        made.good()
        yield made


def test_P6_operators_that_choose_a_message_of_two_folders_get_it_each_and_it_is_fetched_once(shared: Gateway) -> None:
    transport = shared.transport
    assert (listed(shared), listed(shared, "globetrot")) == ([A], [A]), "it is offered once"
    for number, operator in enumerate(("acme", "globetrot")):
        assert decide(shared, operator) == 1
        assert listed(shared, operator, open=True) == []
        shared.good()
        assert listed(shared, operator) == [A]
        assert len(transport.steps("message")) == 1
        # Nothing is settled before both have decided.
        assert [len(transport.keys(folder)) for folder in (A, B)] == ([1, 1] if not number else [0, 0])
    assert [len(shared.filings(one)) for one in ("acme", "globetrot")] == [1, 1]
    assert listed(shared) == [A]


def test_P1_what_is_taken_out_of_one_folder_is_offered_in_the_other_and_a_decision_is_about_both(shared: Gateway) -> None:
    shared.transport.vanish(shared.transport.keys(A)[0], A)
    shared.good(compare=True)
    assert listed(shared) == [B]
    assert decide(shared, "acme", dismiss=True) == 1
    assert (listed(shared, open=True), listed(shared, "globetrot")) == ([], [B])


def test_P6_what_is_dismissed_in_one_folder_is_offered_in_no_other(shared: Gateway) -> None:
    assert decide(shared, "acme", dismiss=True) == 1
    assert (listed(shared, open=True), listed(shared, "globetrot", open=True)) == ([], [A])
    shared.good()
    assert shared.transport.keys(B), "nobody chose it"


@pytest.mark.parametrize("differs", ["size", "arrival"])
def test_P1_what_differs_in_size_or_arrival_is_offered_beside_the_other(tmp_path: Path, differs: str) -> None:
    transport = FakeTransport((A, B), account="main")
    with Gateway(tmp_path, transport, imports=ImportConfig(folders=(A, B), take="chosen")) as gateway:
        show(gateway, make_raw(), A)
        raw = make_raw() + b"more" if differs == "size" else make_raw()
        show(gateway, raw, B, arrival=NOON + timedelta(days=differs == "arrival"))
        gateway.good()
        assert listed(gateway) == [B, A]


def test_P2_a_visit_that_breaks_while_headers_are_read_leaves_all_waiting(gateway: Gateway) -> None:
    show(gateway, make_raw(), A)
    gateway.good()
    show(gateway, make_raw(), B)
    gateway.transport.on("headers", LOST, folder=B)
    assert gateway.visit().error is LOST
    assert gateway.states(B) == {"1:1": "waiting"}
    assert gateway.good().tally.duplicate == 1
    assert fetched(gateway) == 0


# --- any order of events ------------------------------------------------------------------------------------------------

FOLDERS = ("INBOX", "Trips", "All Mail")
FOLDER = st.integers(0, 2)
#: A message, and how many others the server calls the same.
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("new"), st.sets(FOLDER, min_size=1), st.integers(0, 3)),
        st.tuples(st.just("label"), st.integers(0, 20), FOLDER),
        st.tuples(st.just("unlabel"), st.integers(0, 20), FOLDER),
        st.tuples(st.just("renumber"), FOLDER),
        st.tuples(st.just("visit"), st.sampled_from(["", "listing", "page", "headers", "fetch", "message"]), st.integers(0, 3)),
    ),
    max_size=14,
)


class Labels:
    """A mailbox whose messages have labels, and which may call several messages the same."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.transport = gateway, gateway.transport
        #: Each message's bytes, what it is called, and when it came.
        self.messages: list[tuple[bytes, str, datetime]] = []

    def shown(self, number: int, folder: str) -> list[FakeMessage]:
        raw = self.messages[number][0]
        return [one for one in self.transport.folders[folder].messages if one.raw == raw]

    def new(self, folders: set[int], called: int) -> None:
        number = len(self.messages)
        # Of one size and one arrival: they differ in the Message-ID, and in the text, too.
        self.messages.append((make_raw(100 + number), f"{called or 10 + number}", NOON))
        for folder in folders:
            self.label(number, folder)

    def label(self, number: int, folder: int) -> None:
        if number < len(self.messages) and not self.shown(number, FOLDERS[folder]):
            raw, called, arrival = self.messages[number]
            show(self.gateway, raw, FOLDERS[folder], called, arrival)

    def unlabel(self, number: int, folder: int) -> None:
        if number < len(self.messages):
            there = self.transport.folders[FOLDERS[folder]].messages
            for one in self.shown(number, FOLDERS[folder]):
                there.remove(one)

    def renumber(self, folder: int) -> None:
        self.transport.renumber(FOLDERS[folder])

    def visit(self, step: str, after: int) -> None:
        if step:
            self.transport.on(step, LOST, after=after)  # type: ignore[arg-type]
        self.gateway.visit()
        self.transport.calm()


def check(gateway: Gateway, events: Sequence[tuple[Any, ...]]) -> None:
    labels = Labels(gateway)
    for name, *arguments in events:
        getattr(labels, name)(*arguments)
    gateway.good()
    entries = [one for state in ("filed", "duplicate") for one in gateway.store.entries("main", state, after=0, limit=999)]
    stored = {(one.folder, one.key): one.mail_id for one in entries if not one.gone}
    for folder in FOLDERS:
        # What a session ended at is asked for later.
        waits = {
            one.listed.key for one in gateway.store.waiting("main", folder, after=0, limit=99, keys=gateway.transport.keys(folder))
        }
        for key, one in labels.transport.folders[folder].keyed().items():
            mail_id = stored.get((folder, key))
            assert (mail_id is None) == (key in waits)
            source = gateway.store.stored_source(mail_id) if mail_id is not None else None
            assert source is None or source.read(0, source.size) == one.raw, "each key's mail is its message"
        assert gateway.audit(folder).proven or waits
    assert len({one.mail_id for one in entries}) == len(gateway.filings()), "and each message is filed once"
    if not any(name in {"visit", "renumber"} for name, *_ in events):
        there = {one.raw for folder in FOLDERS for one in labels.transport.folders[folder].messages}
        assert len(gateway.transport.steps("message")) == len(there), "and each was fetched once"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
def test_P1_whatever_labels_come_and_go_each_message_is_filed_once_and_each_key_is_its_message(
    events: list[tuple[Any, ...]],
) -> None:
    with TemporaryDirectory() as folder:
        transport = FakeTransport(FOLDERS, account="main")
        with Gateway(Path(folder), transport, imports=ImportConfig(folders=FOLDERS)) as gateway:
            check(gateway, events)
