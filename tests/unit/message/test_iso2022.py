"""Charsets that switch sets by escapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.message.iso2022 import euc_jp, hz, iso_2022


@pytest.mark.parametrize(("data", "text"), [(b"~{!h~}~", "\xa4~"), (b"10~12 ~{!h~}", "10~12 \xa4"), (b"a~~b~", "a~b~")])
def test_a_tilde_of_hz_that_is_not_doubled_stands_for_itself(data: bytes, text: str) -> None:
    assert hz(data) == text


@given(st.binary(max_size=300) | st.text(alphabet="\x1b$()BIJ@ACDN.F\x0e\x0f~{}+-!0a\n", max_size=200).map(str.encode))
def test_no_escape_is_left_in_what_was_decoded(data: bytes) -> None:
    assert "\x1b" not in iso_2022(data)
    assert "~{" not in hz(data).replace("\ufffd", "~}") or b"~~{" in data
    for decode in (iso_2022, hz, euc_jp):
        decode(data).encode()
