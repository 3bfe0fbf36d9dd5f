"""A Bloom filter with one hash: it tells of most values that nobody has them, without a look at the index.

There is a bit for each value, at the value's CRC-32. A value whose bit is not set stands nowhere; one whose bit is set may,
and has to be looked up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["filled", "passed"]

#: With 16 bits a value at most one of 16 other values passes; where that would be more than 2^25 bits, more of them do.
_BITS_A_VALUE, _MOST = 16, 1 << 25


def filled(values: Iterable[str], count: int) -> bytes:
    """Return the filter of ``count`` values: 2 to 4 bytes for each, at most 4 MiB."""
    size = min(1 << max(3, (count * _BITS_A_VALUE - 1).bit_length()), _MOST)
    bits = bytearray(size // 8)
    for value in values:
        at = crc32(value.encode()) % size
        bits[at >> 3] |= 1 << (at & 7)
    return bytes(bits)


def passed(bits: bytes, values: Collection[str]) -> list[str]:
    """Return those of ``values`` that may be among the ones that ``bits`` was filled with."""
    size = len(bits) * 8
    # What comes from broken mail may be no text; whoever looks the rest up minds that.
    places = [crc32(value.encode(errors="surrogatepass")) % size for value in values]
    return [value for value, at in zip(values, places, strict=True) if bits[at >> 3] >> (at & 7) & 1]
