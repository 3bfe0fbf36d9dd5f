"""Which verdicts a correction gives again, for whom, and what of a filing it leaves as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gatewayd import FilingFault, Origin, Query, Viewer
from gatewayd.api.directory import Basis
from gatewayd.importing.rematch import correct, retry
from gatewayd.outgoing.routing import Router
from gatewayd.runtime.events import Events
from gatewayd.testing.contracts.custodian import make_filing, make_raw
from tests.unit.importing.test_backfilling import answer
from tests.unit.outgoing.test_routing import SIGNER, config, nothing
from tests.unit.scheduler.test_verdict_correction import ACME, SALES, Site, site, stale

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gatewayd import Provisional
    from gatewayd.config import AccountConfig
    from gatewayd.matching import LocalMatching, MatchRequest, MatchRun, OperatorSpec


def corrected(one: Site, account: Mapping[str, object], *, router: Router | None = None) -> int:
    """Correct with the account changed so; return how many verdicts are others."""
    changed: Mapping[str, AccountConfig] = {"main": replace(one.accounts["main"], **account)}  # type: ignore[arg-type]
    return sum(correct(one.store, one.gateway.matching, one.spec, changed, router=router or one.router, events=Events()))


def news(one: Site) -> None:
    """Let the directory have newer records, with the booking."""
    one.records.booking, one.records.version = True, one.records.version + 1
    one.look()


def enter(one: Site, raw: bytes, verdict: Provisional, *, operator: str = "acme", owner: str | None = None) -> int:
    """File a mail for an operator, with a verdict about acme."""
    one.hand.enter("1")
    outcome = one.hand.outcome("1", raw, make_filing(operator, user=owner))
    one.hand.commit(replace(outcome, provisional=(verdict,)))
    return outcome.entry_id


class Says:
    """The matching, but it says otherwise by which records the directory answers."""

    def __init__(self, matching: LocalMatching, basis: Basis | None) -> None:
        self._matching = matching
        self._basis = basis

    def basis(self, _: OperatorSpec) -> Basis | None:
        return self._basis

    def begin(self, request: MatchRequest) -> MatchRun:
        return self._matching.begin(request)


@pytest.mark.parametrize(
    "basis",
    [
        None,
        Basis(loaded_at=None, version="2"),
        Basis(loaded_at=datetime.max.replace(tzinfo=UTC), version="2", fault="it is stale"),
        # By the same version it would be confirmed.
        Basis(loaded_at=datetime.max.replace(tzinfo=UTC), version="1", fault="it is stale"),
    ],
)
def test_without_a_sound_directory_nothing_is_corrected_and_nothing_confirmed(tmp_path: Path, basis: Basis | None) -> None:
    with site(tmp_path) as one:
        mail_id = one.file(1, stale())
        news(one)
        says = Says(one.gateway.matching, basis)
        assert list(correct(one.store, says, one.spec, one.accounts, router=one.router, events=Events())) == []  # type: ignore[arg-type]
        assert one.correct() == 1
        assert one.linked() == {mail_id}


def test_records_that_tell_no_version_are_asked_again_though_it_may_be_the_same(tmp_path: Path) -> None:
    with site(tmp_path) as one:
        one.records.version = ""  # type: ignore[assignment]
        one.look()
        basis = one.gateway.matching.basis(one.spec)
        assert basis
        mail_id = one.file(1, stale(version=basis.version))
        one.records.booking = True
        assert one.correct() == 1
        assert one.linked() == {mail_id}


def test_what_was_undecided_is_decided_by_the_same_records(tmp_path: Path) -> None:
    with site(tmp_path, contact_types=SALES) as one:
        mail_id = one.file(1, stale(undecided=True), filed=False)
        one.look()
        assert one.correct() == 1
        assert [each.id for each in one.store.filings(ACME, Query())] == [mail_id]


@pytest.mark.parametrize(("account", "later"), [({"operators": ("other",)}, 0), ({"imports": None}, 1)])
def test_an_account_that_is_no_longer_imported_for_the_operator_admits_nothing_more(
    tmp_path: Path, account: dict[str, object], later: int
) -> None:
    with site(tmp_path) as one:
        filed = one.file(1, stale())
        one.file(2, stale(undecided=True), filed=False)
        news(one)
        assert corrected(one, account) == 1
        assert one.linked() == {filed}
        assert [each.id for each in one.store.filings(ACME, Query())] == [filed]
        assert one.correct() == later, "it is final where another operator is served, and else once it is imported again"


def test_what_is_filed_stays_filed_though_its_sender_would_not_be_admitted(tmp_path: Path) -> None:
    with site(tmp_path, contact_types=SALES) as one:
        mail_id = one.file(7, stale())
        news(one)
        assert one.correct() == 1
        assert one.linked() == {mail_id}


def test_what_a_matcher_fails_at_is_corrected_and_stands_in_the_accounts_queue(tmp_path: Path) -> None:
    with site(tmp_path, error_queue="front") as one:
        mail_id = one.file(1, stale())
        one.spec = replace(one.spec, matchers=(*one.spec.matchers, ("missing", one.spec.matchers[0][1])))
        news(one)
        assert one.correct() == 1
        (view,) = one.store.filings(ACME, Query(faulty=True))
        assert (view.id, view.queue, [fault.by for fault in view.faults]) == (mail_id, "front", ["missing"])
        assert one.linked() == {mail_id}


@pytest.mark.parametrize(
    "raw", [b"\r\nNo word of where it comes from\r\n", b"From: anna@example.com, @@\r\n\r\nText\r\n", b"A: b\r\n\r\n"]
)
def test_odd_mail_that_could_be_read_is_corrected_and_taken_out_of_its_queue_like_any(tmp_path: Path, raw: bytes) -> None:
    with site(tmp_path) as one:
        mail_id = enter(one, raw, stale())
        news(one)
        assert one.correct() == 1
        assert one.linked() == {mail_id}
    (tmp_path / "again").mkdir()
    with site(tmp_path / "again") as one:
        one.hand.enter("1")
        one.hand.commit(one.hand.outcome("1", raw, make_filing(faults=[FilingFault("books", "raised")], queue="desk")))
        news(one)
        ((view,),) = retry(one.store, one.gateway.matching, one.spec, ACME, Query(), router=None)
        assert ([link.id for link in view.links], [fault.by for fault in view.faults if fault.by != "parser"]) == (["R9"], [])


def test_a_retry_looks_at_the_directory_first(tmp_path: Path) -> None:
    with site(tmp_path) as one:
        one.hand.enter("1")
        one.hand.commit(one.hand.outcome("1", b"A: b\r\n\r\n", make_filing(faults=[FilingFault("books", "raised")], queue="desk")))
        one.records.version = 7
        list(retry(one.store, one.gateway.matching, one.spec, ACME, Query(), router=None))
        basis = one.gateway.matching.basis(one.spec)
        assert basis
        assert basis.version == "7"


def test_P6_what_a_personal_account_is_admitted_for_later_is_its_users(tmp_path: Path) -> None:
    with site(tmp_path) as one:
        mail_id = one.file(1, stale(undecided=True, version=""), filed=False)
        news(one)
        assert corrected(one, {"user": "irina"}) == 1
        assert one.store.filings(ACME, Query()) == []
        assert [each.id for each in one.store.filings(Viewer(operator="acme", users=("irina",)), Query())] == [mail_id]


@pytest.mark.parametrize("accounts", [{}, {"main": {}}, {"main": {"user": "otto"}}, {"main": {"user": "irina"}}])
def test_P6_personal_mail_that_is_corrected_is_its_users_whatever_became_of_the_account(
    tmp_path: Path, accounts: dict[str, dict[str, object]]
) -> None:
    with site(tmp_path) as one:
        enter(one, make_raw(1), stale(), owner="irina")
        news(one)
        known = {name: replace(one.accounts[name], **more) for name, more in accounts.items()}  # type: ignore[arg-type]
        assert sum(correct(one.store, one.gateway.matching, one.spec, known, router=one.router, events=Events())) == 1
        (view,) = one.store.filings(Viewer(operator="acme", users=("irina",)), Query())
        assert (view.user, [link.id for link in view.links]) == ("irina", ["R9"])
        assert one.store.filings(ACME, Query()) == []
        assert one.sent() == [], "no rule names the account"


@pytest.mark.parametrize("filed", [False, True])
def test_P6_what_comes_back_from_anothers_delivery_is_not_admitted_but_what_is_filed_is_corrected(
    tmp_path: Path, *, filed: bool
) -> None:
    ours = SIGNER.message_id("mail", "example.com")
    with site(tmp_path) as one:
        account = replace(one.accounts["main"], operators=("acme", "other"))
        known = replace(config(), accounts={"main": account})
        router = Router(known, SIGNER, nothing, origins=lambda _, __: [Origin(message_id=ours, operator="other", user=None)])
        mail_id = enter(one, answer(1, ours), stale(undecided=not filed, version=""), operator="acme" if filed else "other")
        news(one)
        assert corrected(one, {"operators": ("acme", "other")}, router=router) == int(filed)
        assert one.linked() == ({mail_id} if filed else set())
        assert len(one.store.filings(ACME, Query())) == int(filed)
        (view,) = one.store.filings(Viewer(operator="acme" if filed else "other"), Query())
        assert view.id == mail_id
        assert one.correct() == 0, "it is final"
