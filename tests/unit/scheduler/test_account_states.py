"""All accounts of a supervisor: when each is due, and what its visit is to do. No loop turns here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from gatewayd import Request, Task
from tests.patience import LONG
from tests.unit.scheduler_parts import Parts
from tests.unit.supervised import House

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatewayd.scheduler.account_state import AccountState

#: Seconds within which an account is visited, if at all, and those that may go by between two steps of a test.
SOON, MEANWHILE = 5 * LONG, LONG


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
def parts(house: House) -> Iterator[Parts]:
    with Parts(house) as made:
        yield made


def due_in(state: AccountState) -> float:
    assert state.due is not None
    return state.due - time.monotonic()


def test_it_knows_all_accounts_of_the_config_and_whose_lease_it_has(parts: Parts) -> None:
    parts.house.add("other")
    state = parts.ours("main")
    assert len(parts.states) == 2
    assert parts.states.get("main") is state
    assert parts.states.get("nobody") is None
    assert list(parts.states.held()) == [(state, state.lease)]
    assert parts.states.wanted() == ["other"]


# --- when -------------------------------------------------------------------------------------------------------------


def test_an_account_is_due_in_as_many_seconds_as_were_said_last(parts: Parts) -> None:
    state = parts.ours()
    assert parts.states.next() is None
    parts.states.put(state, SOON)
    assert SOON - MEANWHILE < due_in(state) <= SOON
    parts.states.put(state, 2 * SOON)
    assert 2 * SOON - MEANWHILE < due_in(state) <= 2 * SOON
    assert parts.states.next() == state.due


def test_who_is_due_is_visited_and_nobody_else(parts: Parts) -> None:
    now, later = parts.ours("now"), parts.ours("later")
    parts.states.put(now, 0.0)
    parts.states.put(later, SOON)
    parts.work()
    assert parts.pool.runs == {now.run}
    assert (now.due, later.run) == (None, None)
    assert parts.states.next() == later.due


def test_where_there_is_room_for_one_it_is_who_is_due_first_and_the_other_waits(house: House) -> None:
    with Parts(house, visits=1) as parts:
        late, early = parts.ours("late"), parts.ours("early")
        parts.states.put(late, -1.0)
        parts.states.put(early, -2.0)
        parts.work()
        assert parts.pool.runs == {early.run}
        assert late.run is None
        assert "late" in parts.pool
        # Who waits for room is not put anywhere else.
        parts.states.hurry(late)
        assert parts.states.next() is None


def test_who_hurries_is_due_at_once_or_in_so_many_seconds_but_never_later_than_before(parts: Parts) -> None:
    state = parts.ours()
    parts.states.hurry(state, 2 * SOON)
    assert 2 * SOON - MEANWHILE < due_in(state) <= 2 * SOON
    parts.states.hurry(state, SOON)
    assert SOON - MEANWHILE < due_in(state) <= SOON
    before = state.due
    parts.states.hurry(state, 2 * SOON)
    assert state.due == before
    parts.states.hurry(state)
    assert due_in(state) <= 0.0
    assert parts.states.next() == state.due


def without_lease(_: Parts, state: AccountState) -> None:
    state.lease = None


def visited(parts: Parts, state: AccountState) -> None:
    parts.visited(state)


def leaving(_: Parts, state: AccountState) -> None:
    state.leaving = True


def suspended(parts: Parts, _: AccountState) -> None:
    parts.states.suspended = True


def stopping(parts: Parts, _: AccountState) -> None:
    parts.states.stopping = True


def forgotten(parts: Parts, state: AccountState) -> None:
    state.lease = None
    parts.house.accounts.clear()
    parts.apply()


@pytest.mark.parametrize("how", [without_lease, visited, suspended, stopping])
def test_nobody_hurries_who_may_not_be_visited(parts: Parts, how: Callable[[Parts, AccountState], None]) -> None:
    state = parts.ours()
    how(parts, state)
    parts.states.hurry(state)
    assert state.due is None
    assert parts.states.next() is None


def test_all_that_are_named_hurry_and_who_is_being_visited_is_visited_again(parts: Parts) -> None:
    busy, idle, other, refused = (parts.ours(name) for name in ("busy", "idle", "other", "refused"))
    run, refused.refusals = parts.visited(busy), 1
    parts.states.hurry_all(["busy", "nobody", "idle", "refused"])
    assert run.again
    assert due_in(idle) <= 0.0
    assert (busy.due, other.due, refused.due) == (None, None, None), "who was refused is not tried sooner for that"


def test_only_who_was_refused_is_tried_again_at_once(parts: Parts) -> None:
    busy, refused, failed = parts.ours("busy"), parts.ours("refused"), parts.ours("failed")
    run = parts.visited(busy)
    for state in (busy, refused):
        state.refusals = state.failures = 3
    failed.failures = 3
    parts.states.put(refused, SOON)
    parts.states.put(failed, SOON)
    parts.states.hurry_all(["busy", "nobody", "refused", "failed"], refused=True)
    assert run.again
    assert due_in(refused) <= 0.0
    assert refused.refusals == 0
    assert due_in(failed) > 0.0
    # Whether it logs in with the new secret shows when its visit ends.
    assert (busy.refusals, busy.due) == (3, None)


# --- what -------------------------------------------------------------------------------------------------------------


def test_a_visit_gets_all_that_is_known_of_its_account_and_others_are_told_of_it(parts: Parts) -> None:
    state = parts.ours(can_watch=True)
    config, watched = parts.apply(), parts.watched(state)
    state.on_news = True
    parts.states.put(state, 0.0)
    parts.work()
    run = state.run
    assert run is not None
    assert (run.state, run.config, run.lease) == (state, config.accounts["main"], state.lease)
    assert (run.specs, run.router, run.registry) == (parts.house.specs, None, config.registry)
    assert (run.watched, run.on_news) == (watched, True)
    # The next one has a session and news of its own.
    assert (state.watched, state.on_news, state.due) == (None, False, None)
    assert parts.told() == [("main", "working")]


@pytest.mark.parametrize("how", [without_lease, visited, leaving, suspended, stopping, forgotten])
def test_who_may_not_be_visited_when_his_turn_comes_leaves_his_room_to_others(
    parts: Parts, how: Callable[[Parts, AccountState], None]
) -> None:
    state = parts.ours()
    parts.pool.offer_visit(state, at=0.0)
    how(parts, state)
    before = state.run
    parts.work()
    assert state.run is before
    assert not parts.pool.runs
    assert "main" not in parts.pool


def test_one_visit_answers_all_who_ask_for_the_same_as_the_first(parts: Parts) -> None:
    state = parts.ours()
    everything, compare = Task(from_beginning=True), Task(compare=True)
    asked = [Request(id=1, account="main", task=everything), Request(id=2, account="main", task=compare)]
    state.asked = [*asked, Request(id=3, account="main", task=everything)]
    parts.states.put(state, 0.0)
    parts.work()
    assert state.run is not None
    assert (state.run.task, state.run.requests) == (everything, (1, 3))
    assert state.asked == asked[1:]


@pytest.mark.parametrize(
    ("on_news", "compare_in", "compares"), [(False, 0.0, True), (True, 0.0, False), (False, SOON, False), (True, SOON, False)]
)
def test_the_listing_is_compared_when_that_is_due_but_news_come_first(
    parts: Parts,
    on_news: bool,  # noqa: FBT001  a parameter
    compare_in: float,
    compares: bool,  # noqa: FBT001  a parameter
) -> None:
    state = parts.ours()
    state.on_news, state.compare_at = on_news, time.monotonic() + compare_in
    parts.states.put(state, 0.0)
    parts.work()
    assert state.run is not None
    assert (state.run.task, state.run.requests) == (Task(compare=compares), ())
