"""The content of signed messages is found however it is encoded, in time that grows with its size."""

from __future__ import annotations

import pytest

from gatewayd.message.cms import content_of
from tests.unit.containers_made import cms
from tests.unit.linear import assert_linear


@pytest.mark.parametrize("open_ended", [False, True])
@pytest.mark.parametrize("piece", [0, 1, 7, 1000])
@pytest.mark.parametrize("size", [0, 1, 127, 128, 70_000])
def test_signed_content_is_found_however_it_is_cut(size: int, piece: int, open_ended: bool) -> None:  # noqa: FBT001
    content = (b"x%d" % size) * (size // 2) + b"y" * (size % 2)
    piece = piece if size < 1000 or piece != 1 else 100
    assert content_of(cms(content, open_ended=open_ended, piece=piece), 1 << 20) == ("signed", content)


@pytest.mark.parametrize(
    "unit", [b"\x24\x80", b"\x04\x00", b"\x04\x01x", b"\x30\x80", b"\x24\x02\x04\x00", b"\x00\x00", b"\x04\x84\xff\xff\xff\xff"]
)
def test_hostile_cms_takes_linear_time(unit: bytes) -> None:
    head = cms(b"")[:4]
    assert_linear(lambda data: content_of(data, 1 << 20), unit)
    opened = bytes.fromhex("308006092a864886f70d010702a0803080020101310030800609") + bytes.fromhex("2a864886f70d010701a0802480")
    assert_linear(lambda data: content_of(opened + data, 1 << 20), unit)
    assert head
