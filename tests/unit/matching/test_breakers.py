"""Breakers: three faulty batches open one, a trial after its time closes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gatewayd.matching.breakers import Breakers

if TYPE_CHECKING:
    from collections.abc import Sequence


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breakers:
    """Breakers of which one is open."""
    breakers = Breakers(clock)
    assert [breakers.told("acme", "vouchers", faulty=True) for _ in range(3)] == ["", "", "opened"]
    return breakers


def test_three_faulty_batches_within_the_window_open_it_for_ten_minutes() -> None:
    clock = Clock()
    breakers = opened(clock)
    assert breakers.open() == [("acme", "vouchers")]
    assert not breakers.may_call("acme", "vouchers")
    assert breakers.may_call("acme", "contacts")
    assert breakers.may_call("nord", "vouchers")
    clock.now = 599
    assert not breakers.may_call("acme", "vouchers")
    assert breakers.due() == []
    clock.now = 600
    assert breakers.due() == [("acme", "vouchers")]
    # Whoever comes first tries it; the others wait for how that goes.
    assert [breakers.may_call("acme", "vouchers") for _ in range(3)] == [True, False, False]
    assert breakers.told("acme", "vouchers", faulty=False) == "closed"
    assert breakers.open() == []
    assert breakers.may_call("acme", "vouchers")


@given(st.lists(st.floats(0.1, 5000), min_size=1, max_size=30))
def test_it_opens_exactly_when_the_third_faulty_batch_comes_within_the_window(gaps: Sequence[float]) -> None:
    clock = Clock()
    breakers = Breakers(clock)
    times: list[float] = []
    for gap in gaps:
        clock.now += gap
        times.append(clock.now)
        expected = len(times) >= 3 and times[-1] - times[-3] <= 600
        assert breakers.told("acme", "vouchers", faulty=True) == ("opened" if expected else "")
        if expected:
            break


def test_a_trial_that_fails_opens_it_anew_and_is_no_news() -> None:
    clock = Clock()
    breakers = opened(clock)
    clock.now = 600
    assert breakers.may_call("acme", "vouchers")
    assert breakers.told("acme", "vouchers", faulty=True) == ""
    clock.now = 1199
    assert not breakers.may_call("acme", "vouchers")
    clock.now = 1200
    assert breakers.may_call("acme", "vouchers")


def test_a_trial_that_is_given_up_is_made_by_somebody_else() -> None:
    clock = Clock()
    breakers = opened(clock)
    clock.now = 600
    assert breakers.may_call("acme", "vouchers")
    assert not breakers.may_call("acme", "vouchers")
    breakers.given_up("acme", "vouchers")
    breakers.given_up("acme", "others")
    assert breakers.may_call("acme", "vouchers")


def test_a_batch_that_was_on_its_way_before_is_no_trial() -> None:
    breakers = opened(Clock())
    assert breakers.told("acme", "vouchers", faulty=False) == ""
    assert breakers.open() == [("acme", "vouchers")]
    assert breakers.told("acme", "vouchers", faulty=True) == ""


def test_nobody_is_asked_for_a_trial_more_than_once_a_minute() -> None:
    clock = Clock()
    breakers = opened(clock)
    clock.now = 600
    assert [breakers.due(), breakers.due()] == [[("acme", "vouchers")], []]
    clock.now = 660
    assert breakers.due() == [("acme", "vouchers")]


def test_an_operator_that_changed_has_none_open_and_says_which_were() -> None:
    breakers = opened(Clock())
    breakers.told("acme", "contacts", faulty=True)
    assert breakers.forget("nord") == []
    assert breakers.forget("acme") == ["vouchers"]
    assert breakers.may_call("acme", "vouchers")
    # What was counted before is forgotten, too.
    assert [breakers.told("acme", "contacts", faulty=True) for _ in range(2)] == ["", ""]


class AnyWay(RuleBasedStateMachine):
    """Whatever happens in whatever order: one trial at a time, closed by a trial or by a change only."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breakers = Breakers(self.clock)
        self.under_way = 0
        self.trial = False

    @property
    def is_open(self) -> bool:
        return bool(self.breakers.open())

    @rule(seconds=st.floats(0, 1000))
    def time_goes_by(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def asks(self) -> None:
        was = self.is_open
        if self.breakers.may_call("acme", "vouchers"):
            assert not (was and self.trial)
            self.trial = self.trial or was
            self.under_way += 1
        else:
            assert was

    @precondition(lambda self: self.under_way)
    @rule(faulty=st.booleans())
    def tells(self, *, faulty: bool) -> None:
        was, trial = self.is_open, self.trial
        self.under_way -= 1
        changed = self.breakers.told("acme", "vouchers", faulty=faulty)
        assert (changed == "opened") == (self.is_open and not was)
        assert (changed == "closed") == (was and not self.is_open)
        if was and not faulty:
            assert self.is_open == (not trial)
        self.trial = self.trial and self.is_open and not faulty

    @rule()
    def changes(self) -> None:
        was = self.is_open
        assert self.breakers.forget("acme") == (["vouchers"] if was else [])
        self.trial = False

    @invariant()
    def what_is_due_is_open(self) -> None:
        assert set(self.breakers.due()) <= set(self.breakers.open())


test_any_way = AnyWay.TestCase
