"""Whose the accounts of a supervisor are: what is left of one that is given away, or lost. No loop turns here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from gatewayd import Held, Request, Task
from tests.unit.log import logged
from tests.unit.scheduler_parts import Parts
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
    state = parts.ours(can_watch=True)
    request = Request(id=7, account="main", task=Task())
    assert parts.request_inbox.take(request)
    state.asked, state.leaving, state.condition = [request], True, "watching"
    state.failures = state.refusals = state.flaps = state.empty = 3
    state.error, state.advice = "connection lost", "Wait."
    parts.watched(state)
    parts.states.put(state, 0.0)
    parts.request_inbox.changed(state)
    parts.states.let_go(state, politely=politely)
    assert (state.lease, state.leaving, state.due, state.condition, state.watched) == (None, False, None, "new", None)
    assert (state.failures, state.refusals, state.flaps, state.empty) == (0, 0, 0, 0)
    assert (state.error, state.advice) == ("", "")
    assert parts.states.next() is None
    assert parts.gone == ["main"]
    # Whoever has it now tells of it, and answers: we, if it comes back.
    assert parts.told() == []
    assert state.asked == []
    assert parts.request_inbox.take(request)
    # The config has it still.
    assert parts.states.get("main") is state
    assert parts.closed()[-2:] == how


@pytest.mark.parametrize(("politely", "how"), [(True, ["end", "close"]), (False, ["abort", "close"])])
def test_an_account_at_rest_has_no_session_and_is_not_due_nor_in_line(parts: Parts, politely: bool, how: list[str]) -> None:  # noqa: FBT001  a parameter
    state = parts.ours(can_watch=True)
    parts.watched(state)
    parts.states.put(state, 60.0)
    parts.pool.offer_visit(state, at=0.0)
    parts.states.rest(state, politely=politely)
    assert parts.states.next() is None
    assert state.due is None
    assert "main" not in parts.pool
    assert state.watched is None
    assert parts.closed()[-2:] == how


def test_an_account_that_is_given_away_is_there_for_others_at_once(parts: Parts) -> None:
    state = parts.ours("given", can_watch=True)
    state.lease = parts.house.store.take_leases(["given"], parts.owner.name, dead=parts.owner.dead)[0]
    parts.watched(state)
    with logged() as log:
        parts.states.release(state)
    assert state.lease is None
    assert "account released" in log.getvalue()
    assert parts.gone == ["given"]
    assert parts.closed("given")[-2:] == ["end", "close"]
    parts.given_back()
    assert not isinstance(parts.house.store.take_lease("given", "another", dead=lambda _: False), Held)


def test_an_account_that_is_being_visited_is_given_away_when_its_visit_has_ended(parts: Parts) -> None:
    state = parts.ours()
    lease, run = state.lease, parts.visited(state)
    with logged() as log:
        parts.states.release(state)
    assert (state.lease, state.leaving) == (lease, True)
    assert run.stop
    assert 0.0 < run.abort_at - time.monotonic() <= 30.0
    assert not run.aborted
    assert log.getvalue() == ""
    assert parts.gone == []


def test_what_was_not_ours_is_not_given_back(parts: Parts) -> None:
    parts.house.add("main")
    parts.apply()
    with logged() as log:
        parts.states.release(parts.state())
    assert log.getvalue() == ""
    parts.given_back()


def test_an_account_without_a_visit_is_forgotten_with_its_lease_if_the_config_has_it_no_more(parts: Parts) -> None:
    state = parts.ours()
    parts.states.weed(state)
    assert parts.states.get("main") is state
    run = parts.visited(state)
    parts.house.accounts.clear()
    parts.apply()
    parts.states.weed(state)
    assert (parts.states.get("main"), state.run) == (state, run)
    # It was lost, before its visit has ended.
    parts.states.let_go(state, politely=False)
    assert parts.states.get("main") is state
    state.run = None
    parts.states.weed(state)
    assert parts.states.get("main") is None
    # To forget it once more does no harm.
    parts.states.weed(state)
    assert len(parts.states) == 0


def test_an_account_that_is_removed_while_a_visit_under_a_lost_lease_ends_is_not_taken_again(parts: Parts) -> None:
    state = parts.ours("removed")
    parts.visited(state)
    state.lease = None
    assert "removed" in parts.states.wanted()
    parts.states.release(state)
    assert "removed" not in parts.states.wanted()
