"""Give access to the bytes of a message: in memory, or through a window that slides over a large source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from gatewayd.message.values import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.message.values import Source

__all__ = ["BytesSource", "Raw", "Window", "opened", "pieces"]


class Raw(Protocol):
    """Scannable bytes of a message: ``bytes``, or a ``Window`` on its source."""

    def __len__(self) -> int: ...
    def __getitem__(self, span: slice, /) -> bytes: ...

    def find(self, needle: bytes, start: int, end: int, /) -> int:
        """Return the offset of the first ``needle`` between ``start`` and ``end``; -1 if there is none."""


@dataclass(frozen=True, slots=True)
class BytesSource:
    """A message in memory: a short one, a file that ``explain`` reads, or the contents of a container."""

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
    """A large message, searched through a window of ``size`` bytes that slides over its source."""

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
        """Return the window, moved unless it has ``least`` bytes from ``start`` on, or all bytes up to ``end``."""
        if not self._start <= start <= self._start + len(self._seen) - min(least, end - start):
            self._seen = self._source.read(start, max(self._size, least))
            self._start = start
        return self._seen

    def find(self, needle: bytes, start: int, end: int, /) -> int:
        """Return the offset of the first ``needle`` that lies entirely between ``start`` and ``end``; -1 if there is none."""
        end = min(end, len(self))
        while end - start >= len(needle):
            seen = self._at(start, end, len(needle))
            found = seen.find(needle, start - self._start, end - self._start)
            if found >= 0:
                return self._start + found
            searched, start = start, self._start + len(seen) - len(needle) + 1
            if start <= searched:
                # The source is shorter than its size says.
                break
        return -1


def opened(source: Source, *, whole: int = CHUNK) -> Raw:
    """Return a message for scanning: its bytes if they are at most ``whole``, else a window of that size on them."""
    return source.read(0, source.size) if source.size <= whole else Window(source, whole)
