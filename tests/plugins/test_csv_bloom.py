"""The Bloom filter of a column: it lets all pass that stand there and few others, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd_csv import bloom


@given(values=st.sets(st.text(st.characters(codec="utf-8"))), others=st.sets(st.text()))
def test_whatever_stands_there_passes(values: set[str], others: set[str]) -> None:
    found = bloom.passed(bloom.filled(values, len(values)), values | others)
    assert values <= set(found) <= values | others


@pytest.mark.parametrize("count", [1, 1000, 1024, 1025])
def test_one_of_sixteen_others_passes_at_most(count: int) -> None:
    bits = bloom.filled((f"B-{number}" for number in range(count)), count)
    assert 2 * count <= len(bits) <= 4 * count
    others = [f"O-{number}" for number in range(10_000)]
    assert len(bloom.passed(bits, others)) < 10_000 / 16 * 1.2


def test_nothing_passes_where_nothing_stands() -> None:
    assert bloom.passed(bloom.filled([], 0), ["", "B-1", "\ud800"]) == []


def test_it_is_bounded_however_many_values_there_are() -> None:
    bits = bloom.filled(["B-1"], 10**12)
    assert len(bits) == 4 << 20
    assert bloom.passed(bits, ["B-1", "B-2"]) == ["B-1"]
