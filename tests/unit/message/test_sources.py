"""The window over a large source finds and gives what the whole message would."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd.message.header_parsing import head
from gatewayd.message.mail import BytesSource, parse
from gatewayd.message.sources import Window, opened
from gatewayd.testing.messages import booking_messages, malformed_messages
from tests.unit.message.part_trees import MIXED, leaves


@settings(max_examples=300)
@given(st.binary(max_size=300), st.binary(min_size=1, max_size=6), st.integers(1, 40), st.integers(0, 300), st.integers(0, 320))
def test_a_window_finds_what_the_whole_finds(data: bytes, needle: bytes, size: int, start: int, end: int) -> None:
    window = Window(BytesSource(data), size)
    for _ in range(2):
        assert window.find(needle, start, end) == data.find(needle, start, end)
        assert window[start:end] == data[start:end]


@given(st.text(alphabet="ab-\n", max_size=200), st.integers(1, 12))
def test_a_needle_across_window_edges_is_found(text: str, size: int) -> None:
    data = text.encode()
    window = Window(BytesSource(data), size)
    for needle in (b"\n--a", b"--", b"ab"):
        assert window.find(needle, 0, len(data)) == data.find(needle)


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 4096])
def test_messages_scanned_through_a_window_are_the_same(size: int) -> None:
    messages = [*booking_messages(60, 7), *(raw for _, raw in malformed_messages(7) if len(raw) < 20_000 // (1 + (size < 64) * 8))]
    for raw in messages:
        window = Window(BytesSource(raw), size)
        assert head(window, 0, len(raw)) == head(raw, 0, len(raw))
        assert leaves(window) == leaves(raw)


def test_messages_up_to_a_limit_are_read_whole() -> None:
    assert isinstance(opened(BytesSource(b"x" * 100), whole=100), bytes)
    assert isinstance(opened(BytesSource(b"x" * 101), whole=100), Window)


@dataclass(frozen=True)
class Short:
    """A source that has less than it says, such as a file that was cut."""

    data: bytes
    size: int

    def read(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]


def test_a_source_that_is_shorter_than_its_size_ends_the_search() -> None:
    window = Window(Short(b"abc\r\n", 10_000_000))
    assert window.find(b"\r\n\r\n", 0, len(window)) == -1
    assert parse(Short(b"Subject: 756\r\n" + MIXED % b"b" + b"--b\r\n\r\nx", 10_000_000)).subject == "756"
