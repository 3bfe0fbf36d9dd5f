"""The bytes of a message: in memory, or through a window that slides over where they are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from gatewayd.message.values import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.message.values import Source

__all__ = ["BytesSource", "Raw", "Window", "opened", "pieces"]


class Raw(Protocol):
    """What is scanned: the bytes of a message, or a ``Window`` on them."""

    def __len__(self) -> int: ...
    def __getitem__(self, span: slice, /) -> bytes: ...

    def find(self, needle: bytes, start: int, end: int, /) -> int:
        """Return the offset of the first ``needle`` between ``start`` and ``end``, -1 where there is none."""


@dataclass(frozen=True, slots=True)
class BytesSource:
    """A message in memory: for tests, for a file that ``explain`` is given, and for what a container holds."""

    raw: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """Length of the message in bytes."""
        return len(self.raw)

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset`` on, fewer at the end."""
        return self.raw[offset : offset + size]


def pieces(source: Source, start: int, length: int) -> Iterator[bytes]:
    """Yield a span of a source in pieces of at most 1 MiB."""
    for offset in range(start, start + length, CHUNK):
        yield source.read(offset, min(CHUNK, start + length - offset))


class Window:
    """A message that is too large for the memory, searched through a window that slides over its source."""

    def __init__(self, source: Source, size: int = CHUNK) -> None:
        self._source = source
        self._size = size
        self._start = 0
        self._seen = b""

    def __len__(self) -> int:
        return self._source.size

    def __getitem__(self, span: slice, /) -> bytes:
        start, end, _ = span.indices(len(self))
        if self._start <= start and end <= self._start + len(self._seen):
            return self._seen[start - self._start : end - self._start]
        return self._source.read(start, end - start) if start < end else b""

    def _at(self, start: int, end: int, least: int) -> bytes:
        """Move the window unless it holds at least ``least`` bytes from ``start`` on, or all to ``end``."""
        if not self._start <= start <= self._start + len(self._seen) - min(least, end - start):
            self._seen = self._source.read(start, max(self._size, least))
            self._start = start
        return self._seen

    def find(self, needle: bytes, start: int, end: int, /) -> int:
        """Return the offset of the first ``needle`` that lies whole between ``start`` and ``end``; -1 where there is none."""
        end = min(end, len(self))
        while end - start >= len(needle):
            seen = self._at(start, end, len(needle))
            found = seen.find(needle, start - self._start, end - self._start)
            if found >= 0:
                return self._start + found
            searched, start = start, self._start + len(seen) - len(needle) + 1
            if start <= searched:
                # The source has less than its size promised.
                break
        return -1


def opened(source: Source, *, whole: int = CHUNK) -> Raw:
    """Return the message to scan: its bytes if there are at most ``whole`` of them, else a window of that size on them."""
    return source.read(0, source.size) if source.size <= whole else Window(source, whole)
