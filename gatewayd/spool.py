"""The spool: a temporary file that holds a batch's raw bytes while it is worked on."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from gatewayd.errors import TransientError
from gatewayd.model import Came

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

__all__ = ["Spool", "SpoolSource"]


@dataclass(frozen=True)
class SpoolSource:
    """One message in a spool file. Pickles small; readable as long as its spool is open."""

    path: str
    start: int
    size: int

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset`` on, fewer at the message's end."""
        try:
            # Held until it was read from: another thread may make the cache forget it, and nobody's file is closed.
            reader = _reader(self.path)
            return os.pread(reader.file, max(0, min(size, self.size - offset)), self.start + offset)
        except OSError as error:
            raise _disk_error("read", error) from error


class _Reader:
    """A spool file that is open for reading, until nobody holds it any more."""

    __slots__ = ("file",)

    def __init__(self, path: str) -> None:
        self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "file"):
            os.close(self.file)


#: A batch is read message by message, twice; opening its file each time would cost more than the reading.
_reader = lru_cache(maxsize=4)(_Reader)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Tell a full disk from a lost connection, which is an OSError too."""
    try:
        yield
    except OSError as error:
        raise _disk_error("written", error) from error


def _disk_error(done: str, error: OSError) -> TransientError:
    advice = "Look after the disk of the state folder: is there space on it?"
    return TransientError(f"the spool can't be {done}: {error.strerror}", advice=advice)


class Spool:
    """One spool file. Written by one thread, read by any once ``seal`` returned; closing it removes the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _disk_errors():
            self._file = path.open("xb")
        self._end = 0
        #: The file's position is behind what was put whole: a message broke off.
        self._torn = False

    def put(self, key: str, chunks: Iterable[bytes]) -> Came:
        """Write one message and return it as come. If ``chunks`` raises, nothing of the message stays in the spool."""
        digest = hashlib.sha256()
        start = self._end
        if self._torn:
            # Only now: to seek is to flush, and on a full disk that would hide what broke the message off.
            with _disk_errors():
                self._file.seek(start)
            self._torn = False
        try:
            for chunk in chunks:
                digest.update(chunk)
                self._write(chunk)
        except BaseException:
            self._end, self._torn = start, True
            raise
        return Came(key=key, source=SpoolSource(str(self._path), start, self._end - start), digest=digest.digest())

    def _write(self, chunk: bytes) -> None:
        try:
            self._file.write(chunk)
        except OSError as error:
            raise _disk_error("written", error) from error
        self._end += len(chunk)

    def seal(self) -> None:
        """Make all that was put readable."""
        with _disk_errors():
            self._file.flush()

    def close(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)
        # A reader that is kept would keep the file's space, too.
        _reader.cache_clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
