"""When somebody is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.runtime.due_times import DAY, DueTimes, compare_in, full_visit_every, spread

JITTER = st.floats(0, 1)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

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
