"""A visit on a transport in memory and a real store: nothing lost, nothing doubled, the server last, and no error masked."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import Action, AuthError, GatewaydError, Held, LeaseLost, Listed, Page, PermanentError, PluginError, TransientError
from gatewayd.api.store import LEASE_SECONDS
from gatewayd.config import ImportConfig
from gatewayd.importing.values import VisitReport, VisitTools
from gatewayd.testing import FakeDirectory, FakeTransport, make_contact, make_record
from gatewayd.testing.contracts.custodian import make_raw
from tests.patience import LONG
from tests.unit.importing.filled import filled
from tests.unit.kernel import Gateway, directory, limited, links_all, matcher, spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from gatewayd import Directory, Finding, Mail
    from gatewayd.importing.values import Progress
    from gatewayd.testing.fakes.transport import Step


SEEN, DELETE, MOVE = Action(do="seen"), Action(do="delete"), Action(do="move", folder="Imported")

#: What a server that went away does.
LOST = TransientError("connection lost")


def imports(*folders: str, **more: Any) -> ImportConfig:
    return ImportConfig(folders=folders or ("INBOX",), **more)


# --- the round ------------------------------------------------------------------------------------------------------------


def test_P1_every_listed_key_ends_in_the_ledger_with_what_became_of_it(gateway: Gateway) -> None:
    gone, refused = gateway.transport.keys()[3:5]
    gateway.transport.on("fetch", lambda: gateway.transport.vanish(gone))
    gateway.transport.fail(refused, "the server says no")
    report = gateway.good()
    assert report.listed == 10
    assert (report.tally.filed, report.tally.vanished, report.tally.deferred) == (8, 1, 1)
    states = gateway.states()
    assert len(states) == len(gateway.transport.listed) == 10
    assert (states[gone], states[refused]) == ("vanished", "waiting")
    assert gateway.good() == VisitReport(account="main")
    assert len(gateway.filings()) == 8


def test_P5_what_is_stored_is_what_the_server_has(gateway: Gateway) -> None:
    gateway.good()
    raw = dict(zip(gateway.transport.keys(), gateway.transport.raw(), strict=True))
    for filing in gateway.filings():
        source = gateway.store.stored_source(filing.id)
        assert source.read(0, source.size + 1) == raw[filing.key]


def test_P8_batches_keep_their_bounds_and_the_next_is_fetched_while_one_is_filed(gateway: Gateway) -> None:
    steps: list[str] = []
    fetched = threading.Semaphore(0)

    def match(mails: Sequence[Mail], _: Directory) -> Sequence[Finding]:
        # The last batch has nothing behind it.
        assert len(mails) == 1 or fetched.acquire(timeout=LONG), "the next batch is not fetched meanwhile"
        steps.append("matched")
        return []

    with Gateway(
        gateway.folder / "other", gateway.transport, plugins=[matcher("slow", match)], specs=[spec("acme", "slow")]
    ) as other:
        other.transport.on("fetch", lambda: None)
        for _ in range(3):
            other.transport.on("fetch", fetched.release)
        other.good()
    assert [len(asked.keys) for asked in gateway.transport.steps("fetch")] == [3, 3, 3, 1]
    assert steps == ["matched"] * 4


def test_a_visit_that_is_told_to_end_settles_no_further_page(tmp_path: Path) -> None:
    transport = filled(1001)
    with Gateway(tmp_path, transport, imports=ImportConfig(after=DELETE), limits=limited(batch_messages=1000)) as gateway:
        told: list[bool] = []
        gateway.stopping = lambda: bool(told)
        transport.on("settle", lambda: told.append(True))
        report = gateway.visit()
        assert (report.settled, len(transport.keys())) == (1000, 1)
        told.clear()
        assert gateway.good().settled == 1


def test_what_a_server_refuses_to_settle_keeps_no_other_folder_waiting_however_much_it_is(tmp_path: Path) -> None:
    transport = filled(1000, "INBOX", "Archive")
    transport.deliver(make_raw(1001), "Archive")
    imports = ImportConfig(folders=("INBOX", "Archive"), after=DELETE)
    with Gateway(tmp_path, transport, imports=imports, limits=limited(batch_messages=1000)) as gateway:
        for _ in range(3):
            transport.on("settle", PermanentError("it may not be"), folder="INBOX")
        report = gateway.visit()
        assert (report.settled, len(transport.keys()), transport.keys("Archive")) == (1, 1000, [])


def test_progress_is_told_after_each_commit(gateway: Gateway) -> None:
    told: list[tuple[int, int, int]] = []

    def progress(progress: Progress) -> None:
        told.append((progress.done, progress.total, len(gateway.filings())))

    gateway.progress = progress
    gateway.good()
    assert told == [(3, 10, 3), (6, 10, 6), (9, 10, 9), (10, 10, 10)]


def test_second_visit_of_an_account_is_told_who_holds_it(gateway: Gateway) -> None:
    held: list[VisitReport | Held] = []
    gateway.transport.on("fetch", lambda: held.append(gateway.try_visit()))
    gateway.good()
    (second,) = held
    assert isinstance(second, Held)
    assert (second.account, second.holder) == ("main", gateway.owner.name)


def test_account_that_imports_nothing_is_refused_before_its_lease_is_taken(gateway: Gateway) -> None:
    gateway.imports = None  # type: ignore[assignment]
    with pytest.raises(PermanentError, match="main has no import block"):
        gateway.try_visit()
    assert not isinstance(gateway.store.take_lease("main", "somebody", dead=lambda _: False), Held)


def test_faults_of_a_directory_are_notes_and_stop_nothing(tmp_path: Path) -> None:
    class Faulty(FakeDirectory):
        def refresh(self) -> list[str]:
            return ["persons.csv:17: expected 4 columns, found 3"]

    with Gateway(tmp_path, filled(1), plugins=[directory(base=Faulty)], specs=[spec("acme", known=True)]) as gateway:
        report = gateway.good()
    assert report.notes == ("operator acme: persons.csv:17: expected 4 columns, found 3",)
    assert report.tally.filed == 1


# --- what is taken ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_cursor", [True, False])
def test_start_now_takes_what_comes_and_offers_what_was_there(tmp_path: Path, *, has_cursor: bool) -> None:
    with Gateway(tmp_path, filled(4, has_cursor=has_cursor), imports=imports(start="now")) as gateway:
        assert gateway.good().tally.filed == 0
        assert set(gateway.states().values()) == {"offered"}
        gateway.transport.deliver(make_raw(5), arrival=datetime.now(UTC))
        assert gateway.good().tally.filed == 1
        wanted = gateway.transport.keys()[1]
        assert gateway.good(keys=[wanted, "4711:1"]).tally.filed == 1
        assert gateway.states()[wanted] == "filed"
        assert gateway.good(from_beginning=True).tally.filed == 3
        assert gateway.good(from_beginning=True).tally.filed == 0


def test_start_at_a_time_takes_what_arrived_since_then_and_after_a_crash_too(tmp_path: Path) -> None:
    transport = FakeTransport(page_size=2)
    for number in range(1, 7):
        transport.deliver(make_raw(number), arrival=datetime(2026, 1, number, tzinfo=UTC))
    with Gateway(tmp_path, transport, imports=imports(start=datetime(2026, 1, 5, tzinfo=UTC))) as gateway:
        transport.on("page", LOST, after=1)
        assert gateway.visit().error is LOST
        # The start that counts is that of the first listing, whatever the file says by now.
        gateway.imports = imports(start="all")
        assert gateway.good().tally.filed == 2
        assert list(gateway.states().values()).count("offered") == 4


def test_keys_that_wait_for_later_are_taken_now_when_asked_for(gateway: Gateway) -> None:
    key = gateway.transport.keys()[0]
    gateway.transport.fail(key, "busy")
    assert gateway.good().tally.deferred == 1
    gateway.transport.fail(key, "")
    assert gateway.good().tally.filed == 0, "it is not due"
    assert gateway.good(keys=[key]).tally.filed == 1


# --- renumbering ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_cursor", [True, False])
def test_renumbered_mail_is_known_again_and_not_fetched(tmp_path: Path, *, has_cursor: bool) -> None:
    with Gateway(tmp_path, filled(7, has_cursor=has_cursor, page_size=3)) as gateway:
        gateway.good()
        fetched = len(gateway.transport.steps("message"))
        gateway.transport.renumber()
        new = gateway.transport.deliver(make_raw(8))
        report = gateway.good()
        assert (report.listed, report.tally.filed, report.tally.duplicate) == (8, 1, 0)
        assert [asked.keys for asked in gateway.transport.steps("message")[fetched:]] == [(new,)]
        assert sorted(filing.key for filing in gateway.filings()) == sorted(gateway.transport.keys())
        assert set(gateway.states().values()) == {"filed"}


def test_headers_are_asked_for_in_pieces_that_a_session_promises_to_bear(tmp_path: Path) -> None:
    with Gateway(tmp_path, filled(2300, has_cursor=False), limits=limited(batch_messages=3000, batch_bytes=1 << 30)) as gateway:
        gateway.good()
        gateway.transport.renumber()
        assert gateway.good().tally.filed == 0
        assert [len(asked.keys) for asked in gateway.transport.steps("headers")] == [1000, 1000, 300]


def web_form(text: str) -> bytes:
    return b"From: form@example.com\r\nSubject: Booking request\r\n\r\n" + text.encode() + b"\r\n"


class NoArrivals(FakeTransport):
    """Like POP3: each listing is the whole folder, and no arrival is told."""

    def __init__(self) -> None:
        super().__init__(account="main", has_cursor=False)

    def put(self, raw: bytes) -> str:
        key = self.deliver(raw)
        self.folders["INBOX"].messages[-1].arrival = None
        return key


@pytest.mark.parametrize("after", [None, DELETE])
@pytest.mark.parametrize(
    "raws", [(web_form("Rome"), web_form("Oslo")), (make_raw(1, text="Rome"), make_raw(1, text="Oslo")), (make_raw(1), make_raw(2))]
)
def test_P1_mail_that_looks_like_mail_that_is_gone_is_filed(
    tmp_path: Path, after: Action | None, raws: tuple[bytes, bytes]
) -> None:
    with Gateway(tmp_path, NoArrivals(), imports=imports(after=after)) as gateway:
        for raw in raws:
            key = gateway.transport.put(raw)  # type: ignore[attr-defined]
            assert gateway.good().tally.filed == 1
            if after is None:
                gateway.transport.vanish(key)
        assert len(gateway.filings()) == 2


def test_P1_mail_that_looks_like_one_that_went_while_others_stand_is_fetched(tmp_path: Path) -> None:
    transport = NoArrivals()
    keys = [transport.put(make_raw(number)) for number in range(1, 4)]
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        transport.vanish(keys[0])
        transport.put(make_raw(1, text="Yours?"))
        assert gateway.good().tally.filed == 1
        assert transport.steps("headers") == []


def test_a_renumbered_folder_without_arrivals_offers_again_what_was_offered(tmp_path: Path) -> None:
    transport = NoArrivals()
    for number in range(3):
        transport.put(web_form("x" * number))
    with Gateway(tmp_path, transport, imports=imports(start="now")) as gateway:
        gateway.good()
        transport.renumber()
        new = transport.put(web_form("this one is new"))
        assert gateway.good().tally.filed == 1
        there = transport.keys()
        now = {key: state for key, state in gateway.states().items() if key in there}
        assert sorted(now.values()) == ["filed", "offered", "offered", "offered"]
        assert now[new] == "filed"
        for key in there:
            transport.vanish(key)
        transport.put(web_form("x"))
        assert gateway.good().tally.filed == 1, "one of three is no renumbering"


def test_what_comes_with_a_renumbering_is_backlog_also_where_the_transport_can_not_tell(tmp_path: Path) -> None:
    transport = NoArrivals()
    old = [transport.put(make_raw(number)) for number in range(1, 4)]
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        transport.renumber()
        new = transport.put(make_raw(9))
        transport.fail(new, "busy")
        assert gateway.good().tally.deferred == 1
        (waiting,) = gateway.store.waiting("main", "INBOX", after=0, limit=9, keys=[new])
        assert waiting.backlog
        plain = transport.put(make_raw(10))
        transport.fail(plain, "busy")
        gateway.good()
        (waiting,) = gateway.store.waiting("main", "INBOX", after=0, limit=9, keys=[plain])
        assert not waiting.backlog
        assert {gateway.store.known("main", "INBOX", old)[key].state for key in old} == {"filed"}


def test_a_renumbered_folder_is_known_again_after_a_crash_between_its_pages(tmp_path: Path) -> None:
    with Gateway(tmp_path, filled(7, page_size=3)) as gateway:
        gateway.good()
        gateway.transport.renumber()
        gateway.transport.on("page", LOST, after=1)
        assert gateway.visit().error is LOST
        fetched = len(gateway.transport.steps("message"))
        gateway.good()
        assert len(gateway.transport.steps("message")) == fetched
        assert set(gateway.states().values()) == {"filed"}


def test_P3_what_is_owed_is_done_under_the_new_keys_of_a_renumbered_folder(tmp_path: Path) -> None:
    with Gateway(tmp_path, filled(4, "INBOX", "Imported"), imports=imports("INBOX", after=MOVE)) as gateway:
        gateway.transport.on("settle", LOST)
        assert gateway.visit().error is LOST
        gateway.transport.renumber()
        report = gateway.good()
        assert (report.settled, report.tally.filed) == (4, 0)
        assert (gateway.transport.keys(), len(gateway.transport.keys("Imported"))) == ([], 4)


def test_P3_nothing_is_done_in_a_folder_that_was_not_listed(tmp_path: Path) -> None:
    with Gateway(tmp_path, filled(2), imports=imports(after=DELETE)) as gateway:
        gateway.transport.on("settle", LOST)
        gateway.visit()
        gateway.transport.on("listing", PermanentError("not to be selected"))
        assert (gateway.visit().settled, len(gateway.transport.keys())) == (0, 2)
        assert gateway.good().settled == 2


def test_a_key_that_was_given_up_and_is_there_is_found_by_the_audit(gateway: Gateway) -> None:
    gone = gateway.transport.keys()[3]
    there = gateway.transport.folders["INBOX"].keyed()[gone]
    gateway.transport.on("fetch", lambda: gateway.transport.vanish(gone))
    gateway.good()
    assert gateway.audit().unknown == ()
    gateway.transport.folders["INBOX"].messages.insert(3, there)
    audit = gateway.audit()
    assert (audit.unknown, audit.proven) == ((gone,), False)
    assert gateway.good(from_beginning=True).tally.filed == 1
    assert gateway.audit().proven


@pytest.mark.parametrize("nonsense", [None, "7:1", Page(keys=("7:1",), cursor="1")])  # type: ignore[arg-type]
def test_a_listing_of_anything_but_pages_is_the_transports_fault(gateway: Gateway, nonsense: object) -> None:
    from gatewayd.testing.fakes.session import FakeSession  # noqa: PLC0415

    class Wrong(FakeSession):
        def listing(self, _folder: str, _cursor: str | None) -> Any:
            return [nonsense]

    class WrongTransport(FakeTransport):
        def open(self) -> Any:
            self.sessions += 1
            return Wrong(self)

    with Gateway(gateway.folder / "other", WrongTransport()) as other:
        report = other.visit()
        assert isinstance(report.error, PluginError)
        assert "the transport fake of account" in report.error.message
        assert "expected Page" in report.error.message or "Page.keys[0] is '7:1', expected Listed" in report.error.message


def test_any_other_bug_is_the_error_of_this_account_alone(gateway: Gateway) -> None:
    def progress(_: Progress) -> None:
        raise ZeroDivisionError("what now")

    gateway.progress = progress
    report = gateway.visit()
    assert isinstance(report.error, PluginError)
    assert "the visit of account main failed: ZeroDivisionError: what now" in report.error.message


# --- the server last --------------------------------------------------------------------------------------------------------


def guard(gateway: Gateway) -> Callable[[], None]:
    """Assert, in the session's thread, that what is settled is filed and on the disk."""
    other = gateway.another_store()

    def look() -> None:
        asked = gateway.transport.asked[-1]
        states = {key: was.state for key, was in other.known("main", asked.folder, asked.keys).items()}
        assert set(states.values()) <= {"filed", "duplicate"}
        assert len(states) == len(asked.keys)

    return look


@pytest.mark.parametrize("action", [SEEN, DELETE, MOVE])
def test_P3_the_server_is_changed_after_the_commit_and_only_what_was_filed(tmp_path: Path, action: Action) -> None:
    known = directory([], [make_contact(make_record("customer", "C1"), "anna@example.com", contact_type="sales")])
    transport = filled(5, "INBOX", "Imported")
    stranger = transport.deliver(make_raw(6, sender="stranger@example.com"))
    broken = transport.deliver(make_raw(7))
    transport.fail(broken, "no")
    with Gateway(
        tmp_path,
        transport,
        imports=imports(after=action, contact_types={"customer": ("sales",)}),
        plugins=[known],
        specs=[spec(known=True)],
    ) as gateway:
        transport.on("settle", guard(gateway))
        report = gateway.good()
        assert (report.tally.filed, report.tally.not_admitted, report.tally.deferred, report.settled) == (5, 1, 1, 5)
        settled = {key for _, key, _ in transport.settled}
        assert len(transport.settled) == len(settled) == 5
        assert not settled & {stranger, broken}
        assert gateway.states()[stranger] == "not admitted"
        assert gateway.good().settled == 0


def test_P3_nothing_is_settled_for_an_account_that_keeps_its_mail(gateway: Gateway) -> None:
    gateway.good()
    assert gateway.transport.steps("settle") == []


@pytest.mark.parametrize("after_the_server_did_it", [False, True])
def test_P3_what_is_owed_is_settled_by_the_next_visit(tmp_path: Path, *, after_the_server_did_it: bool) -> None:
    with Gateway(tmp_path, filled(4), imports=imports(after=SEEN)) as gateway:
        transport = gateway.transport
        if after_the_server_did_it:
            # It dies between the server's answer and our commit: the lease is lost in between.
            transport.on("settle", lambda: gateway.another_store().take_lease("main", "other", dead=lambda _: True))
        else:
            transport.on("settle", LOST)
        report = gateway.visit()
        assert isinstance(report.error, LeaseLost) if after_the_server_did_it else report.error is LOST
        assert (report.tally.filed, report.settled) == (4, 0)
        other = gateway.store.take_lease("main", gateway.owner.name, dead=lambda _: True)
        assert not isinstance(other, Held)
        gateway.store.release(other)
        again = gateway.good()
        assert (again.tally.filed, again.settled) == (0, 4)
        assert transport.seen() == transport.keys()
        assert gateway.good().settled == 0


def test_what_the_server_refuses_stays_owed_and_keeps_nothing_else_from_being_done(tmp_path: Path) -> None:
    transport = filled(2, "INBOX", "Sales")
    transport.deliver(make_raw(9), "Sales")
    with Gateway(tmp_path, transport, imports=imports("INBOX", "Sales", after=MOVE)) as gateway:
        # There is no folder to move to; it comes into being for the second folder's mail only.
        transport.on("settle", PermanentError("no such folder"), folder="INBOX")
        transport.on("settle", PermanentError("no such folder"), folder="INBOX")
        transport.folders["Imported"] = transport.folder("Sales").__class__()
        report = gateway.visit()
        assert report.error is None
        assert report.problems == ("INBOX: move Imported: no such folder",)
        assert (report.tally.filed, report.settled) == (3, 1)
        transport.calm()
        assert gateway.good().settled == 2


def test_P3_an_action_that_the_account_no_longer_asks_for_is_not_done(tmp_path: Path) -> None:
    with Gateway(tmp_path, filled(3), imports=imports(after=DELETE)) as gateway:
        gateway.transport.on("settle", PermanentError("no UIDPLUS"))
        assert gateway.visit().problems == ("INBOX: delete: no UIDPLUS",)
        gateway.imports = imports()
        report = gateway.good()
        assert report.settled == 0
        assert "INBOX: 3 messages: delete is left undone" in report.notes[0]
        assert gateway.good().notes == ()
        assert len(gateway.transport.keys()) == 3
        assert gateway.transport.settled == []


# --- errors -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [LOST, AuthError("password refused"), PermanentError("no mailbox for this user")])
def test_what_keeps_a_session_from_opening_is_the_reports_error(gateway: Gateway, error: GatewaydError) -> None:
    gateway.transport.on("open", error)
    report = gateway.visit()
    assert report.error is error
    assert gateway.transport.steps("close") == []
    assert gateway.good().tally.filed == 10


@pytest.mark.parametrize("step", ["listing", "page", "fetch", "message"])
@pytest.mark.parametrize("after", [0, 2, 5])
def test_an_error_in_the_middle_keeps_what_came_before_and_the_next_visit_the_rest(tmp_path: Path, step: Step, after: int) -> None:
    with Gateway(tmp_path, filled(10, page_size=3)) as gateway:
        gateway.transport.on(step, LOST, after=after)
        report = gateway.visit()
        came = len(gateway.transport.steps("message")) - (step == "message")
        if after < len(gateway.transport.steps(step)):
            assert report.error is LOST
        assert report.tally.filed == (came if report.error and step == "message" else report.tally.filed)
        waited = [key for key, state in gateway.states().items() if state == "waiting"]
        rest = gateway.good(keys=gateway.transport.keys())
        assert report.tally.filed + rest.tally.filed == len(gateway.filings()) == 10
        assert rest.tally.duplicate == 0
        assert rest.tally.filed == len(waited) + rest.listed


def test_P4_a_message_that_ends_every_session_does_not_stop_the_others(gateway: Gateway) -> None:
    """The server hangs up whenever this one is asked for: it is deferred, and the others are had by another session."""
    poison = gateway.transport.keys()[4]

    def visit() -> VisitReport:
        gateway.transport.calm()
        number = [one.listed.key for one in gateway.store.waiting("main", "INBOX", after=0, limit=100)]
        before = number.index(poison) if poison in number else 4 if not gateway.transport.listed else None
        if before is not None:
            gateway.transport.on("message", LOST, after=before)
        return gateway.visit()

    first, second, third = visit(), visit(), visit()
    assert (first.error, first.tally.filed) == (LOST, 4)
    assert (second.error, second.tally.filed, second.tally.deferred) == (LOST, 5, 1)
    assert (third.error, third.tally.filed) == (None, 0)
    assert gateway.states()[poison] == "waiting"
    assert "connection lost" in LOST.message


def test_an_auth_error_in_the_middle_blames_no_message(gateway: Gateway) -> None:
    gateway.transport.on("fetch", AuthError("the token has ended"))
    report = gateway.visit()
    assert isinstance(report.error, AuthError)
    assert report.tally.deferred == 0
    assert gateway.good().tally.filed == 10


@pytest.mark.parametrize("step", ["open", "listing", "page", "headers", "fetch", "message", "settle"])
@pytest.mark.parametrize("bug", [KeyError("uid"), SystemExit(3)])
def test_a_bug_of_the_transport_is_a_plugin_error_that_names_the_account(tmp_path: Path, step: Step, bug: BaseException) -> None:
    with Gateway(tmp_path, filled(5), imports=imports(after=SEEN)) as gateway:
        if step == "headers":
            gateway.good()
            gateway.transport.renumber()
        gateway.transport.on(step, bug, after=4 if step == "message" else 0)
        report = gateway.visit()
        assert isinstance(report.error, PluginError)
        assert "the transport of account main failed: " in report.error.message
        assert type(bug).__name__ in report.error.message
        assert "transport.py:" in report.error.message
        if step == "message":
            assert report.tally.filed == 4, "what came before is filed"
        gateway.good(keys=gateway.transport.keys())
        assert len(gateway.filings()) == 5


@pytest.mark.parametrize("nonsense", ["unknown key", "key twice", "no value"])
def test_a_transport_that_answers_with_nonsense_is_found_out(gateway: Gateway, nonsense: str) -> None:
    from gatewayd.testing.fakes.session import FakeSession  # noqa: PLC0415  the session that a plugin's author got wrong

    class Wrong(FakeSession):
        def fetch(self, folder: str, listed: Sequence[Listed], spool: Any) -> Iterator[Any]:
            for one in super().fetch(folder, listed, spool):
                yield one
                yield {"key twice": one, "no value": None, "unknown key": spool.put("4711:1", [b"x"])}[nonsense]

    class WrongTransport(FakeTransport):
        def open(self) -> Any:
            self.sessions += 1
            return Wrong(self)

    transport = WrongTransport()
    transport.deliver(make_raw(1))
    with Gateway(gateway.folder / "other", transport) as other:
        report = other.visit()
        assert isinstance(report.error, PluginError)
        assert report.tally.filed == 1
        assert set(other.states().values()) == {"filed"}


def test_a_listing_that_is_no_generator_may_fail_at_once(gateway: Gateway) -> None:
    from gatewayd.testing.fakes.session import FakeSession  # noqa: PLC0415

    class Hasty(FakeSession):
        def listing(self, folder: str, cursor: str | None) -> Any:
            assert threading.current_thread() is not threading.main_thread()
            if folder == "INBOX":
                raise RuntimeError("at once")
            return list(super().listing(folder, cursor))

    class HastyTransport(FakeTransport):
        def open(self) -> Any:
            self.sessions += 1
            return Hasty(self)

    transport = HastyTransport(("Sales", "INBOX"))
    transport.deliver(make_raw(1), "Sales")
    with Gateway(gateway.folder / "other", transport) as other:
        report = other.visit()
        assert isinstance(report.error, PluginError)
        assert report.tally.filed == 1


@pytest.mark.parametrize("step", ["listing", "fetch"])
def test_P4_problems_of_one_folder_do_not_stop_the_next(tmp_path: Path, step: Step) -> None:
    transport = filled(3, "INBOX", "Sales")
    transport.deliver(make_raw(9), "Sales")
    with Gateway(tmp_path, transport, imports=imports("No such folder", "INBOX", "Sales")) as gateway:
        transport.on(step, PermanentError("not to be selected"), folder="INBOX")
        report = gateway.visit()
        assert report.error is None
        nowhere = "No such folder: there is no folder 'No such folder'. Folders are: INBOX, Sales."
        assert report.problems == (nowhere, "INBOX: not to be selected")
        assert report.tally.filed == 1
        assert gateway.visit().tally.filed == 3


def test_a_session_that_cannot_be_closed_hides_no_error_and_no_work(gateway: Gateway) -> None:
    gateway.transport.on("close", KeyError("bye"))
    gateway.transport.on("message", LOST, after=5)
    report = gateway.try_visit()
    assert isinstance(report, VisitReport)
    assert report.error is LOST
    assert "the session was not closed: KeyError" in report.problems[0]
    assert report.tally.filed == 5


def test_undecided_admission_keeps_the_keys_waiting_and_files_nothing(tmp_path: Path) -> None:
    class Away(FakeDirectory):
        down = True

        def contacts(self, emails: Any) -> Any:
            if Away.down:
                raise TransientError("the directory is away")
            return super().contacts(emails)

    contact = make_contact(make_record("customer", "C1"), "anna@example.com", contact_type="sales")
    with Gateway(
        tmp_path,
        filled(3),
        imports=imports(contact_types={"customer": ("sales",)}, after=DELETE),
        plugins=[directory([], [contact], base=Away)],
        specs=[spec("acme", known=True), spec("globetrot", known=True)],
    ) as gateway:
        report = gateway.good()
        assert (report.tally.deferred, report.tally.filed, report.settled) == (3, 0, 0)
        assert set(gateway.states().values()) == {"waiting"}
        assert gateway.good().tally.deferred == 0, "not due yet"
        Away.down = False
        assert gateway.good(keys=gateway.transport.keys()).tally.filed == 3
        assert len(gateway.filings("acme")) == len(gateway.filings("globetrot")) == 3


def test_P4_a_matcher_that_raises_stops_no_mail(tmp_path: Path) -> None:
    def match(*_: object) -> Sequence[Finding]:
        raise ValueError("never")

    plugins = [matcher("raising", match), matcher("calm", links_all)]
    with Gateway(tmp_path, filled(4), plugins=plugins, specs=[spec("acme", "raising", "calm")]) as gateway:
        assert gateway.good().tally.filed == 4
        assert all([fault.by for fault in filing.faults] == ["raising"] for filing in gateway.filings())
        assert all([link.by for link in filing.links] == ["calm"] for filing in gateway.filings())


# --- leases and spools --------------------------------------------------------------------------------------------------------


def robbed(gateway: Gateway) -> Callable[..., None]:
    """Take the account's lease away, as another process does that knows the owner to be dead."""
    store = gateway.another_store()

    def rob(*_: object) -> None:
        gateway.progress = lambda _: None
        assert not isinstance(store.take_lease("main", "another", dead=lambda _: True), Held)

    return rob


def test_P2_a_visit_that_lost_its_lease_writes_nothing_more_and_leaves_no_spool(gateway: Gateway) -> None:
    taken: list[int] = []
    rob = robbed(gateway)

    def progress(progress: Progress) -> None:
        if not taken:
            rob()
        taken.append(progress.done)

    gateway.progress = progress
    report = gateway.visit()
    assert isinstance(report.error, LeaseLost)
    assert taken == [3]
    assert report.tally.filed == len(gateway.filings()) == 3
    assert list(gateway.states().values()).count("waiting") == 7
    # The batch that was fetched ahead was let go; `visit` above looked for its file.
    assert len(gateway.transport.steps("fetch")) >= 2
    held = gateway.try_visit()
    assert isinstance(held, Held), "the other's lease is not given back by us"
    assert held.holder == "another"


def test_a_lease_is_kept_while_the_session_is_slow(gateway: Gateway) -> None:
    assert VisitTools.__dataclass_fields__["patience"].default == LEASE_SECONDS / 3
    store = gateway.another_store()
    until: list[datetime] = []

    def slow() -> None:
        for _ in range(2):
            held = store.take_lease("main", "another", dead=lambda _: False)
            assert isinstance(held, Held)
            until.append(held.until)
            threading.Event().wait(0.5)

    gateway.transport.on("open", slow)
    assert gateway.visit(patience=0.05).error is None
    assert (until[1] - until[0]).total_seconds() > 0.3


@pytest.mark.parametrize("step", ["open", "page", "message"])
def test_a_lease_lost_while_the_session_is_slow_ends_the_visit_and_closes_the_session(gateway: Gateway, step: Step) -> None:
    rob = robbed(gateway)

    def slow() -> None:
        rob()
        threading.Event().wait(0.5)

    gateway.transport.on(step, slow)
    report = gateway.visit(patience=0.05)
    assert isinstance(report.error, LeaseLost)
    assert report.tally.filed == 0
    assert len(gateway.transport.steps("close")) == 1


def test_what_people_interrupt_leaves_no_session_and_no_lease(gateway: Gateway) -> None:
    def progress(_: Progress) -> None:
        raise KeyboardInterrupt

    gateway.progress = progress
    with pytest.raises(KeyboardInterrupt):
        gateway.try_visit()
    assert (gateway.transport.sessions, gateway.spools()) == (0, [])
    gateway.progress = lambda _: None
    assert gateway.good().tally.filed == 7


def test_a_spool_that_cannot_be_made_leaves_none_of_the_others(gateway: Gateway) -> None:
    """The second batch finds its spool's place taken: the first is done all the same."""
    room = next(path.parent for path in gateway.folder.glob("owners/*/lock"))
    (room / "2.spool").write_text("in the way")
    report = gateway.try_visit()
    assert isinstance(report, VisitReport)
    assert isinstance(report.error, TransientError)
    assert "the spool can't be written" in report.error.message
    assert gateway.spools() == ["2.spool"]
    assert gateway.transport.sessions == 0


def test_a_store_that_cannot_take_the_lease_back_hides_nothing_of_the_visit(gateway: Gateway) -> None:
    # A store that waits for its turn for a short time only, while nobody can write any more.
    gateway.store = gateway.another_store(f"sqlite:///{gateway.folder}/store/gatewayd.db?timeout=0.2")
    with ExitStack() as stack:

        def block() -> None:
            stack.enter_context(gateway.another_store()._db.writing())

        gateway.transport.on("close", block)
        report = gateway.try_visit()
    assert isinstance(report, VisitReport)
    assert isinstance(report.error, TransientError)
    assert report.tally.filed == 10


def test_several_visits_at_once_of_several_accounts_do_not_meet(tmp_path: Path) -> None:
    gateways = [Gateway(tmp_path / str(number), filled(20)) for number in range(3)]
    with ThreadPoolExecutor(3) as threads:
        reports = list(threads.map(lambda gateway: gateway.try_visit(), gateways))
    for gateway, report in zip(gateways, reports, strict=True):
        assert isinstance(report, VisitReport)
        assert report.tally.filed == 20
        gateway.close()


@pytest.mark.parametrize("step", ["listing", "page", "look_up", "fetch", "headers"])
def test_a_folder_that_can_not_be_worked_on_stops_no_other(tmp_path: Path, step: Step) -> None:
    transport = FakeTransport(("INBOX", "Sent"), account="main", overlap=5)
    for folder in transport.folders:
        transport.deliver(make_raw(1 if folder == "INBOX" else 2), folder)
    if step == "look_up":
        transport.message("1:1").listed_size = 7
    with Gateway(tmp_path, transport) as gateway:
        if step == "headers":
            gateway.good()
            transport.renumber()
            transport.deliver(make_raw(3), "Sent")
        transport.on(step, PermanentError("no such folder"), folder="INBOX")
        report = gateway.visit()
        assert report.error is None or step in {"fetch", "look_up"}
        assert "INBOX: no such folder" in report.problems
        assert gateway.states("Sent")["1:1"] == "filed"
        assert report.tally.filed == 1


def test_P3_nothing_is_done_to_what_the_server_does_not_show(tmp_path: Path) -> None:
    transport = FakeTransport(account="main")
    shown, key = transport.deliver(make_raw(1)), transport.deliver(make_raw(2))
    with Gateway(tmp_path, transport, imports=ImportConfig(after=Action(do="delete"))) as gateway:

        def hides() -> None:
            transport.message(key).raw = make_raw(9)
            transport.message(key).hidden = True

        transport.on("look_up", hides)
        gateway.good()
        assert [asked.keys for asked in transport.steps("settle")] == [(shown,)]
        assert transport.raw() == [make_raw(9)]
        transport.message(key).hidden = False
        gateway.visit(compare=True)
        gateway.visit(compare=True)
        assert len(gateway.filings()) == 3
        assert transport.raw() == []
