"""A target that answers each forward is found by the number of its mails, whatever they look like (P7)."""

from __future__ import annotations

import pytest

from gatewayd.outgoing.rate_limit import Rate


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def sent(which: Rate, number: int, sender: str = "robot@target.example", *, target: str = "duty", itself: bool = False) -> int:
    """Return how many of so many mails are let through."""
    return sum(not which.refusal("acme", target, sender, itself=itself) for _ in range(number))


@pytest.mark.parametrize(("limit", "expected"), [(1000, 33), (60, 10), (100_000, 3333), (5, 5)])
def test_one_sender_gets_far_fewer_through_than_all_together(limit: int, expected: int) -> None:
    assert sent(Rate(limit), 5000) == expected


def test_the_number_can_be_chosen_and_is_named() -> None:
    which = Rate(1000, per_sender=2)
    assert sent(which, 9) == 2
    assert which.refusal("acme", "duty", "robot@target.example") == (
        "rules have sent 2 mails of robot@target.example to duty within an hour, and no more are let through (forwards_per_sender)"
    )
    assert which.open() == ("acme/duty from robot@target.example",)


def test_others_and_other_targets_are_not_held_back() -> None:
    which = Rate(1000, per_sender=2)
    assert sent(which, 9) == 2
    assert sent(which, 9, "anna@example.com") == 2
    assert sent(which, 9, target="desk") == 2
    assert sent(which, 9, "") == 9, "without a sender only the target's own number counts"


@pytest.mark.parametrize("sender", ["ticket+{}@target.example", "bounce-{}@target.example", "Robot{}@Target.example"])
def test_a_robot_that_writes_from_another_address_each_time_is_one_sender(sender: str) -> None:
    which = Rate(1000, per_sender=3)
    assert sum(not which.refusal("acme", "duty", sender.format(number)) for number in range(50)) == 3


def test_a_sender_is_one_in_either_spelling_of_its_domain() -> None:
    which = Rate(1000, per_sender=3)
    assert sent(which, 2, "a@müller.example") + sent(which, 9, "a@xn--mller-kva.example") == 3
    assert sent(which, 2, "a@\u0430\u0446.example") == sent(which, 2, "a@\u0430\u0444.example") == 2, (
        "digits of punycode are no numbers"
    )


def test_what_a_target_wrote_itself_is_sent_to_it_a_few_times() -> None:
    assert sent(Rate(1000), 50, itself=True) == 5
    assert sent(Rate(1000, per_sender=2), 50, itself=True) == 2


def test_after_an_hour_more_are_let_through() -> None:
    clock = Clock()
    which = Rate(1000, clock, per_sender=2)
    assert sent(which, 3) == 2
    clock.now = 3599.0
    assert sent(which, 1) == 0
    clock.now = 3600.0
    assert which.open() == ()
    assert sent(which, 3) == 2


def test_P8_senders_are_remembered_within_bounds() -> None:
    clock = Clock()
    which = Rate(100_000, clock, per_sender=1, remembered=100)
    for number in range(500):
        sent(which, 1, f"{chr(97 + number % 26)}{'x' * number}@example.com")
    assert which.senders <= 100
    clock.now = 3600.0
    sent(which, 1, "new@example.com")
    assert which.senders == 1, "first those that sent nothing for an hour are forgotten"
