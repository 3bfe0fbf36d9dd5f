"""Tests of every store: mail that was not admitted, and provisional verdicts on stored mail."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatewayd import (
    DirectoryHealth,
    Entry,
    FilingFault,
    Judged,
    LeaseLost,
    Listed,
    NotAdmitted,
    Provisional,
    Query,
    Retry,
    Vanished,
    Viewer,
)
from gatewayd.testing.contracts.custodian import ACME, Custodian, make_delivery, make_filing, make_raw, nobody_is_dead
from gatewayd.testing.fakes import make_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd import Refused, Store

__all__ = ["AdmissionContract"]

_NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)
_ROME, _OSLO = make_record("reservation", "R1", code="B-1"), make_record("reservation", "R2", code="B-2")


def _refuse(shared: Custodian, key: str, *senders: str, since: datetime | None = None, backlog: bool = False) -> int:
    shared.enter(Entry(listed=Listed(key), backlog=backlog))
    entry_id = shared.entry(key)
    shared.commit(NotAdmitted(entry_id=entry_id, anchor=f"anchor {key}", cause="nobody", senders=senders, since=since))
    return entry_id


def _refusals(shared: Custodian) -> Sequence[Refused]:
    return shared.store.refusals("shared", "INBOX", after=0, limit=100)


def _doubt(shared: Custodian, key: str, *verdicts: Provisional, operators: Sequence[str] = ("acme",)) -> int:
    """File a mail with provisional verdicts."""
    shared.enter(key)
    filed = shared.outcome(key, make_raw(int(key)), *(make_filing(operator, links=[_ROME]) for operator in operators))
    shared.commit(replace(filed, provisional=verdicts))
    return filed.entry_id


class AdmissionContract:
    """Part of ``StoreContract``."""

    # --- keys that are not admitted -----------------------------------------------------------------------------------

    def test_who_sent_what_is_not_admitted_is_kept(self, store: Store, shared: Custodian) -> None:
        first = _refuse(shared, "1", "a@x.example", "b@x.example")
        since = datetime.now(UTC).replace(microsecond=0)
        second = _refuse(shared, "2", since=since)
        assert [(each.entry_id, each.key, each.senders, each.since) for each in _refusals(shared)] == [
            (first, "1", ("a@x.example", "b@x.example"), None),
            (second, "2", (), since),
        ]
        assert [each.key for each in store.refusals("shared", "INBOX", after=first, limit=1)] == ["2"]
        assert store.refusals("shared", "Other", after=0, limit=9) == []
        assert store.with_refused(["shared", "other"]) == {"shared"}

    def test_senders_that_were_not_kept_are_named_later(self, store: Store, shared: Custodian) -> None:
        entry_id = _refuse(shared, "1")
        store.name_senders(shared.lease, {entry_id: ["a@x.example"]})
        assert [each.senders for each in _refusals(shared)] == [("a@x.example",)]

    def test_a_person_who_admits_it_while_its_senders_are_asked_for_is_heard(self, store: Store, shared: Custodian) -> None:
        entry_id = _refuse(shared, "1")
        store.admit("shared", [entry_id], ["acme"])
        store.name_senders(shared.lease, {entry_id: ["a@x.example"]})
        assert store.readmitted("shared", "INBOX") == {entry_id: ("acme",)}

    def test_what_is_admitted_now_waits_as_backlog_and_a_provisional_one_as_what_it_was(
        self, store: Store, shared: Custodian
    ) -> None:
        lately = datetime.now(UTC) - timedelta(days=1)
        old = _refuse(shared, "1", "a@x")
        new = _refuse(shared, "2", "a@x", since=lately)
        offered = _refuse(shared, "3", "a@x", since=lately, backlog=True)
        expired = _refuse(shared, "4", "a@x", since=datetime.now(UTC) - timedelta(days=8))
        assert [each.since is None for each in _refusals(shared)] == [True, False, False, True]
        left = _refuse(shared, "5", "b@x", since=lately)
        assert store.rejudge(shared.lease, admitted=[old, new, offered, expired], refused=[left]) == 4  # noqa: PLR2004  all of them
        assert {each.listed.key: each.backlog for each in shared.waiting()} == {"1": True, "2": False, "3": True, "4": True}
        assert [(each.key, each.since) for each in _refusals(shared)] == [("5", None)]
        assert store.readmitted("shared", "INBOX") == {old: (), new: (), offered: (), expired: ()}
        # What waits, or is filed, is not refused any more.
        assert store.rejudge(shared.lease, admitted=[old], refused=[]) == 0

    def test_what_is_gone_stays_as_it_is(self, store: Store, shared: Custodian) -> None:
        gone = _refuse(shared, "1", "a@x")
        shared.enter(standing=[])
        assert _refusals(shared) == []
        assert store.with_refused(["shared"]) == frozenset()
        assert store.rejudge(shared.lease, admitted=[gone], refused=[]) == 0
        assert store.admit("shared", [gone], ["acme"]) == 0
        assert shared.states("1") == {"1": "not admitted"}

    def test_what_was_not_admitted_and_is_gone_when_it_is_fetched_stays_not_admitted(self, store: Store, shared: Custodian) -> None:
        entry_id = _refuse(shared, "1", "a@x")
        store.rejudge(shared.lease, admitted=[entry_id], refused=[])
        shared.commit(Vanished(entry_id=entry_id, cause="gone", refused=True))
        assert shared.states("1") == {"1": "not admitted"}
        assert _refusals(shared) == []

    def test_it_can_be_not_admitted_again_and_again(self, store: Store, shared: Custodian) -> None:
        entry_id = _refuse(shared, "1", "a@x")
        for sender in ("b@x", "c@x"):
            assert store.rejudge(shared.lease, admitted=[entry_id], refused=[]) == 1
            shared.commit(NotAdmitted(entry_id=entry_id, anchor="x", cause="nobody", senders=(sender,)))
            assert [each.senders for each in _refusals(shared)] == [(sender,)]

    def test_a_person_admits_for_operators(self, store: Store, shared: Custodian) -> None:
        first, second = _refuse(shared, "1", "a@x"), _refuse(shared, "2", "a@x")
        assert store.admit("other", [first], ["acme"]) == 0
        assert store.admit("shared", [first, first, 4711], ["nord", "acme"]) == 1
        assert store.readmitted("shared", "INBOX") == {first: ("acme", "nord")}
        assert store.readmitted("shared", "Other") == {}
        assert [(each.listed.key, each.backlog) for each in shared.waiting()] == [("1", True)]
        assert [each.entry_id for each in _refusals(shared)] == [second]
        # Once it is filed, it waits no more.
        shared.commit(shared.outcome("1", make_raw()))
        assert store.readmitted("shared", "INBOX") == {}

    def test_a_renumbered_key_takes_its_senders_along(self, shared: Custodian) -> None:
        entry_id = _refuse(shared, "1", "a@x")
        shared.enter(Entry(listed=Listed("9"), same_as=entry_id), standing=["9"])
        assert [(each.key, each.senders) for each in _refusals(shared)] == [("9", ("a@x",))]

    def test_what_waits_undecided_is_due_when_it_can_be_decided(self, store: Store, shared: Custodian) -> None:
        shared.enter("1", "2", "3")
        down = {"cause": "the directory is down", "retry_after": 9999.0, "senders": ("a@x",)}
        undecided = Retry(entry_id=shared.entry("1"), since=_NOW, **down)  # type: ignore[arg-type]
        # That directory could be asked, and did not answer: it is tried as rarely as anything.
        again = Retry(entry_id=shared.entry("3"), **down)  # type: ignore[arg-type]
        shared.commit(undecided, Retry(entry_id=shared.entry("2"), cause="busy", retry_after=9999), again)
        assert shared.waiting() == []
        assert store.with_refused(["shared", "other"]) == {"shared"}
        assert store.hasten(shared.lease, before=_NOW) == 0
        assert store.hasten(shared.lease, before=_NOW + timedelta(seconds=1)) == 1
        assert [each.listed.key for each in shared.waiting()] == ["1"]
        assert store.readmitted("shared", "INBOX") == {}, "it was never refused"
        assert store.hasten(shared.lease, before=_NOW + timedelta(seconds=1)) == 0
        # Without a time all that could not be decided, and not what is merely busy.
        assert store.hasten(shared.lease, before=None) == 1
        assert [each.listed.key for each in shared.waiting()] == ["1", "3"]
        assert store.hasten(shared.lease, before=None) == 0

    def test_by_what_it_was_judged_is_remembered_for_each_operator(self, store: Store, shared: Custodian) -> None:
        assert store.judged("shared") == {}
        judged = {"acme": Judged(settings="s", version="1"), "nord": Judged(settings="s", version="7")}
        store.remember_judged(shared.lease, judged)
        assert store.judged("shared") == judged
        store.remember_judged(shared.lease, {"acme": Judged(settings="t", version="2")})
        assert store.judged("shared") == {"acme": Judged(settings="t", version="2")}
        assert store.judged("other") == {}

    def test_admission_is_fenced(self, store: Store, shared: Custodian) -> None:
        entry_id = _refuse(shared, "1", "a@x")
        store.take_lease("shared", "two", dead=lambda _: True)
        for write in (
            lambda: store.rejudge(shared.lease, admitted=[entry_id], refused=[]),
            lambda: store.name_senders(shared.lease, {entry_id: ["b@x"]}),
            lambda: store.remember_judged(shared.lease, {}),
        ):
            with pytest.raises(LeaseLost):
                write()
        assert [each.senders for each in _refusals(shared)] == [("a@x",)]

    # --- provisional verdicts -----------------------------------------------------------------------------------------

    def test_verdicts_of_before_a_load_are_given_again_and_younger_ones_are_not(self, store: Store, shared: Custodian) -> None:
        verdict = Provisional(operator="acme", since=_NOW, version="7", fire=True)
        first = _doubt(shared, "1", verdict, Provisional(operator="nord", since=_NOW, undecided=True))
        second = _doubt(shared, "2", Provisional(operator="acme", since=_NOW + timedelta(seconds=2)))
        (found,) = store.provisional("acme", before=_NOW + timedelta(seconds=1), after=0, limit=9)
        assert (found.mail_id, found.account, found.filed, found.verdict) == (first, "shared", True, verdict)
        later = _NOW + timedelta(hours=1)
        assert [each.mail_id for each in store.provisional("acme", before=later, after=0, limit=9)] == [first, second]
        assert [each.mail_id for each in store.provisional("acme", before=later, after=first, limit=9)] == [second]
        (found,) = store.provisional("nord", before=later, after=0, limit=9)
        assert (found.filed, found.verdict.undecided, found.verdict.fire) == (False, True, False)
        shared.enter("3")
        personal = replace(shared.outcome("3", make_raw(3), make_filing(user="irina")), provisional=(verdict,))
        shared.commit(personal)
        assert [each.user for each in store.provisional("acme", before=later, after=0, limit=9)] == [None, None, "irina"]
        store.confirm("acme", [first, second, personal.entry_id])
        assert store.provisional("acme", before=later, after=0, limit=9) == []
        assert store.provisional("nord", before=later, after=0, limit=9)

    def test_a_duplicate_has_no_verdict_of_its_own(self, store: Store, shared: Custodian) -> None:
        shared.file("1", make_raw(1))
        shared.enter("2")
        same = replace(shared.outcome("2", make_raw(1)), provisional=(Provisional(operator="acme", since=_NOW),))
        assert shared.commit(same).duplicate == 1
        assert store.provisional("acme", before=_NOW + timedelta(days=1), after=0, limit=9) == []

    def test_a_corrected_filing_has_what_is_said_now_and_what_people_said_stays(self, store: Store, shared: Custodian) -> None:
        mail_id = _doubt(shared, "1", Provisional(operator="acme", since=_NOW))
        by_hand = make_record("customer", "C1", "Nord")
        store.link(ACME, mail_id, [by_hand], who="anna", because="linked by hand")
        fault = FilingFault("directory", "away")
        new = make_filing(links=[_OSLO], faults=[fault], queue="desk")
        assert store.correct("acme", [(mail_id, new), (4711, new)]) == 1
        (view,) = store.filings(ACME, Query())
        assert {link.id for link in view.links} == {"C1", "R2"}
        assert (view.faults, view.queue) == ((fault,), "desk")
        # Whoever comes second finds it done.
        assert store.correct("acme", [(mail_id, make_filing(links=[_ROME]))]) == 0
        assert {link.id for link in store.filings(ACME, Query())[0].links} == {"C1", "R2"}

    def test_an_operator_that_could_not_decide_gets_its_filing_later(self, store: Store, shared: Custodian) -> None:
        mail_id = _doubt(shared, "1", Provisional(operator="nord", since=_NOW, undecided=True))
        nord = Viewer(operator="nord", users=("irina",))
        assert store.filings(nord, Query()) == []
        assert store.correct("nord", [(mail_id, make_filing("nord", user="irina", links=[_OSLO]))]) == 1
        (view,) = store.filings(nord, Query())
        assert (view.user, [link.id for link in view.links]) == ("irina", ["R2"])
        assert store.filings(Viewer(operator="nord"), Query()) == []

    def test_a_target_that_got_the_mail_by_a_rule_gets_it_by_no_other_rule_again(self, store: Store, shared: Custodian) -> None:
        shared.enter("1")
        verdict = Provisional(operator="acme", since=_NOW, fire=True)
        sent = replace(make_filing(), deliveries=(make_delivery(1, target="duty", cause="rule 2"),))
        filed = replace(shared.outcome("1", make_raw(1), sent), provisional=(verdict,))
        shared.commit(filed)
        both = (make_delivery(2, target="duty", cause="rule 1"), make_delivery(3, target="crm", cause="rule 1"))
        assert store.correct("acme", [(filed.entry_id, replace(make_filing(), deliveries=both))]) == 1
        taken = store.take("account out", "me", limit=9, dead=nobody_is_dead)
        assert [(each.delivery.target, each.delivery.cause) for each in taken] == [("duty", "rule 2"), ("crm", "rule 1")]

    # --- directories --------------------------------------------------------------------------------------------------

    def test_how_directories_are_is_kept_until_it_is_told_anew(self, store: Store) -> None:
        full = DirectoryHealth(
            operator="acme",
            holder="me",
            condition="outdated",
            loaded_at=_NOW,
            looked_at=_NOW + timedelta(seconds=5),
            version="7",
            rows=(("persons.csv", 812), ("contacts.csv", 3)),
            faults=("persons.csv:17: it is not UTF-8 \udc80",),
            warnings=("persons.csv:18: 'x' is no mail address",),
            error="contacts.csv: the file is gone",
        )
        store.tell_directories([full, DirectoryHealth(operator="Nord", holder="me")])
        nord, acme = store.directories()
        assert nord == DirectoryHealth(operator="Nord", holder="me")
        assert (acme.rows, acme.loaded_at, acme.error) == (full.rows, full.loaded_at, full.error)
        store.tell_directories([DirectoryHealth(operator="acme", holder="you", condition="current")])
        store.tell_directories([])
        assert [(one.operator, one.holder, one.condition) for one in store.directories()] == [
            ("Nord", "me", "new"),
            ("acme", "you", "current"),
        ]
