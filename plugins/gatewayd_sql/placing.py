"""Where the database lies by default: in a folder of its own in the state folder, so that another user can be let read it alone.

Releases before had it in the state folder itself. Whoever opens it first moves it: as one file, by one rename, while nobody else
has it open.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from gatewayd import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["place_of", "prepare"]

_NAME: Final = "gatewayd.db"
_FOLDER: Final = "store"
#: For how many seconds others that have it open are waited for.
_PATIENCE: Final = 1.0


def place_of(state: Path) -> Path:
    """Return where the database is, or is to be."""
    place, before = state / _FOLDER / _NAME, state / _NAME
    return before if not place.exists() and before.is_file() else place


def prepare(state: Path) -> None:
    """Move a database of a release before, unless others have it open, make its file if there is none, and set its rights.

    Raises ConfigError where the folder can't be used, and where there are two databases.
    """
    place, before = state / _FOLDER / _NAME, state / _NAME
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        if before.is_file() and not before.is_symlink():
            _move(before, place)
        if place_of(state) == place:
            _allow(place)
    except OSError as error:
        what = f"{error.filename or place}: the database's folder can't be used: {error.strerror}"
        raise ConfigError(what, advice="Let the service's user write the state folder, or correct `state`.") from error


def _move(before: Path, place: Path) -> None:
    if place.exists():
        raise ConfigError(
            f"there are two databases, {before} and {place}",
            advice=f"Stop gatewayd, and move one of them away. Only {place} is used, to which a backup is restored, too.",
        )
    # It is not made if it is gone by now. Where SQLite can't do this, whoever opens it says why.
    file = f"file:{quote(str(before))}?mode=rw"
    with suppress(sqlite3.Error), closing(sqlite3.connect(file, uri=True, timeout=_PATIENCE, isolation_level=None)) as connection:
        # That brings its log into it and removes it; it is refused while others have it open (sqlite.org/wal.html, "Persistence").
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("BEGIN EXCLUSIVE")
        # Another process has moved it meanwhile.
        with suppress(FileNotFoundError):
            before.rename(place)
        for folder in (place.parent, before.parent):
            _sync(folder)


def _allow(place: Path) -> None:
    """Let the group read the files if it may read the folder, as `gatewayd install --web` sets it; nobody else ever may."""
    with suppress(FileExistsError):
        os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    # SQLite makes the log and its index with the same rights (sqlite.org/src, os_unix.c: findCreateFileMode).
    rights = 0o600 | (place.parent.stat().st_mode & 0o040)
    for path in _files(place):
        if path.stat().st_mode & 0o777 != rights:
            path.chmod(rights)


def _files(place: Path) -> Iterator[Path]:
    yield from (path for ending in ("", "-wal", "-shm") if (path := place.with_name(f"{_NAME}{ending}")).is_file())


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
