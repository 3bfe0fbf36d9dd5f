"""A picture is known by its bytes, and so is how many pixels a browser would have to make of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd_web.picture_sizes import pixels_of, type_of

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
RIFF = b"RIFF\0\0\0\0WEBP"
#: A JPEG begins with pieces; each says its length, its own two bytes included.
NOTES = b"\xff\xd8\xff\xe0\0\4ab\xff\xff\xfe\0\3c"


@pytest.mark.parametrize(
    ("data", "kind", "pixels"),
    [
        (PNG + b"\0\0\1\0\0\0\0\2", "image/png", 512),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIDAT\0\0\1\0\0\0\0\2", "image/png", 0),
        (b"GIF87a\3\0\0\1", "image/gif", 768),
        (b"GIF89a\3\0\2\0", "image/gif", 6),
        (RIFF + b"VP8X\x0a\0\0\0\0\0\0\0\2\0\0\0\1\0", "image/webp", 3 * 257),
        (RIFF + b"VP8L\0\0\0\0\x2f\2\x40\0\0", "image/webp", 3 * 2),
        (RIFF + b"VP8 \0\0\0\0\0\0\0\x9d\1\x2a\3\0\2\0", "image/webp", 6),
        (RIFF + b"ALPH", "image/webp", 0),
        (NOTES + b"\xff\xc0\0\x11\x08\0\3\1\0", "image/jpeg", 768),
        (NOTES + b"\xff\xc4\0\2\xff\xc2\0\x11\x08\0\3\0\2", "image/jpeg", 6),
        (NOTES + b"\xff\xda\0\2\xff\xc0\0\x11\x08\0\3\0\2", "image/jpeg", 0),
        (NOTES, "image/jpeg", 0),
        (b"\xff\xd8\xff\xe0\0\0" * 1000, "image/jpeg", 0),
        (b"RIFF\0\0\0\0WAVE", "", 0),
        (b"<svg", "", 0),
        (b"BM", "", 0),
        (b"", "", 0),
    ],
)
def test_type_and_pixels_are_told_by_the_bytes(data: bytes, kind: str, pixels: int) -> None:
    assert type_of(data) == kind
    assert not kind or pixels_of(data, kind) == pixels


@given(st.sampled_from([PNG, b"GIF89a", RIFF + b"VP8X", RIFF + b"VP8L", RIFF + b"VP8 ", b"\xff\xd8\xff"]), st.binary(max_size=40))
def test_any_bytes_are_borne(start: bytes, rest: bytes) -> None:
    assert pixels_of(start + rest, type_of(start + rest)) >= 0
