"""Bloom filters with one hash, which rule out most values that no record has without a query to the index.

A value sets the bit at its CRC-32. If the bit of a value is not set, no record has that value; if it is set, one may have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["filled", "passed"]

#: With 16 bits for each value, at most one of 16 other values passes; with more than 2^21 values, more of them do.
_BITS_A_VALUE, _MOST = 16, 1 << 25


def filled(values: Iterable[str], count: int) -> bytes:
    """Return the filter of ``count`` values: 2 to 4 bytes for each value, at most 4 MiB."""
    size = min(1 << max(3, (count * _BITS_A_VALUE - 1).bit_length()), _MOST)
    bits = bytearray(size // 8)
    for value in values:
        at = crc32(value.encode()) % size
        bits[at >> 3] |= 1 << (at & 7)
    return bytes(bits)


def passed(bits: bytes, values: Collection[str]) -> list[str]:
    """Return those of ``values`` that may be in the filter ``bits``."""
    size = len(bits) * 8
    # Values from broken mail may contain surrogates; the index skips those when it looks values up.
    places = [crc32(value.encode(errors="surrogatepass")) % size for value in values]
    return [value for value, at in zip(values, places, strict=True) if bits[at >> 3] >> (at & 7) & 1]
