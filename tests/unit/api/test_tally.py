"""Counts of a batch are summed field by field."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from gatewayd import Tally


@given(*[st.builds(Tally, **dict.fromkeys(Tally.__dataclass_fields__, st.integers(0, 9)))] * 2)
def test_tallies_sum_field_by_field(one: Tally, other: Tally) -> None:
    summed = dataclasses.astuple(one + other)
    assert summed == tuple(map(sum, zip(dataclasses.astuple(one), dataclasses.astuple(other), strict=True)))
    assert one + Tally() == one
