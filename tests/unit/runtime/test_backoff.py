"""How long it takes until another try: doubling with jitter, within bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gatewayd.runtime.backoff import Backoff

JITTER = st.floats(0, 1)


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
