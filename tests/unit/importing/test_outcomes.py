"""Every key asked for gets exactly one outcome."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import (
    AuthError,
    Failed,
    Filed,
    FilingFault,
    Gone,
    Link,
    Listed,
    NotAdmitted,
    PermanentError,
    Retry,
    Rivals,
    Spool,
    TransientError,
    Vanished,
    Waiting,
)
from gatewayd.api.directory import Basis
from gatewayd.api.sizes import Sizes
from gatewayd.config import ImportConfig
from gatewayd.importing.fetching import Batch, fetch
from gatewayd.importing.outcomes import AccountRouting, believed, filings, match_request, outcomes
from gatewayd.matching import LocalMatching, MatchResult, OperatorResult
from gatewayd.message.mail import parse
from gatewayd.testing import make_mail, make_record
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.batches import Answers, came, matched, waiting
from tests.unit.kernel import registry, spec

if TYPE_CHECKING:
    from pathlib import Path


def test_every_key_gets_the_outcome_of_its_answer(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool") as spool:
        asked = [waiting(number) for number in range(1, 6)]
        session: Any = Answers(came(spool, 2), Gone(key="3", cause="expunged"), Failed(key="1", cause="refused"), came(spool, 5))
        batch = fetch(session, "INBOX", asked, spool)
        done = matched(batch)
    assert {number: type(one) for number, one in done.items()} == {1: Retry, 2: Filed, 3: Vanished, 4: Retry, 5: Filed}
    assert (done[1].cause, done[3].cause, done[4].cause) == ("refused", "expunged", "the server did not answer for it")
    assert done[2].digest == batch.came[0].digest  # type: ignore[union-attr]
    assert [link.mail_id for _, link in done[5].filings[0].links] == [5]


@pytest.mark.parametrize("error", [TransientError("lost"), KeyError("bug"), AuthError("token"), PermanentError("no folder")])
def test_what_came_before_an_error_is_kept_and_the_rest_waits_on(tmp_path: Path, error: Exception) -> None:
    with Spool(tmp_path / "spool") as spool:
        session: Any = Answers(came(spool, 1), error)
        batch = fetch(session, "INBOX", [waiting(1), waiting(2), waiting(3)], spool)
        assert batch.error is error
        assert matched(batch).keys() == {1}


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (TransientError("lost", advice="Find it."), "lost. Find it."),
        (KeyError("bug"), "KeyError"),
        (AuthError("token"), ""),
        (PermanentError("no folder"), ""),
    ],
)
def test_P4_a_session_that_ends_at_once_lets_others_go_before_that_message(tmp_path: Path, error: Exception, blamed: str) -> None:
    with Spool(tmp_path / "spool") as spool:
        session: Any = Answers(error)
        done = matched(fetch(session, "INBOX", [waiting(1), waiting(2)], spool))
    assert [one.entry_id for one in done.values()] == ([1] if blamed else [])
    assert all(isinstance(one, Retry) and blamed in one.cause for one in done.values())


def test_P4_a_session_that_we_ended_ourselves_is_no_messages_fault(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool") as spool:
        session: Any = Answers(TransientError("aborted"))
        batch = fetch(session, "INBOX", [waiting(1), waiting(2)], spool)
        found = LocalMatching(registry()).begin(match_request(batch, [spec()], ImportConfig())).result(lambda: None)
        assert outcomes(batch, found, ImportConfig(), None, ours=True) == []
        (deferred,) = outcomes(batch, found, ImportConfig(), None)
    assert isinstance(deferred, Retry)


@given(st.integers(0, 60) | st.just(1_000_000))
def test_P8_waits_grow_to_a_day_and_no_further(tries: int) -> None:
    session: Any = Answers(Failed(key="1", cause="busy"))
    spool: Any = None
    batch = Batch(asked=[waiting(1, tries=tries)], came=list(session.fetch("", [], spool)), spool=spool)
    wait = matched(batch)[1].retry_after
    assert 0.8 * min(10 * 2**tries, 86400) <= wait <= 1.2 * min(10 * 2**tries, 86400)


def test_nobody_is_asked_about_a_batch_without_mail(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool") as spool:
        batch = Batch(asked=[waiting(1)], came=[Gone(key="1")], spool=spool)
        imports = ImportConfig(contact_types={"customer": ("sales",)})
        # There is no directory to decide with, and nothing to decide.
        assert {type(one) for one in matched(batch, imports=imports).values()} == {Vanished}


def test_what_no_operator_admits_is_not_admitted_and_keeps_its_anchor(tmp_path: Path) -> None:
    imports = ImportConfig(contact_types={"customer": ("sales",)})
    with Spool(tmp_path / "spool") as spool:
        raw = make_raw(2, sender="stranger@example.com")
        batch = Batch(asked=[waiting(1), waiting(2)], came=[came(spool, 1), came(spool, 2, raw)], spool=spool)
        spool.seal()
        done = matched(batch, imports=imports, known=True)
    assert (type(done[1]), type(done[2])) == (Filed, NotAdmitted)
    assert done[2].anchor


def test_P4_a_mail_that_no_parser_can_bear_is_filed_with_the_fault(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool") as spool:
        batch = Batch(asked=[waiting(1)], came=[came(spool, 1, b"\0" * 100)], spool=spool)
        spool.seal()
        (filed,) = matched(batch).values()
    assert isinstance(filed, Filed)
    assert [fault.by for fault in filed.filings[0].faults] == ["parser"]


def test_the_arrival_is_the_servers_or_now(tmp_path: Path) -> None:
    arrival = datetime(2026, 1, 5, tzinfo=UTC)
    with Spool(tmp_path / "spool") as spool:
        asked = [Waiting(entry_id=1, listed=Listed("1", 1, arrival), backlog=False, tries=0), waiting(2)]
        batch = Batch(asked=asked, came=[came(spool, 1), came(spool, 2)], spool=spool)
        spool.seal()
        done = matched(batch)
    assert done[1].mail.received_at == arrival
    assert abs((datetime.now(UTC) - done[2].mail.received_at).total_seconds()) < 60


def test_P6_filings_of_two_operators_are_kept_apart() -> None:
    mails = [make_mail(mail_id=1), make_mail(mail_id=2)]
    found = [OperatorResult(operator="acme", refused=frozenset({2})), OperatorResult(operator="globetrot")]
    filed = filings(mails, found, user="irina", queue="front")
    assert [(mail_id, one.operator) for mail_id, several in filed.items() for one in several] == [
        (1, "acme"),
        (1, "globetrot"),
        (2, "globetrot"),
    ]
    assert {(one.user, one.queue) for several in filed.values() for one in several} == {("irina", "front")}


def test_links_rivals_and_faults_come_to_the_mail_that_they_are_of() -> None:
    record = make_record("customer", "C1")
    found = OperatorResult(
        operator="acme",
        links=(("contacts", Link(1, record, "from it")),),
        rivals=(("codes", Rivals(2, (record, record), "two fit")),),
        faults=((2, FilingFault("codes", "raised")),),
    )
    filed = filings([make_mail(mail_id=1), make_mail(mail_id=2)], [found], user=None, queue="front")
    (first,), (second,) = filed[1], filed[2]
    assert (first.links, first.rivals, first.faults) == (found.links, (), ())
    assert (second.links, second.rivals, second.faults) == ((), found.rivals, (found.faults[0][1],))


@pytest.mark.parametrize(("told", "taken"), [(False, 3), (True, 0)])
def test_only_sizes_that_the_server_tells_speak_against_estimates(tmp_path: Path, *, told: bool, taken: int) -> None:
    with Spool(tmp_path / "spool") as spool:
        odd = [waiting(number, 9) for number in range(1, 4)]
        others = [waiting(number, len(make_raw(number)) if told else None) for number in range(4, 14)]
        asked = [*odd, *others]
        arrived = [came(spool, one.entry_id) for one in asked]
        spool.seal()
        batch = Batch(asked=asked, came=arrived, spool=spool, unlike={one.listed.key: 9 for one in odd})
        found = MatchResult(mails=tuple(parse(each.source, mail_id=int(each.key)) for each in arrived), results=())
        assert len(believed(batch, found, Sizes())) == taken


@pytest.mark.parametrize("is_backlog", [True, False])
@pytest.mark.parametrize("forward", [True, False])
def test_what_was_there_before_the_folder_was_listed_came_before_its_records_were_read(
    tmp_path: Path, *, is_backlog: bool, forward: bool
) -> None:
    """Where the server tells no arrival: else a mailbox that is imported for the first time would be judged twice as a whole."""
    with Spool(tmp_path / "spool") as spool:
        asked = [replace(waiting(1), backlog=is_backlog)]
        arrived = [came(spool, 1)]
        spool.seal()
        batch = Batch(asked=asked, came=arrived, spool=spool)
        mails = (parse(arrived[0].source, mail_id=1),)
        found = OperatorResult(operator="acme", basis=Basis(loaded_at=datetime(2026, 11, 1, tzinfo=UTC), version="7"))
        (filed,) = outcomes(
            batch, MatchResult(mails=mails, results=(found,)), ImportConfig(), None, routing=AccountRouting(forward=forward)
        )
    assert isinstance(filed, Filed)
    assert [one.fire for one in filed.provisional] == ([] if is_backlog else [True])


@pytest.mark.parametrize(("is_backlog", "forward", "fires"), [(True, False, False), (True, True, True), (False, False, True)])
def test_rules_fire_later_for_what_an_operator_could_not_decide_if_they_would_have_now(
    tmp_path: Path, *, is_backlog: bool, forward: bool, fires: bool
) -> None:
    with Spool(tmp_path / "spool") as spool:
        asked = [replace(waiting(number), backlog=is_backlog) for number in (1, 2)]
        arrived = [came(spool, number) for number in (1, 2)]
        spool.seal()
        batch = Batch(asked=asked, came=arrived, spool=spool)
        mails = tuple(parse(each.source, mail_id=int(each.key)) for each in arrived)
        found = (
            OperatorResult(operator="acme"),
            OperatorResult(operator="nord", pending=frozenset({1, 2}), undecided="its files are gone"),
        )
        done = outcomes(
            batch, MatchResult(mails=mails, results=found), ImportConfig(), None, routing=AccountRouting(forward=forward)
        )
    assert [[(each.operator, each.fire) for each in one.provisional] for one in done if isinstance(one, Filed)] == [
        [("nord", fires)]
    ] * 2
