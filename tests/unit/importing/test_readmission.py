"""Not admitted is a state: records, settings and people lift it, only what is admitted now is fetched, and nobody is judged for nothing."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd import Contents, Directory, Folders, Operator, TransientError
from gatewayd.config import ImportConfig
from gatewayd.matching.operator_matching import OperatorMatching
from gatewayd.message.mail import BytesSource, parse
from gatewayd.testing import FakeDirectory, FakeTransport, make_contact, make_record
from gatewayd.testing.contracts.custodian import make_raw
from gatewayd_csv import complete_files
from gatewayd_csv.directory import Csv
from gatewayd_csv.options import CsvOptions
from tests.plugins.test_csv import write
from tests.unit.kernel import Gateway, directory, links_all, matcher, spec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from gatewayd import Contact

SALES: dict[Literal["customer", "supplier"], tuple[str, ...]] = {"customer": ("sales",)}
NORD = make_record("customer", "C1", "Nord")


class Records:
    """What an operator's directory knows now; a test changes it."""

    def __init__(self, *emails: str) -> None:
        self.emails = list(emails)
        self.version = 1
        self.outdated = ""
        self.changes: dict[str, set[str] | None] = {}
        self.asked: list[frozenset[str]] = []
        self.down = False

    def turn(self, *emails: str, told: bool = True) -> None:
        """Have other contacts from now on, and tell whose they are."""
        new = set(emails) - set(self.emails)
        self.changes = {str(self.version): new if told else None}
        self.emails, self.version = list(emails), self.version + 1


def known(records: Records) -> type[FakeDirectory]:
    class Told(FakeDirectory):
        def contents(self) -> Contents:
            return Contents(version=str(records.version), outdated=records.outdated)

        def changed(self, version: str) -> Collection[str] | None:
            return records.changes.get(version)

        def contacts(self, emails: Collection[str]) -> Mapping[str, Sequence[Contact]]:
            records.asked.append(frozenset(emails))
            if records.down:
                raise TransientError("the directory is away")
            return {one: [make_contact(NORD, one, contact_type="sales")] for one in emails if one in records.emails}

    return Told


@contextmanager
def site(tmp_path: Path, records: Records, **imports: Any) -> Iterator[Gateway]:
    chosen = ImportConfig(folders=("INBOX",), **{"contact_types": SALES, **imports})
    made = directory(base=known(records))
    with Gateway(
        tmp_path,
        FakeTransport(account="main"),
        imports=chosen,
        plugins=[made, matcher("calm", links_all)],
        specs=[spec("acme", "calm", known=True)],
    ) as gateway:
        # What comes from now on is new mail.
        gateway.good()
        yield gateway


def deliver(gateway: Gateway, number: int, sender: str) -> str:
    return gateway.transport.deliver(make_raw(number, sender=sender), arrival=datetime.now(UTC) - timedelta(hours=1))


def backlog(gateway: Gateway) -> set[bool]:
    """Whether what was fetched is backlog."""
    with gateway.store._db.reading() as connection:
        return {bool(one) for (one,) in connection.exec_driver_sql("SELECT backlog FROM ledger WHERE state = 'filed'")}


def look(gateway: Gateway) -> None:
    """Let the directory be looked at again, as it is every few seconds."""
    for built in gateway.matching._operators.values():
        built.looked_at = 0.0


def test_new_records_lift_it_for_those_who_are_admitted_now_and_fetch_nobody_else(tmp_path: Path) -> None:
    records = Records("known@x.example")
    with site(tmp_path, records) as gateway:
        known_, new, other = (
            deliver(gateway, n, s) for n, s in enumerate(["known@x.example", "New@X.example", "other@x.example"], 1)
        )
        assert gateway.good().tally.not_admitted == 2
        gateway.good()
        fetched = len(gateway.transport.steps("message"))
        records.turn("known@x.example", "new@x.example")
        look(gateway)
        report = gateway.good()
        assert (report.tally.filed, report.tally.not_admitted) == (1, 0)
        assert gateway.states() == {known_: "filed", new: "filed", other: "not admitted"}
        assert [asked.keys for asked in gateway.transport.steps("message")[fetched:]] == [(new,)]
        assert backlog(gateway) == {False, True}, "it is old mail that is let in"


def test_only_senders_whose_records_changed_are_judged_again(tmp_path: Path) -> None:
    records = Records()
    with site(tmp_path, records) as gateway:
        for number in range(1, 9):
            deliver(gateway, number, f"s{number}@x.example")
        gateway.good()
        gateway.good()
        records.asked.clear()
        for _ in range(3):
            look(gateway)
            gateway.good()
        assert records.asked == [], "nothing changed"
        records.turn("s3@x.example")
        look(gateway)
        assert gateway.good().tally.filed == 1
        judged, fetched = records.asked
        assert judged == fetched == {"s3@x.example"}
        # Where it is not known whose records changed, all are.
        records.asked.clear()
        records.turn("s3@x.example", "s4@x.example", told=False)
        look(gateway)
        assert gateway.good().tally.filed == 1
        assert len(records.asked[0]) == 7


def test_without_contact_types_all_is_admitted_and_no_directory_is_asked(tmp_path: Path) -> None:
    records = Records()
    with site(tmp_path, records) as gateway:
        for number in (1, 2):
            deliver(gateway, number, "a@x.example")
        gateway.good()
        gateway.imports = gateway.imports.model_copy(update={"contact_types": {}})
        assert gateway.good().tally.filed == 2
        assert backlog(gateway) == {True}


def test_other_contact_types_lift_it(tmp_path: Path) -> None:
    records = Records("a@x.example")
    with site(tmp_path, records, contact_types={"customer": ("sale",)}) as gateway:
        deliver(gateway, 1, "a@x.example")
        assert gateway.good().tally.not_admitted == 1
        gateway.good()
        gateway.imports = gateway.imports.model_copy(update={"contact_types": SALES})
        assert gateway.good().tally.filed == 1


def test_from_the_beginning_judges_all_of_them(tmp_path: Path) -> None:
    records = Records()
    with site(tmp_path, records) as gateway:
        deliver(gateway, 1, "a@x.example")
        deliver(gateway, 2, "b@x.example")
        gateway.good()
        gateway.good()
        # Its records changed, and it does not say so.
        records.emails.append("a@x.example")
        assert gateway.good().tally.filed == 0
        report = gateway.good(from_beginning=True)
        assert (report.tally.filed, report.tally.not_admitted) == (1, 0)


def test_a_key_that_a_person_names_is_judged_in_any_case(tmp_path: Path) -> None:
    records = Records()
    with site(tmp_path, records) as gateway:
        first, second, third = (deliver(gateway, number, f"{name}@x.example") for number, name in enumerate("aba", 1))
        gateway.good()
        gateway.good()
        fetched = len(gateway.transport.steps("message"))
        assert gateway.good(keys=[first, second]).tally.filed == 0
        assert len(gateway.transport.steps("message")) == fetched, "who is not admitted is not fetched"
        # Its records changed, and it does not say so.
        records.emails.append("a@x.example")
        assert gateway.good(keys=[first, second]).tally.filed == 1
        assert gateway.states() == {first: "filed", second: "not admitted", third: "not admitted"}
        assert [[link.id for link in one.links] for one in gateway.filings()] == [["R9"]], "it is matched like any mail"
        assert backlog(gateway) == {True}


def test_a_person_admits_for_one_operator(tmp_path: Path) -> None:
    with site(tmp_path, Records()) as gateway:
        gateway.specs = (spec("acme", "calm", known=True), spec("nord", "calm", known=True))
        key = deliver(gateway, 1, "a@x.example")
        gateway.good()
        (one,) = gateway.store.refusals("main", "INBOX", after=0, limit=9)
        assert gateway.store.admit("main", [one.entry_id], ["nord"]) == 1
        assert gateway.good().tally.filed == 1
        assert (len(gateway.filings("acme")), len(gateway.filings("nord"))) == (0, 1)
        assert gateway.states() == {key: "filed"}


def test_of_a_database_of_today_the_headers_tell_the_senders_once_and_in_pieces(tmp_path: Path) -> None:
    records = Records()
    with site(tmp_path, records) as gateway:
        keys = [deliver(gateway, number, f"s{number}@x.example") for number in range(1, 251)]
        gateway.good()
        with gateway.store._db.writing() as connection:
            connection.exec_driver_sql("DELETE FROM refused")
            connection.exec_driver_sql("DELETE FROM judged")
        gateway.transport.vanish(keys[0])
        fetched = len(gateway.transport.steps("message"))
        records.turn("s7@x.example", "s1@x.example")
        look(gateway)
        assert gateway.good().tally.filed == 1
        assert [len(asked.keys) for asked in gateway.transport.steps("headers")] == [100, 100, 50]
        assert len(gateway.transport.steps("message")) == fetched + 1
        # What is gone stays as it is, and nobody is asked again.
        records.turn("s7@x.example", "s1@x.example", "s8@x.example", told=False)
        look(gateway)
        assert gateway.good().tally.filed == 1
        assert len(gateway.transport.steps("headers")) == 3
        assert gateway.states()[keys[0]] == "not admitted"


def test_an_unchanged_database_of_today_has_nothing_fetched_filed_or_fired(tmp_path: Path) -> None:
    with site(tmp_path, Records("known@x.example")) as gateway:
        for number, sender in enumerate(["known@x.example", "a@x.example", "b@x.example"], 1):
            deliver(gateway, number, sender)
        gateway.good()
        with gateway.store._db.writing() as connection:
            connection.exec_driver_sql("DELETE FROM refused")
        before, states = len(gateway.transport.steps("message")), gateway.states()
        for _ in range(3):
            report = gateway.good()
            assert (report.tally.filed, report.tally.not_admitted, report.listed) == (0, 0, 0)
        assert (len(gateway.transport.steps("message")), gateway.states()) == (before, states)


def test_what_is_gone_when_it_is_fetched_stays_not_admitted(tmp_path: Path) -> None:
    records = Records()
    with site(tmp_path, records) as gateway:
        key = deliver(gateway, 1, "a@x.example")
        gateway.good()
        records.turn("a@x.example")
        look(gateway)
        gateway.transport.on("fetch", lambda: gateway.transport.vanish(key))
        gateway.good()
        assert gateway.states() == {key: "not admitted"}
        gateway.good(from_beginning=True)
        assert gateway.states() == {key: "not admitted"}


def test_while_a_directory_is_at_fault_those_whom_it_does_not_know_wait_and_come_at_once_when_it_is_mended(tmp_path: Path) -> None:
    records = Records("known@x.example")
    with site(tmp_path, records) as gateway:
        records.outdated = "contacts.csv: the file is gone"
        known_, new, stranger = (
            deliver(gateway, n, s) for n, s in enumerate(["known@x.example", "new@x.example", "stranger@x.example"], 1)
        )
        report = gateway.good()
        assert (report.tally.filed, report.tally.deferred, report.tally.not_admitted) == (1, 2, 0)
        assert gateway.states() == {known_: "filed", new: "waiting", stranger: "waiting"}
        look(gateway)
        assert gateway.good().tally.deferred == 0, "they are not fetched again and again"
        records.outdated = ""
        records.turn("known@x.example", "new@x.example")
        look(gateway)
        report = gateway.good()
        assert (report.tally.filed, report.tally.not_admitted) == (1, 1)
        assert gateway.states() == {known_: "filed", new: "filed", stranger: "not admitted"}
        assert backlog(gateway) == {False}, "they were never refused, and rules fire for them"


def test_a_directory_that_is_sound_and_does_not_answer_has_nobody_fetched_again_and_again(tmp_path: Path) -> None:
    records = Records()
    records.down = True
    with site(tmp_path, records) as gateway:
        deliver(gateway, 1, "a@x.example")
        assert gateway.good().tally.deferred == 1
        for _ in range(3):
            look(gateway)
            assert gateway.good().tally.deferred == 0, "it is not due"


def test_a_directory_at_fault_lifts_nothing_and_forgets_nothing(tmp_path: Path) -> None:
    records = Records()
    with site(tmp_path, records) as gateway:
        key = deliver(gateway, 1, "a@x.example")
        gateway.good()
        gateway.good()
        records.turn("a@x.example")
        records.down = True
        look(gateway)
        gateway.good()
        assert gateway.states() == {key: "not admitted"}
        records.down = False
        assert gateway.good().tally.filed == 1


def test_a_provisional_verdict_is_corrected_as_what_it_was_and_a_final_one_as_backlog(tmp_path: Path) -> None:
    records = Records()
    with site(tmp_path, records) as gateway:
        gateway.good()
        deliver(gateway, 1, "old@x.example")
        gateway.good()
        # It came after the last look at the directory.
        gateway.transport.deliver(make_raw(2, sender="new@x.example"), arrival=datetime.now(UTC) - timedelta(seconds=1))
        for built in gateway.matching._operators.values():
            assert built.loaded_at
            built.loaded_at -= timedelta(minutes=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(OperatorMatching, "refresh", lambda _: [])
            gateway.good()
        old, new = gateway.store.refusals("main", "INBOX", after=0, limit=9)
        assert (old.since is None, new.since is None) == (True, False)
        records.turn("old@x.example", "new@x.example")
        look(gateway)
        assert gateway.good().tally.filed == 2
        assert backlog(gateway) == {True, False}


def test_a_provisional_verdict_that_newer_records_confirm_is_final(tmp_path: Path) -> None:
    records = Records()
    with site(tmp_path, records) as gateway:
        gateway.transport.deliver(make_raw(1, sender="a@x.example"), arrival=datetime.now(UTC) + timedelta(hours=1))
        gateway.good()
        (one,) = gateway.store.refusals("main", "INBOX", after=0, limit=9)
        assert one.since is not None, "a server's clock that is ahead does not keep it so for long"
        look(gateway)
        gateway.good()
        (one,) = gateway.store.refusals("main", "INBOX", after=0, limit=9)
        assert one.since is None


def test_one_operator_at_fault_holds_up_no_other_and_decides_later(tmp_path: Path) -> None:
    sound, faulty = Records("a@x.example"), Records()
    faulty.outdated = "it is gone"

    class Both(known(sound)):  # type: ignore[misc]
        def contents(self) -> Contents:
            return known(faulty)().contents() if self.operator.name == "nord" else super().contents()

        def contacts(self, emails: Collection[str]) -> Mapping[str, Sequence[Contact]]:
            return known(faulty)().contacts(emails) if self.operator.name == "nord" else super().contacts(emails)

    with Gateway(
        tmp_path,
        FakeTransport(account="main"),
        imports=ImportConfig(contact_types=SALES),
        plugins=[directory(base=Both), matcher("calm", links_all)],
        specs=[spec("acme", "calm", known=True), spec("nord", "calm", known=True)],
    ) as gateway:
        gateway.good()
        deliver(gateway, 1, "a@x.example")
        deliver(gateway, 2, "b@x.example")
        report = gateway.good()
        assert (report.tally.filed, report.tally.deferred) == (1, 1)
        assert (len(gateway.filings("acme")), len(gateway.filings("nord"))) == (1, 0)
        (one,) = gateway.store.provisional("nord", before=datetime.now(UTC), after=0, limit=9)
        assert (one.filed, one.verdict.undecided, one.verdict.fire) == (False, True, True)


@settings(max_examples=40)
@given(cut=st.integers(0, 400), first=st.booleans())
def test_whatever_part_of_an_export_is_seen_first_nobody_of_the_whole_stays_out(
    tmp_path_factory: pytest.TempPathFactory, cut: int, *, first: bool
) -> None:
    whole = "owner_kind,owner_id,type,value,contact_type\n" + "".join(f"customer,C1,EMAIL,d{n}@x.example,sales\n" for n in range(8))
    tmp_path = tmp_path_factory.mktemp("cut")
    customers = "id,name,main_contact\nC1,Nord,\n"
    write(tmp_path / "files", customers=customers, contacts=whole if not first else whole[:cut])

    with pytest.MonkeyPatch.context() as patch:
        for name in ("_QUIET", "_QUIET_SHORTER"):
            patch.setattr(complete_files, name, 0.0)
        files = CsvOptions.model_validate({"folder": str(tmp_path / "files")})

        class Kept(Csv):
            kind = "known"

            def __init__(self, _: Directory.Options, *, operator: Operator, place: Folders) -> None:
                super().__init__(files, operator=operator, place=replace(place, state=tmp_path / "index"))

        with Gateway(
            tmp_path,
            FakeTransport(account="main"),
            imports=ImportConfig(contact_types=SALES),
            plugins=[Kept],
            specs=[spec("acme", known=True)],
        ) as gateway:
            gateway.good()
            for number in range(8):
                deliver(gateway, number + 1, f"d{number}@x.example")
            for text in (whole[:cut], whole):
                write(tmp_path / "files", contacts=text)
                look(gateway)
                gateway.visit()
            assert set(gateway.states().values()) == {"filed"}, gateway.states()


@given(name=st.text(max_size=10), local=st.text(min_size=1, max_size=10), domain=st.text(min_size=1, max_size=10))
def test_senders_are_kept_as_they_are_judged(name: str, local: str, domain: str) -> None:
    from gatewayd.matching import senders  # noqa: PLC0415  the room is large

    raw = f"From: {name} <{local}@{domain}>\r\n\r\n".encode(errors="replace")
    mail = parse(BytesSource(raw))
    assert set(senders(mail)) == {one.email.lower()[:320] for one in mail.from_ if one.email}


def test_what_a_broken_session_kept_from_being_judged_is_judged_by_a_later_visit(tmp_path: Path) -> None:
    records = Records()
    with site(tmp_path, records) as gateway:
        deliver(gateway, 1, "a@x.example")
        assert gateway.good().tally.not_admitted == 1
        records.turn("a@x.example")
        look(gateway)
        gateway.transport.on("listing", TransientError("connection lost"))
        assert gateway.visit().error
        assert gateway.good().tally.filed == 1


def test_what_waits_for_an_operator_whose_file_is_faulty_comes_at_once_when_it_is_mended(tmp_path: Path) -> None:
    with site(tmp_path, Records("a@x.example")) as gateway:
        sound = gateway.specs
        gateway.specs = (spec("acme", "calm", known=True, faulty=True),)
        deliver(gateway, 1, "a@x.example")
        assert gateway.good().tally.deferred == 1
        assert gateway.good().tally.deferred == 0, "it is not fetched again and again"
        gateway.specs = sound
        assert gateway.good().tally.filed == 1


def test_what_a_faulty_file_keeps_from_being_decided_is_not_fetched_again_since_others_files_are_sound(tmp_path: Path) -> None:
    with site(tmp_path, Records("a@x.example")) as gateway:
        mended = (spec("acme", "calm", known=True), spec("nord", "calm", known=True))
        deliver(gateway, 2, "stranger@x.example")
        assert gateway.good().tally.not_admitted == 1
        gateway.specs = (mended[0], replace(mended[1], faulty=True))
        deliver(gateway, 1, "other@x.example")
        assert gateway.good().tally.deferred == 1
        for _ in range(3):
            look(gateway)
            assert gateway.good().tally.deferred == 0
        gateway.specs = mended
        assert gateway.good().tally.not_admitted == 1


def test_what_waits_for_a_file_that_is_mended_while_another_directory_is_down_comes_when_that_is_back(tmp_path: Path) -> None:
    ours, theirs = Records("a@x.example"), Records()

    class Both(known(ours)):  # type: ignore[misc]
        def contents(self) -> Contents:
            return known(theirs)().contents() if self.operator.name == "nord" else super().contents()

        def contacts(self, emails: Collection[str]) -> Mapping[str, Sequence[Contact]]:
            return known(theirs)().contacts(emails) if self.operator.name == "nord" else super().contacts(emails)

    acme, nord = spec("acme", "calm", known=True), spec("nord", "calm", known=True)
    with Gateway(
        tmp_path,
        FakeTransport(account="main"),
        imports=ImportConfig(contact_types=SALES),
        plugins=[directory(base=Both), matcher("calm", links_all)],
        specs=[replace(acme, faulty=True), nord],
    ) as gateway:
        gateway.good()
        deliver(gateway, 1, "a@x.example")
        assert gateway.good().tally.deferred == 1
        assert gateway.good().tally.deferred == 0
        gateway.specs = (acme, nord)
        theirs.outdated = "it is gone"
        look(gateway)
        assert gateway.good().tally.filed == 0
        theirs.outdated = ""
        look(gateway)
        assert gateway.good().tally.filed == 1
