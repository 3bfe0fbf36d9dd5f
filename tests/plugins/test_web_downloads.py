"""What was chosen can be written into an address, and read again; whatever else stands there is no fault."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd_web.downloads import FollowedDownload, ids_of, text_of

ids = st.lists(st.integers(1, 10_000), max_size=50, unique=True).map(sorted)


@given(ids)
def test_ids_come_back(found: list[int]) -> None:
    assert list(ids_of(text_of(found))) == found


def test_ids_that_follow_each_other_are_one_span() -> None:
    assert text_of([7, 5, 6, 11, 9, 8, 5]) == "5-9.11"


@given(st.text(alphabet="0123456789.-x:", max_size=60))
def test_any_text_is_read_within_bounds(text: str) -> None:
    assert len(ids_of(text)) <= 5000
    FollowedDownload.read(text)


@pytest.mark.parametrize("text", ["1-999999999999", "9-1", "", "-", "a", "1" * 30, "²"])
def test_what_stands_for_too_many_or_for_none_is_left_out(text: str) -> None:
    assert ids_of(text) == ()


@given(ids.filter(bool), st.sampled_from(["main", "acme/irina/1", "a:b"]))
def test_a_download_comes_back_and_without_its_ids_where_they_are_too_long(found: list[int], account: str) -> None:
    one = FollowedDownload(account=account, request_id=7, count=len(found), oldest=found[0], newest=found[-1], ids=tuple(found))
    assert FollowedDownload.read(one.text(10_000)) == one
    short = FollowedDownload.read(one.text(0))
    assert short is not None
    assert (short.ids, short.count, short.account) == ((), len(found), account)


@pytest.mark.parametrize("text", ["", "1:2:3:4", "1:2:3:4:5", "1:2:3:4:5:", "x:2:3:4:5:main", "main"])
def test_what_is_no_download_is_none(text: str) -> None:
    assert FollowedDownload.read(text) is None
