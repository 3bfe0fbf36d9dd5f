"""When somebody is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.runtime.backoff import Backoff
from gatewayd.runtime.due_times import DAY, DueTimes, compare_in, full_visit_every, spread

JITTER = st.floats(0, 1)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


# --- back-off ---------------------------------------------------------------------------------------------------------


@given(failures=st.integers(0, 10_000), jitter=JITTER)
def test_back_off_is_never_shorter_than_the_first_and_never_longer_than_the_longest(failures: int, jitter: float) -> None:
    wait = Backoff(first=10, longest=900).wait(failures, jitter=jitter)
    assert 8 <= wait <= 900


@given(failures=st.integers(1, 6), jitter=JITTER)
def test_back_off_doubles_with_jitter(failures: int, jitter: float) -> None:
    wait = Backoff(first=10, longest=900).wait(failures, jitter=jitter)
    assert 0.8 <= wait / (10 * 2 ** (failures - 1)) <= 1.2


@given(first=st.floats(0.1, 1000), longest=st.floats(0.1, 10_000), failures=st.integers(0, 100), jitter=JITTER)
def test_back_off_keeps_its_bound_whatever_the_config_says(first: float, longest: float, failures: int, jitter: float) -> None:
    assert Backoff(first=first, longest=longest).wait(failures, jitter=jitter) <= longest * 1.0001


@given(retry_after=st.floats(0, 1e12), jitter=JITTER)
def test_what_the_other_side_asks_for_is_honoured_within_reason(retry_after: float, jitter: float) -> None:
    wait = Backoff().wait(1, jitter=jitter, retry_after=retry_after)
    assert min(retry_after, 3600) <= wait <= 3600


@given(jitter=JITTER)
def test_what_another_try_will_hardly_mend_is_tried_at_the_longest_interval(jitter: float) -> None:
    assert 600 <= Backoff().rarely(jitter=jitter) <= 900


# --- due --------------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from("abcdef")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NAMES, st.floats(0, 100)),
        st.tuples(st.just("drop"), NAMES, st.just(0.0)),
        st.tuples(st.just("pop"), st.just(""), st.floats(0, 100)),
    ),
    max_size=80,
)


@given(STEPS)
def test_due_is_a_dict_of_times_that_gives_the_earliest_first(steps: list[tuple[str, str, float]]) -> None:
    due, model = DueTimes(), dict[str, float]()
    for what, name, at in steps:
        if what == "put":
            due.put(name, at)
            model[name] = at
        elif what == "drop":
            due.drop(name)
            model.pop(name, None)
        else:
            popped = list(due.pop(at))
            assert sorted(popped) == sorted((one, when) for one, when in model.items() if when <= at)
            assert all(one[1] <= other[1] for one, other in pairwise(popped))
            model = {one: when for one, when in model.items() if when > at}
        assert due.next() == min(model.values(), default=None)
        assert len(due) == len(model)


def test_what_is_put_again_and_again_takes_no_more_room() -> None:
    due = DueTimes()
    for number in range(10_000):
        due.put("a", float(number))
    assert len(due._heap) < 50
    assert due["a"] == 9999


# --- spreading --------------------------------------------------------------------------------------------------------


@given(accounts=st.integers(1, 5000), every=st.floats(0.1, 86400), jitter=JITTER)
def test_first_visits_are_spread_but_none_waits_longer_than_its_interval(accounts: int, every: float, jitter: float) -> None:
    assert 0 <= spread(accounts, every, jitter=jitter) <= min(every, accounts / 50)


def test_five_thousand_accounts_do_not_start_at_once() -> None:
    times = [spread(5000, 300, jitter=number / 5000) for number in range(5000)]
    busiest = max(sum(1 for one in times if second <= one < second + 1) for second in range(100))
    assert busiest <= 51


@pytest.mark.parametrize(
    ("every", "watched", "folders", "expected"),
    [
        (60.0, True, 1, 600.0),
        (60.0, False, 1, 60.0),
        (60.0, True, 2, 60.0),
        (600.0, True, 1, 1800.0),
        (7200.0, True, 1, 7200.0),
    ],
)
def test_a_watched_folder_is_listed_rarely(every: float, *, watched: bool, folders: int, expected: float) -> None:
    assert full_visit_every(every, watched=watched, folders=folders) == expected


@given(ago=st.floats(-10 * DAY, 100 * DAY), jitter=JITTER)
def test_the_comparison_comes_within_a_day(ago: float, jitter: float) -> None:
    wait = compare_in(NOW - timedelta(seconds=ago), NOW, jitter=jitter)
    assert 0 <= wait <= DAY
    if 0 <= ago < DAY:
        assert 0.9 * (DAY - ago) - 1 <= wait <= DAY - ago + 1


@given(jitter=JITTER)
def test_what_was_never_compared_or_is_overdue_is_not_compared_at_once_by_all(jitter: float) -> None:
    assert compare_in(None, NOW, jitter=jitter) == jitter * DAY
    assert compare_in(NOW - timedelta(days=3), NOW, jitter=jitter) == pytest.approx(jitter * 3600)
