"""When the sizes that a server lists count as estimates."""

from __future__ import annotations

import pytest

from gatewayd.api.sizes import Sizes


@pytest.mark.parametrize(
    ("exact", "other", "estimates"),
    [(0, 0, False), (0, 2, False), (0, 3, True), (9, 3, True), (10, 3, False), (30, 10, True), (31, 10, False)],
)
def test_sizes_are_estimates_if_three_and_every_fourth_are_wrong(exact: int, other: int, estimates: bool) -> None:  # noqa: FBT001
    assert Sizes(exact=exact, other=other).are_estimates is estimates


def test_sizes_sum_field_by_field() -> None:
    assert Sizes(exact=1, other=2) + Sizes(exact=3, other=4) == Sizes(exact=4, other=6)
