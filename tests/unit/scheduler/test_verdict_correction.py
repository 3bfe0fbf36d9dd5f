"""Verdicts by records that were older than the mail are given again by newer ones, links and admission both, and rules fire once."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatewayd import Contents, FilingFault, Link, PermanentError, Provisional, Query, TransientError, Viewer
from gatewayd.api.directory import Basis, DirectoryLook
from gatewayd.config import AccountConfig, Config, ImportConfig
from gatewayd.importing.rematch import correct, retry
from gatewayd.matching import Matching, MatchResult, MatchRun, OperatorResult
from gatewayd.message.mail import unread
from gatewayd.scheduler.verdict_correction import Corrector
from gatewayd.testing import FakeDirectory, FakeTransport, make_contact, make_record
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from tests.unit.heard import events
from tests.unit.kernel import BOOKING, Gateway, directory, matcher, spec
from tests.unit.outgoing.test_routing import router, rule
from tests.unit.supervised import until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pytest

    from gatewayd import Contact, Directory, Finding, Mail, Record
    from gatewayd.api.events import MailFiled
    from gatewayd.matching import MatchRequest, OperatorSpec
    from gatewayd.outgoing.routing import Router

ACME = Viewer(operator="acme")
SALES = {"customer": ("sales",)}
NOW = datetime.now(UTC)


class Records:
    """What a directory knows: whether a booking is there, and who is a contact."""

    def __init__(self) -> None:
        self.version = 1
        self.booking = False
        self.contacts = {"anna@example.com"}
        self.outdated = ""
        self.down = False
        self.asked = 0


def known(records: Records) -> type[FakeDirectory]:
    class Told(FakeDirectory):
        def contents(self) -> Contents:
            return Contents(version=str(records.version), outdated=records.outdated)

        def reservations(self, codes: Collection[str]) -> Mapping[str, Sequence[Record]]:
            if records.down:
                raise TransientError("away")
            records.asked += 1
            return {code: [BOOKING] for code in codes if records.booking}

        def contacts(self, emails: Collection[str]) -> Mapping[str, Sequence[Contact]]:
            nord = make_record("customer", "C1")
            return {one: [make_contact(nord, one, contact_type="sales")] for one in emails if one in records.contacts}

    return Told


def books(mails: Sequence[Mail], directory: Directory) -> Iterable[Finding]:
    found = directory.reservations({"B-756"}).get("B-756", ())
    return [Link(mail.id, record, "its code") for mail in mails for record in found]


class Site:
    """One account, a real store, and rules that send on what is linked to a booking."""

    def __init__(self, folder: Path, records: Records, **imports: object) -> None:
        self.records = records
        self.spec = spec("acme", "books", known=True)
        self.imports = ImportConfig(**imports)  # type: ignore[arg-type]
        made = [directory(base=known(records)), matcher("books", books)]
        self.gateway = Gateway(folder, FakeTransport(account="main"), imports=self.imports, plugins=made, specs=[self.spec])
        self.router: Router = router(rule(1, "duty", linked=("reservation",)), rule(2, "crm", unlinked=True))
        self.store = self.gateway.store
        #: What observers hear of.
        self.told: list[MailFiled] = []
        self.events = events(filings_added=self.told.extend)
        self.hand = Custodian.of(self.store, "main", holder=self.gateway.owner.name)

    @property
    def accounts(self) -> Mapping[str, AccountConfig]:
        options = self.gateway.transport.options
        return {"main": AccountConfig(name="main", kind="fake", operators=("acme",), options=options, imports=self.imports)}

    def file(self, number: int, verdict: Provisional | None, *, filed: bool = True) -> int:
        """File a mail with a verdict, and without links."""
        self.hand.enter(str(number))
        filing = make_filing() if filed else make_filing("other")
        outcome = self.hand.outcome(str(number), make_raw(number, sender=f"{'anna' if number < 5 else 'otto'}@example.com"), filing)
        self.hand.commit(replace(outcome, provisional=(verdict,) if verdict else ()))
        return outcome.entry_id

    def look(self) -> None:
        self.gateway.matching.refresh(self.spec)

    def correct(self) -> int:
        return sum(correct(self.store, self.gateway.matching, self.spec, self.accounts, router=self.router, events=self.events))

    def linked(self) -> set[int]:
        return {one.id for one in self.store.filings(ACME, Query()) if one.links}

    def sent(self) -> list[tuple[int, str]]:
        """What goes on by rules, as (mail, target)."""
        taken = [*self.store.take("account out", "me", limit=99, dead=lambda _: True)]
        taken += self.store.take("target acme/crm", "me", limit=99, dead=lambda _: True)
        self.store.give_back("me", [one.id for one in taken])
        return sorted((one.mail_id, one.delivery.target) for one in taken)


@contextmanager
def site(folder: Path, **imports: object) -> Iterator[Site]:
    made = Site(folder, Records(), **imports)
    try:
        yield made
    finally:
        made.gateway.close()


def stale(**more: object) -> Provisional:
    """A verdict by records that were older than the mail."""
    fields: dict[str, object] = {"operator": "acme", "since": NOW - timedelta(minutes=1), "version": "1", "fire": True}
    return Provisional(**(fields | more))  # type: ignore[arg-type]


def test_newer_records_correct_links_and_rules_fire_for_what_did_not_fire_before(tmp_path: Path) -> None:
    with site(tmp_path) as one:
        new, old, final = one.file(1, stale()), one.file(2, stale(fire=False)), one.file(3, None)
        one.records.booking, one.records.version = True, 2
        one.look()
        assert one.correct() == 2
        assert one.linked() == {new, old}
        assert one.sent() == [(new, "duty")], "neither for backlog, nor for a verdict that was final"
        # Once, and never again.
        one.records.version = 3
        one.look()
        assert one.correct() == 0
        assert one.sent() == [(new, "duty")]
        assert final not in one.linked()


def test_records_that_are_the_same_confirm_without_being_asked(tmp_path: Path) -> None:
    with site(tmp_path) as one:
        one.file(1, stale())
        one.records.booking = True
        one.look()
        assert one.correct() == 0
        assert (one.records.asked, one.linked()) == (0, set())
        one.records.version = 2
        one.look()
        assert one.correct() == 0, "it is final"


def test_a_verdict_waits_for_a_load_that_began_after_it(tmp_path: Path) -> None:
    with site(tmp_path) as one:
        one.look()
        mail_id = one.file(1, stale(since=datetime.now(UTC)))
        one.records.booking, one.records.version = True, 2
        assert one.correct() == 0
        one.look()
        assert one.correct() == 1
        assert one.linked() == {mail_id}


def test_a_directory_at_fault_corrects_and_confirms_nothing(tmp_path: Path) -> None:
    with site(tmp_path) as one:
        mail_id = one.file(1, stale())
        one.records.booking, one.records.version, one.records.outdated = True, 2, "it is gone"
        one.look()
        assert one.correct() == 0
        one.records.outdated, one.records.down = "", True
        one.look()
        assert one.correct() == 0
        assert one.store.filings(ACME, Query())[0].faults == (), "what it could not be asked about stays as it is"
        one.records.down = False
        assert one.correct() == 1
        assert one.linked() == {mail_id}


def test_mail_that_was_filed_without_the_directory_is_mended_with_rules(tmp_path: Path) -> None:
    with site(tmp_path) as one:
        one.records.down = True
        one.store.release(one.hand.lease)
        one.gateway.good()
        one.gateway.transport.deliver(make_raw(1), arrival=NOW - timedelta(hours=1))
        one.gateway.good()
        (view,) = one.store.filings(ACME, Query())
        assert [fault.by for fault in view.faults] == ["directory"]
        # Whoever is first mends it, the queue or the correction.
        one.records.down, one.records.booking = False, True
        list(retry(one.store, one.gateway.matching, one.spec, ACME, Query(), router=one.router))
        assert (one.linked(), one.sent()) == ({view.id}, [])
        one.look()
        assert one.correct() == 1
        assert one.sent() == [(view.id, "duty")]


def test_an_operator_that_could_not_decide_admits_later_what_is_stored(tmp_path: Path) -> None:
    with site(tmp_path, contact_types=SALES, error_queue="front") as one:
        verdict = stale(undecided=True, version="")
        anna, otto = one.file(1, verdict, filed=False), one.file(7, verdict, filed=False)
        one.records.booking, one.records.version = True, 2
        one.look()
        assert one.correct() == 1
        assert [each.id for each in one.store.filings(ACME, Query())] == [anna]
        assert one.sent() == [(anna, "duty")]
        (told,) = one.told
        assert (told.account, told.folder, told.key, told.mail_id, told.operators) == ("main", "INBOX", "1", anna, ("acme",))
        assert (told.size, told.backlog) == (len(make_raw(1)), False), "its rules fired"
        one.records.contacts.add("otto@example.com")
        one.records.version = 3
        one.look()
        assert one.correct() == 0, f"{otto} was decided by then"


def test_an_account_that_is_gone_corrects_what_is_filed_and_admits_nothing_until_it_is_back(tmp_path: Path) -> None:
    with site(tmp_path) as one:
        filed = one.file(1, stale())
        back = one.file(2, stale(undecided=True), filed=False)
        one.records.booking, one.records.version = True, 2
        one.look()
        assert sum(correct(one.store, one.gateway.matching, one.spec, {}, router=one.router, events=one.events)) == 1
        assert [each.id for each in one.store.filings(ACME, Query())] == [filed]
        assert one.correct() == 1
        assert {each.id for each in one.store.filings(ACME, Query())} == {filed, back}


def test_what_an_account_has_left_that_is_gone_for_a_week_is_final(tmp_path: Path) -> None:
    with site(tmp_path) as one:
        one.file(2, stale(undecided=True, since=NOW - timedelta(days=8)), filed=False)
        one.look()
        assert sum(correct(one.store, one.gateway.matching, one.spec, {}, router=one.router, events=one.events)) == 0
        assert one.correct() == 0


def test_many_are_corrected_batch_by_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewayd.importing.rematch.BATCH", 2)
    with site(tmp_path) as one:
        ids = {one.file(number, stale()) for number in range(1, 6)}
        one.records.booking, one.records.version = True, 2
        one.look()
        assert one.correct() == 5
        assert one.linked() == ids


# --- what no parser can bear ------------------------------------------------------------------------------------------


class Blind(Matching):
    """Whatever it is given, no parser could bear it."""

    def __init__(self, basis: Basis | None) -> None:
        self._basis = basis

    def refresh(self, _: OperatorSpec) -> list[str]:
        return []

    def basis(self, _: OperatorSpec) -> Basis | None:
        return self._basis

    def begin(self, request: MatchRequest) -> MatchRun:
        class Seen(MatchRun):
            def result(self, _: Callable[[], None]) -> MatchResult:
                empty = [unread(one.source, "it ends the parser", mail_id=one.id) for one in request.raw_mails]
                return MatchResult(
                    mails=tuple(empty), results=tuple(OperatorResult(operator=one.operator.name) for one in request.specs)
                )

            def drop(self) -> None:
                pass

        return Seen()


def test_what_no_parser_could_bear_this_time_keeps_its_links_in_the_queue(tmp_path: Path) -> None:
    with site(tmp_path) as one:
        one.hand.enter("1")
        faulty = make_filing(links=[BOOKING], faults=[FilingFault("codes", "raised")], queue="desk")
        mail_id = one.hand.outcome("1", make_raw(1), faulty).entry_id
        one.hand.commit(one.hand.outcome("1", make_raw(1), faulty))
        ((view,),) = retry(one.store, Blind(None), one.spec, ACME, Query(), router=None)
        assert (view.id, [link.id for link in view.links], view.queue) == (mail_id, ["R9"], "desk")


def test_what_no_parser_could_bear_this_time_stays_provisional(tmp_path: Path) -> None:
    with site(tmp_path) as one:
        one.hand.enter("1")
        filed = one.hand.outcome("1", make_raw(1), make_filing(links=[BOOKING]))
        one.hand.commit(replace(filed, provisional=(stale(),)))
        blind = Blind(Basis(loaded_at=datetime.now(UTC), version="2"))
        assert sum(correct(one.store, blind, one.spec, one.accounts, router=one.router, events=one.events)) == 0
        assert one.linked() == {filed.entry_id}
        one.records.version = 2
        one.look()
        assert one.correct() == 1


# --- beside the daemon's other work -----------------------------------------------------------------------------------


def look(one: Site, *, is_new: bool = True, error: str = "") -> DirectoryLook:
    contents = Contents(version=str(one.records.version), outdated=error)
    return DirectoryLook(
        operator="acme",
        began=datetime.now(UTC),
        loaded_at=None if error else datetime.now(UTC),
        contents=contents,
        error=error,
        news=(),
        is_new=is_new,
        error_before="",
    )


class Workers:
    """As much of the workers as the corrector uses."""

    def __init__(self, one: Site) -> None:
        self._one = one
        self.directories = self

    def healths(self) -> Sequence[object]:
        from gatewayd import DirectoryHealth  # noqa: PLC0415  only here

        return [DirectoryHealth(operator="acme", condition="current", version=str(self._one.records.version))]

    def __getattr__(self, name: str) -> object:
        return getattr(self._one.gateway.matching, name)


@contextmanager
def corrector(one: Site, hurried: list[str]) -> Iterator[Corrector]:
    made = Corrector(one.store, Workers(one), "me", hurried.extend, one.events)  # type: ignore[arg-type]
    config = Config(
        folder=one.gateway.folder,
        state=one.gateway.folder,
        store_kind="sql",
        store_options=one.store.options,
        registry=one.gateway.matching._registry,
        accounts=one.accounts,
    )
    made.apply(config, {"acme": one.spec}, one.router)
    try:
        yield made
    finally:
        made.stop(5)


def test_a_good_look_is_followed_up(tmp_path: Path) -> None:
    with site(tmp_path, contact_types=SALES) as one:
        hurried: list[str] = []
        with corrector(one, hurried) as corrects:
            mail_id = one.file(1, stale())
            one.records.booking, one.records.version = True, 2
            one.look()
            corrects.looked(look(one, error="it is gone"))
            corrects.looked(look(one))
            until(lambda: one.linked() == {mail_id})
            until(lambda: [each.holder for each in one.store.directories()] == ["me"])
            assert hurried == [], "nothing of the account is not admitted"
        assert not [thread for thread in threading.enumerate() if thread.name == "correcting"]


def test_accounts_with_mail_that_is_not_admitted_are_visited_when_records_changed(tmp_path: Path) -> None:
    with site(tmp_path, contact_types=SALES) as one:
        one.store.release(one.hand.lease)
        one.gateway.transport.deliver(make_raw(1, sender="otto@example.com"), arrival=NOW)
        assert one.gateway.good().tally.not_admitted == 1
        hurried: list[str] = []
        with corrector(one, hurried) as corrects:
            corrects.looked(look(one, is_new=False))
            until(lambda: not corrects._looks)
            corrects.looked(look(one))
            until(lambda: hurried == ["main"])


def test_so_are_those_with_mail_that_the_operator_refused_and_others_did_not(tmp_path: Path) -> None:
    with site(tmp_path, contact_types=SALES) as one:
        one.hand.enter("1")
        filed = one.hand.outcome("1", make_raw(1), make_filing("other"))
        one.hand.commit(replace(filed, refused_by=("acme",), senders=("otto@example.com",)))
        hurried: list[str] = []
        with corrector(one, hurried) as corrects:
            corrects.looked(look(one))
            until(lambda: hurried == ["main"])


def test_what_could_not_be_followed_up_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewayd.scheduler.verdict_correction._AGAIN", 0.05)
    with site(tmp_path) as one:
        mail_id = one.file(1, stale())
        one.records.booking, one.records.version = True, 2
        one.look()
        failing = [TransientError("the store is away"), PermanentError("no")]
        provisional = one.store.provisional

        def away(*asked: object, **more: object) -> object:
            if failing:
                raise failing.pop()
            return provisional(*asked, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(one.store, "provisional", away)
        with corrector(one, []) as corrects:
            corrects.looked(look(one))
            until(lambda: one.linked() == {mail_id})


class Buggy:
    """A store that fails once, as no store may, when it is asked for accounts with refused mail."""

    def __init__(self, store: object) -> None:
        self._store = store
        self.failed = False

    def __getattr__(self, name: str) -> object:
        if name == "with_refused" and not self.failed:
            self.failed = True
            raise ZeroDivisionError
        return getattr(self._store, name)


def test_a_bug_in_following_up_a_look_costs_no_account_its_visit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewayd.scheduler.verdict_correction._AGAIN", 0.05)
    with site(tmp_path, contact_types=SALES) as one:
        one.store.release(one.hand.lease)
        one.gateway.transport.deliver(make_raw(1, sender="otto@example.com"), arrival=NOW)
        assert one.gateway.good().tally.not_admitted == 1
        one.store = Buggy(one.store)  # type: ignore[assignment]
        hurried: list[str] = []
        with corrector(one, hurried) as corrects:
            corrects.looked(look(one))
            until(lambda: hurried == ["main"], within=10)
