"""Comments in header values: where each begins and ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.message.lexing import comments, uncommented


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        ("a(b)c", "a c"),
        ("a(b(c)d)e", "a e"),
        (r"a(b\)c)d", "a d"),
        ('a"(b)"c', 'a"(b)"c'),
        ('a("b)c', "a c"),
        ("a(b", "a(b"),
        ("a)b", "a)b"),
        ("a(b)(c)d", "a  d"),
        ('a"b(c)d', 'a"b d'),
        ("", ""),
    ],
)
def test_comments_nest_and_are_quoted(value: str, rest: str) -> None:
    assert uncommented(value) == rest


@given(st.text(alphabet='()\\"a ', max_size=60))
def test_comments_lie_behind_each_other_and_are_closed(value: str) -> None:
    at = 0
    for start, end in comments(value):
        assert at <= start < end <= len(value)
        assert (value[start], value[end - 1]) == ("(", ")")
        at = end
