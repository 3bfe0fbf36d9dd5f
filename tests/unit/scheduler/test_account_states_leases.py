"""Whose the accounts in a supervisor's charge are: what is left of one that is given away, or lost. No loop turns here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from gatewayd import Held, Request, Task
from tests.unit.charged import Parts
from tests.unit.log import logged
from tests.unit.supervised import House

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
def parts(house: House) -> Iterator[Parts]:
    with Parts(house) as made:
        yield made


@pytest.mark.parametrize(("politely", "how"), [(True, ["end", "close"]), (False, ["abort", "close"])])
def test_of_an_account_that_is_not_ours_any_more_nothing_is_left(parts: Parts, politely: bool, how: list[str]) -> None:  # noqa: FBT001  a parameter
    charge = parts.ours(can_watch=True)
    request = Request(id=7, account="main", task=Task())
    assert parts.reception.take(request)
    charge.asked, charge.leaving, charge.condition = [request], True, "watching"
    charge.failures = charge.refusals = charge.flaps = charge.empty = 3
    charge.error, charge.advice = "connection lost", "Wait."
    parts.watched(charge)
    parts.charges.put(charge, 0.0)
    parts.reception.changed(charge)
    parts.charges.let_go(charge, politely=politely)
    assert (charge.lease, charge.leaving, charge.due, charge.condition, charge.watched) == (None, False, None, "new", None)
    assert (charge.failures, charge.refusals, charge.flaps, charge.empty) == (0, 0, 0, 0)
    assert (charge.error, charge.advice) == ("", "")
    assert parts.charges.next() is None
    assert parts.gone == ["main"]
    # Whoever has it now tells of it, and answers: we, if it comes back.
    assert parts.told() == []
    assert charge.asked == []
    assert parts.reception.take(request)
    # The config has it still.
    assert parts.charges.get("main") is charge
    assert parts.closed()[-2:] == how


@pytest.mark.parametrize(("politely", "how"), [(True, ["end", "close"]), (False, ["abort", "close"])])
def test_an_account_at_rest_has_no_session_and_is_not_due_nor_in_line(parts: Parts, politely: bool, how: list[str]) -> None:  # noqa: FBT001  a parameter
    charge = parts.ours(can_watch=True)
    parts.watched(charge)
    parts.charges.put(charge, 60.0)
    parts.pool.offer_visit(charge, at=0.0)
    parts.charges.rest(charge, politely=politely)
    assert parts.charges.next() is None
    assert charge.due is None
    assert "main" not in parts.pool
    assert charge.watched is None
    assert parts.closed()[-2:] == how


def test_an_account_that_is_given_away_is_there_for_others_at_once(parts: Parts) -> None:
    charge = parts.ours("given", can_watch=True)
    charge.lease = parts.house.store.take_leases(["given"], parts.owner.name, dead=parts.owner.dead)[0]
    parts.watched(charge)
    with logged() as log:
        parts.charges.release(charge)
    assert charge.lease is None
    assert "account released" in log.getvalue()
    assert parts.gone == ["given"]
    assert parts.closed("given")[-2:] == ["end", "close"]
    parts.given_back()
    assert not isinstance(parts.house.store.take_lease("given", "another", dead=lambda _: False), Held)


def test_an_account_that_is_being_visited_is_given_away_when_its_visit_has_ended(parts: Parts) -> None:
    charge = parts.ours()
    lease, run = charge.lease, parts.visited(charge)
    with logged() as log:
        parts.charges.release(charge)
    assert (charge.lease, charge.leaving) == (lease, True)
    assert run.stop
    assert 0.0 < run.abort_at - time.monotonic() <= 30.0
    assert not run.aborted
    assert log.getvalue() == ""
    assert parts.gone == []


def test_what_was_not_ours_is_not_given_back(parts: Parts) -> None:
    parts.house.add("main")
    parts.apply()
    with logged() as log:
        parts.charges.release(parts.charge())
    assert log.getvalue() == ""
    parts.given_back()


def test_an_account_without_a_visit_is_forgotten_with_its_lease_if_the_config_has_it_no_more(parts: Parts) -> None:
    charge = parts.ours()
    parts.charges.weed(charge)
    assert parts.charges.get("main") is charge
    run = parts.visited(charge)
    parts.house.accounts.clear()
    parts.apply()
    parts.charges.weed(charge)
    assert (parts.charges.get("main"), charge.run) == (charge, run)
    # It was lost, before its visit has ended.
    parts.charges.let_go(charge, politely=False)
    assert parts.charges.get("main") is charge
    charge.run = None
    parts.charges.weed(charge)
    assert parts.charges.get("main") is None
    # To forget it once more does no harm.
    parts.charges.weed(charge)
    assert len(parts.charges) == 0


def test_an_account_that_is_removed_while_a_visit_under_a_lost_lease_ends_is_not_taken_again(parts: Parts) -> None:
    charge = parts.ours("removed")
    parts.visited(charge)
    charge.lease = None
    assert "removed" in parts.charges.wanted()
    parts.charges.release(charge)
    assert "removed" not in parts.charges.wanted()
