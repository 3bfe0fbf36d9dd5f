"""When secrets end, as the config says: who is told, from when on, and in which words."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from gatewayd.config.secret_days import remark

TODAY = date(2027, 2, 1)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (31, ""),
        (30, "Its secret ends on 2027-03-03, in 30 days: make a new one"),
        (1, "Its secret ends on 2027-02-02: make a new one"),
        (0, "Its secret ends on 2027-02-01: make a new one"),
        (-1, "Its secret has ended on 2027-01-31: make a new one"),
    ],
)
def test_a_secret_is_told_of_from_thirty_days_before(days: int, words: str) -> None:
    found = remark(TODAY + timedelta(days=days), TODAY)
    assert found.startswith(words)
    assert bool(found) == bool(words)


def test_nothing_is_told_where_the_config_says_nothing() -> None:
    assert remark(None, TODAY) == ""
