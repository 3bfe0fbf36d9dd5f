"""Keep a batch's raw bytes in a temporary file, the spool, while the batch is worked on; a full disk is noticed here."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from gatewayd.api.values import Came
from gatewayd.errors import TooLarge, TransientError
from gatewayd.message.values import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from gatewayd.api.values import Listed

__all__ = ["MESSAGE_BYTES", "Spool", "SpoolFailed", "SpoolSource", "allowed"]

#: The largest message that is fetched, unless `limits` says otherwise.
MESSAGE_BYTES = 256 << 20


class SpoolFailed(TransientError):
    """A spool can't be written or read: its disk is full, or fails. Neither a server nor a message is at fault."""


def allowed(size: int | None, largest: int = MESSAGE_BYTES) -> int:
    """Return how many bytes may come of a message that was listed with ``size``; for None, as many as of any message.

    That is twice the size, since some servers count a line break as one byte, and 1 MiB more, since some estimate.
    """
    return largest if size is None else min(largest, 2 * size + CHUNK)


@dataclass(frozen=True)
class SpoolSource:
    """One message in a spool file. Pickles small; readable while its spool is open."""

    path: str
    start: int
    size: int

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset`` on, fewer at the message's end."""
        try:
            # Hold the reader: another thread may drop it from the cache, which must not close its file before it is read.
            reader = _reader(self.path)
            return os.pread(reader.file, max(0, min(size, self.size - offset)), self.start + offset)
        except OSError as error:
            raise _disk_error("read", error) from error


class _Reader:
    """A spool file that is open for reading until the last reference is gone."""

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
    """Raise SpoolFailed for errors of our disk: a lost connection is an OSError, too."""
    try:
        yield
    except OSError as error:
        raise _disk_error("written", error) from error


def _disk_error(done: str, error: OSError) -> SpoolFailed:
    advice = "Look after the disk of the state folder: is there space on it?"
    return SpoolFailed(f"the spool can't be {done}: {error.strerror}", advice=advice)


class Spool:
    """One spool file. Written by one thread, read by any once ``seal`` returned; closing it removes the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._allowed: dict[str, int] = {}
        self._largest = self._room = MESSAGE_BYTES
        with _disk_errors():
            self._file = path.open("xb")
        self._end = 0
        #: A message broke off, so that the file's position is behind the last whole message.
        self._torn = False
        #: The key of the message of which too much came; empty if there is none.
        self.broken = ""

    def expect(self, listed: Sequence[Listed], largest: int) -> None:
        """Set the bounds for the messages to come: of each by its listed size, of any other, and of all together."""
        self._allowed = {one.key: allowed(one.size, largest) for one in listed}
        self._largest = max(self._allowed.values(), default=0)
        # Where sizes are estimates, not all of them are too low.
        self._room = self._end + largest + sum(2 * one.size for one in listed if one.size is not None)

    def allowed(self, key: str) -> int:
        """Return how many bytes may come of this message; if it was not listed, as many as of the largest that was."""
        return self._allowed.get(key, self._largest)

    def put(self, key: str, chunks: Iterable[bytes]) -> Came:
        """Write one message and return it as come. If ``chunks`` raises, nothing of the message stays in the spool.

        Raises TooLarge if more of it comes than ``allowed``, or more than the whole spool may hold. The rest of it is then still
        to come from the server: read it away within a bound, or close the connection. Raises SpoolFailed if our disk fails.
        """
        digest = hashlib.sha256()
        start = self._end
        own, room = self.allowed(key), self._room - start
        if self._torn:
            # Only now: seeking flushes, and on a full disk that would hide what broke the message off.
            with _disk_errors():
                self._file.seek(start)
            self._torn = False
        try:
            for chunk in chunks:
                self._fits(key, self._end - start + len(chunk), own, room)
                digest.update(chunk)
                self._write(chunk)
        except BaseException:
            self._end, self._torn = start, True
            raise
        return Came(key=key, source=SpoolSource(str(self._path), start, self._end - start), digest=digest.digest())

    def _fits(self, key: str, size: int, own: int, room: int) -> None:
        if size <= min(own, room):
            return
        self.broken = key
        if room < own:
            raise TooLarge(f"its batch holds all that it may: the messages before it left room for {room} bytes")
        raise TooLarge(
            f"more than {own} bytes came of it: at most twice its listed size and 1 MiB may, and never more than `message_bytes`"
        )

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
        # A cached reader would keep the file's space.
        _reader.cache_clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
