"""What a message is held against: size and arrival as a server gives them, and the length of the bytes that came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import Length, Listed, difference
from gatewayd.api.evidence import fits
from gatewayd.message.mail import BytesSource

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

BODY = b"Subject: Booking\r\n\r\none\r\ntwo\r\n"


@pytest.mark.parametrize(
    ("raw", "size"),
    [
        (BODY, len(BODY)),
        (BODY, len(BODY) - 4),  # kept and counted with LF, sent with CRLF
        (BODY.replace(b"\r\n", b"\n"), len(BODY)),  # counted with CRLF, sent as it is kept
        (BODY, len(BODY) - 2),  # POP3 ends the last line
        (BODY, len(BODY) - 5),  # both
        (b"", 0),
        (b"no line end", 11),
        (b"", None),
    ],
)
def test_a_size_fits_that_a_server_may_say_of_these_bytes(raw: bytes, size: int | None) -> None:
    assert fits(BytesSource(raw), size)


@pytest.mark.parametrize("size", [0, 1, len(BODY) - 6, len(BODY) - 3, len(BODY) - 1, len(BODY) + 1, len(BODY) + 2, 2 * len(BODY)])
def test_P1_no_other_size_fits(size: int) -> None:
    assert not fits(BytesSource(BODY), size)


@pytest.mark.parametrize("raw", [b"", b"From: root@localhost\r\nSubject: message unavailable\r\n\r\nGone.\r\n"])
@pytest.mark.parametrize("size", [165, 1024])
def test_P1_what_is_sent_in_place_of_a_message_is_not_of_its_size(raw: bytes, size: int) -> None:
    assert not fits(BytesSource(raw), size)


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"bc"]), max_size=30), st.data())
def test_a_length_is_the_same_in_whatever_pieces_it_is_read(tokens: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(tokens)
    whole, pieces = Length(), Length()
    whole.update(raw)
    at = 0
    while at < len(raw):
        size = data.draw(st.integers(0, 3))
        pieces.update(raw[at : at + size])
        at += size
    assert [whole.fits(size) for size in range(80)] == [pieces.fits(size) for size in range(80)]
    pairs, bare = raw.count(b"\r\n"), raw.count(b"\n") - raw.count(b"\r\n")
    assert all(whole.fits(size) for size in (len(raw), len(raw) - pairs, len(raw) + bare))


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (Listed("1", 128), Listed("1", 148), "148 bytes, 128 before"),
        (
            Listed("1", 128, NOON),
            Listed("1", 128, NOON + timedelta(hours=1)),
            "arrived 2026-11-22 13:00:00 UTC, 2026-11-22 12:00:00 UTC before",
        ),
        (Listed("1", 128, NOON), Listed("1", 128, NOON + timedelta(seconds=0.5)), ""),
        (Listed("1", None, NOON), Listed("1", 128, NOON), ""),
        (Listed("1", 128), Listed("1", None, NOON), ""),
        (Listed("1", 0), Listed("1", 1), "1 bytes, 0 before"),
    ],
)
def test_P1_a_message_is_its_key_and_its_size_and_its_arrival(before: Listed, now: Listed, said: str) -> None:
    assert difference(before, now) == said
