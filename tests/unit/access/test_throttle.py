"""How often log-ins are let through: guessing is stopped, others get in, and what is remembered is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd import TransientError
from gatewayd.access.throttle import Allowance, Allowances, Throttle


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _passes(throttle: Throttle, user: str, address: str) -> bool:
    try:
        throttle.enter(user, user, address)
    except TransientError:
        return False
    return True


# --- one allowance ----------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(
    st.integers(1, 6),
    st.sampled_from([0.5, 1.0, 7.0]),
    st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.1, 0.4, 3.0, 9.0]), st.sampled_from("aab"), st.booleans()), max_size=60),
)
def test_in_any_span_no_more_is_let_through_than_the_rate_says(
    burst: int, every: float, tries: list[tuple[float, str, bool]]
) -> None:
    allowances, now = Allowances(Allowance(burst, every)), 0.0
    counted: dict[str, list[float]] = {"a": [], "b": []}
    for pause, key, taken_back in tries:
        now += pause
        wait = allowances.wait(key, now)
        if wait:
            # It says how long, and not longer than need be.
            assert allowances.wait(key, now + wait + 1e-6) == 0
            assert allowances.wait(key, now + wait - 1e-3) > 0
            continue
        allowances.count(key, now)
        if taken_back:
            allowances.take_back(key, now)
        else:
            counted[key].append(now)
    for times in counted.values():
        for at, first in enumerate(times):
            for number, last in enumerate(times[at:], 1):
                assert number <= burst + (last - first) / every + 1e-6


@given(st.lists(st.integers(0, 100), max_size=300))
def test_what_is_remembered_is_bounded(keys: list[int]) -> None:
    allowances = Allowances(Allowance(1, 1.0), most=10)
    for key in keys:
        allowances.count(key, 0.0)
        assert len(allowances) <= 10
        assert allowances.wait(key, 0.0) > 0, "who tried last is remembered"


def test_who_tried_longest_ago_is_forgotten_first() -> None:
    allowances = Allowances(Allowance(1, 1.0), most=3)
    for key in "abcad":
        allowances.count(key, 0.0)
    assert len(allowances) == 3
    assert [allowances.wait(key, 0.0) > 0 for key in "abcd"] == [True, False, True, True]


def test_what_is_taken_back_is_one_try() -> None:
    allowances = Allowances(Allowance(3, 10.0))
    for _ in range(3):
        allowances.count("a", 0.0)
    allowances.take_back("a", 0.0)
    assert allowances.wait("a", 0.0) == 0
    allowances.count("a", 0.0)
    assert allowances.wait("a", 0.0) == 10.0
    assert allowances.wait("a", 4.0) == 6.0
    allowances.take_back("nobody", 0.0)
    assert len(allowances) == 1


def test_who_succeeds_is_not_slowed_down() -> None:
    allowances = Allowances(Allowance(2, 10.0))
    for _ in range(100):
        assert allowances.wait("a", 0.0) == 0
        allowances.count("a", 0.0)
        allowances.take_back("a", 0.0)
    assert len(allowances) == 0


# --- log-ins ----------------------------------------------------------------------------------------------------------


def test_of_ten_thousand_tries_a_minute_few_pass_and_a_person_elsewhere_gets_in() -> None:
    clock = _Clock()
    throttle = Throttle(clock)
    passed = 0
    for number in range(10_000):
        passed += _passes(throttle, ("acme/irina", "acme/tom", f"acme/{number}")[number % 3], "192.0.2.1")
        clock.now += 60 / 10_000
    assert passed <= 30
    assert _passes(throttle, "acme/irina", "198.51.100.7")
    assert [_passes(throttle, "acme/ann", "192.0.2.1") for _ in range(2)][-1] is False
    clock.now += 7
    assert _passes(throttle, "acme/ann", "192.0.2.1")


def test_who_has_many_addresses_does_not_keep_out_a_person_at_a_known_one() -> None:
    clock = _Clock()
    throttle = Throttle(clock)
    assert _passes(throttle, "acme/irina", "198.51.100.7")
    throttle.succeeded("acme/irina", "acme/irina", "198.51.100.7")
    passed = sum(_passes(throttle, "acme/irina", f"10.0.{number >> 8}.{number & 255}") for number in range(5000))
    assert passed <= 1000
    assert not _passes(throttle, "acme/irina", "203.0.113.5")
    assert _passes(throttle, "acme/irina", "198.51.100.7")
    assert _passes(throttle, "acme/tom", "203.0.113.5")


def test_an_error_says_how_long_to_wait_and_that_is_enough() -> None:
    clock = _Clock()
    throttle = Throttle(clock)
    while _passes(throttle, "acme/irina", "192.0.2.1"):
        pass
    with pytest.raises(TransientError) as caught:
        throttle.enter("acme/irina", "acme/irina", "192.0.2.1")
    seconds = caught.value.retry_after
    assert seconds
    assert f"{seconds:.0f} seconds" in caught.value.advice
    clock.now += seconds
    assert _passes(throttle, "acme/irina", "192.0.2.1")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "", True),
        ("what is this", "another", False),
    ],
)
def test_what_one_person_has_counts_as_one_address(one: str, other: str, *, same: bool) -> None:
    throttle = Throttle(_Clock())
    while _passes(throttle, "acme/irina", one):
        pass
    assert _passes(throttle, "acme/irina", other) is not same
