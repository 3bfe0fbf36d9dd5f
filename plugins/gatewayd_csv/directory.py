"""The directory ``csv``: answers from an index on the disk, which follows the files of one folder."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gatewayd import ConfigError, Directory, TransientError
from gatewayd_csv.build import build
from gatewayd_csv.index import Index
from gatewayd_csv.options import CsvOptions
from gatewayd_csv.tables import header, stamps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TypeVar

    from gatewayd import Contact, Kind, Operator, Place, Record
    from gatewayd_csv.tables import Stamp

    _Answer = TypeVar("_Answer")

__all__ = ["Csv"]

#: How often an index is begun anew because a file changed while it was read.
_TRIES = 3


class Csv(Directory):
    """Looks records up in a folder of CSV files, by an index in the state folder."""

    kind = "csv"
    Options = CsvOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: CsvOptions

    def __init__(self, options: CsvOptions, *, operator: Operator, place: Place) -> None:
        super().__init__(options, operator=operator, place=place)
        self._path = place.state / f"{operator.name}.index"
        self._index: Index | None = None
        #: Inode of the open index, and whether its faults were told.
        self._inode = 0
        self._told = False

    def refresh(self) -> list[str]:
        """See ``Directory``. A file that can't be used as a whole leaves the last good index in use."""
        found = stamps(self.options.folder)
        self._follow()
        news = [] if self._fits(found) else self._rebuild(found)
        if self._index and not self._told:
            self._told = True
            news += self._index.faults
        return news

    def follow(self) -> None:
        """See ``Directory``."""
        self._follow()

    def find(self, kind: Kind, field: str, values: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """See ``Directory``. A column other than id, code, name, main_contact and email is searched row by row."""
        return self._ask(lambda index: index.find(kind, field.lower(), values)) if values else {}

    def persons(self, emails: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """See ``Directory``."""
        return self._ask(lambda index: index.persons(emails, temporary=False)) if emails else {}

    def contacts(self, emails: Collection[str]) -> Mapping[str, Sequence[Contact]]:
        """See ``Directory``."""
        return self._ask(lambda index: index.contacts(emails)) if emails else {}

    def search(self, kind: Kind, text: str, *, limit: int = 20) -> Sequence[Record]:
        """See ``Directory``."""
        return self._ask(lambda index: index.search(kind, text, limit))

    def close(self) -> None:
        """See ``Directory``."""
        if self._index:
            self._index.close()
        self._index, self._inode, self._told = None, 0, False

    def _ask(self, question: Callable[[Index], _Answer]) -> _Answer:
        if self._index is None:
            self._follow()
        if self._index is None:
            raise TransientError(
                f"{self._name}: there is no index yet", advice="It is built at the next visit, and by `gatewayd check`."
            )
        try:
            return question(self._index)
        except sqlite3.Error as error:
            self._throw_away()
            raise TransientError(
                f"{self._name}: the index can't be read: {error}", advice="It is built anew at the next visit."
            ) from error

    def _throw_away(self) -> None:
        """Remove the broken index, unless there is a newer one by now."""
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        self.close()

    @property
    def _name(self) -> str:
        return f"directory csv, folder {self.options.folder}"

    def _follow(self) -> None:
        """Open the index that is there now, if it is one of this folder and format."""
        try:
            inode = self._path.stat().st_ino
            if self._index and inode == self._inode:
                return
            index = Index(self._path)
        except (OSError, sqlite3.Error, ValueError):
            self.close()
            return
        self.close()
        if index.folder == str(self.options.folder):
            self._index, self._inode = index, inode
        else:
            index.close()

    def _fits(self, found: tuple[Stamp, ...]) -> bool:
        return self._index is not None and self._index.stamps == found

    def _rebuild(self, found: tuple[Stamp, ...]) -> list[str]:
        """Build the index, or wait for the process that builds it; with an old index, neither wait nor fail."""
        try:
            with self._lock(wait=self._index is None) as locked:
                if locked:
                    self._follow()
                    return [] if self._fits(found) else self._build()
                return []
        except (OSError, sqlite3.Error) as error:
            text = f"{self._name}: the index can't be written in {self.place.state}: {error}"
            if self._index is None:
                raise TransientError(text, advice="Check free space and rights of the state folder.") from error
            return [text]

    @contextmanager
    def _lock(self, *, wait: bool) -> Iterator[bool]:
        self.place.state.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True

    def _build(self) -> list[str]:
        for _ in range(_TRIES):
            found = stamps(self.options.folder)
            headers = {stamp.name: header(self.options.folder / stamp.name) for stamp in found}
            faults = [f"{name}:1: {fault}" for name, (_, fault) in headers.items() if fault]
            if faults:
                return self._unusable(faults)
            target = self._path.with_suffix(".new")
            build(self.options.folder, found, {name: columns for name, (columns, _) in headers.items()}, target)
            if stamps(self.options.folder) == found:
                self._put_in_place(target)
                return []
            target.unlink()
        if self._index is None:
            raise TransientError(f"{self._name}: the files change while they are read", advice="Write them elsewhere, then rename.")
        return [f"{self._name}: the files change while they are read; what they were before stays in use"]

    def _unusable(self, faults: list[str]) -> list[str]:
        if self._index is None:
            raise ConfigError(f"{self._name}: {'; '.join(faults)}", advice="Correct the files.")
        return [f"{fault}; what the files were before stays in use" for fault in faults]

    def _put_in_place(self, target: Path) -> None:
        target.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._follow()
