"""The directory ``csv``: answers from an index on the disk, which follows the files of one folder."""

from __future__ import annotations

import fcntl
import sqlite3
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gatewayd import ConfigError, Contents, Directory, TransientError, replace_file
from gatewayd_csv.build import build
from gatewayd_csv.doubts import losses
from gatewayd_csv.index import Index
from gatewayd_csv.options import CsvOptions
from gatewayd_csv.settling import settled
from gatewayd_csv.tables import TABLES, UNREADABLE, header, stamps, unread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO, TypeVar

    from gatewayd import Contact, Folders, Kind, Operator, Record
    from gatewayd_csv.tables import Stamp

    _Answer = TypeVar("_Answer")

__all__ = ["Csv"]

#: How often an index is begun anew because a file changed while it was read.
_TRIES = 3
#: Seconds for which another process that builds is waited for where there is an index.
_OTHERS = 10.0
#: How many faulty rows of files that lost most of theirs are told.
_SOME = 10
_STAYS = "; what the files were before stays in use"


class Csv(Directory):
    """Looks records up in a folder of CSV files, by an index in the state folder."""

    kind = "csv"
    Options = CsvOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: CsvOptions

    def __init__(self, options: CsvOptions, *, operator: Operator, place: Folders) -> None:
        super().__init__(options, operator=operator, place=place)
        self._path = place.state / f"{operator.name}.index"
        self._index: Index | None = None
        #: Inode of the open index, and whether its faults were told.
        self._inode = 0
        self._told = False
        #: Why the index is not what the files are now, as the last refresh found it; empty where it is.
        self._outdated = ""
        #: Files that were refused though they can be read, and why: they are not read again before they change.
        self._refused: tuple[tuple[Stamp, ...] | None, list[str]] = (None, [])

    def refresh(self) -> list[str]:
        """See ``Directory``. A file that can't be used, is gone, or lost most of its rows leaves the last good index in use."""
        return self._refresh(accept=False)

    def accept(self) -> list[str]:
        """See ``Directory``. A file that is gone or lost most of its rows is taken as it is."""
        return self._refresh(accept=True)

    def _refresh(self, *, accept: bool) -> list[str]:
        self._follow()
        self._outdated = "its files can't be looked at"
        found = stamps(self.options.folder)
        news = [] if self._fits(found) else self._rebuild(accept=accept)
        self._outdated = "; ".join(news) if news else "" if self._is_current() else "another process takes its files over just now"
        if self._index and not self._told:
            self._told = True
            news += self._index.faults
        return news

    def follow(self) -> None:
        """See ``Directory``."""
        self._follow()

    def contents(self) -> Contents:
        """See ``Directory``. Its tables are its files."""
        folder, index = self.options.folder, self._index
        if index is None:
            return Contents(outdated=self._outdated, warnings=tuple(unread(folder)), folders=(folder,))
        return Contents(
            version=index.version,
            outdated=self._outdated,
            rows=tuple(index.rows.items()),
            contact_types=index.contact_types,
            faults=tuple(index.faults),
            warnings=(*unread(folder), *index.warnings),
            folders=(folder,),
        )

    def changed(self, version: str) -> Collection[str] | None:
        """See ``Directory``. It is known of the index in use and the one before it."""
        return self._ask(lambda index: index.gained(version))

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

    def _is_current(self) -> bool:
        return self._fits(stamps(self.options.folder))

    def _rebuild(self, *, accept: bool) -> list[str]:
        """Build the index, or wait for the process that builds it; with an old index, not for long, and fail in nothing."""
        try:
            with self._lock(wait=self._index is None) as locked:
                if not locked:
                    return []
                self._follow()
                return self._build(accept=accept)
        except (OSError, sqlite3.Error) as error:
            text = f"{self._name}: the index can't be written in {self.place.state}: {error}"
            if self._index is None:
                raise TransientError(text, advice="Check free space and rights of the state folder.") from error
            return [text]

    @contextmanager
    def _lock(self, *, wait: bool) -> Iterator[bool]:
        self.place.state.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("ab") as file:
            until = time.monotonic() + _OTHERS
            while not (locked := _locked(file, wait=wait)) and time.monotonic() < until:
                time.sleep(_OTHERS / 100)
            yield locked

    def _build(self, *, accept: bool) -> list[str]:
        before = self._index
        for _ in range(_TRIES):
            if not accept and self._refused[0] == stamps(self.options.folder):
                return list(self._refused[1])
            found = settled(self.options.folder, before.stamps) if before else stamps(self.options.folder)
            if found is None:
                break
            if self._fits(found):
                return []
            headers = {stamp.name: header(self.options.folder / stamp.name) for stamp in found}
            faults = [] if accept or before is None else [*self._gone(before, found), *self._columns_gone(before, headers)]
            faults += [f"{name}:1: {fault}" for name, (_, fault) in headers.items() if fault]
            if faults:
                return self._unusable(found, faults)
            columns = {name: columns for name, (columns, _) in headers.items()}
            if self._built(found, columns, before):
                return self._taken(found, before, accept=accept)
        if before is None:
            raise TransientError(f"{self._name}: the files change while they are read", advice="Write them elsewhere, then rename.")
        return [f"{self._name}: the files change while they are read; what they were before stays in use"]

    @property
    def _new(self) -> Path:
        return self._path.with_suffix(".new")

    def _built(self, found: tuple[Stamp, ...], columns: Mapping[str, tuple[str, ...]], before: Index | None) -> bool:
        """Whether an index could be built of the files as they were found."""
        build(self.options.folder, found, columns, self._new, before=(self._path, before.version) if before else None)
        if stamps(self.options.folder) == found:
            return True
        self._new.unlink()
        return False

    def _taken(self, found: tuple[Stamp, ...], before: Index | None, *, accept: bool) -> list[str]:
        """Put the new index in place, unless it lacks most rows of the old one: an export may have ended in the middle."""
        if before and not accept:
            new = Index(self._new)
            new.close()
            lost = losses(new.rows, before.rows)
            if lost:
                self._new.unlink()
                faults = [
                    f"{name}: it has {now:,} good rows and had {had:,}; {self._accepted}" for name, (now, had) in lost.items()
                ]
                # What is wrong with single rows may be why: another encoding, say.
                return self._unusable(found, faults, [text for text in new.faults if text.partition(":")[0] in lost][:_SOME])
        replace_file(self._new, self._path)
        self._follow()
        return []

    def _gone(self, before: Index, found: tuple[Stamp, ...]) -> list[str]:
        there = {stamp.name for stamp in found}
        gone = [name for name, rows in before.rows.items() if rows and name not in there]
        return [f"{name}: the file is gone; {self._accepted}" for name in gone]

    def _columns_gone(self, before: Index, headers: Mapping[str, tuple[tuple[str, ...], str]]) -> list[str]:
        """Tell of columns that may be missing and decide something where they are: without them the rest says something else."""
        sound = {name: columns for name, (columns, fault) in headers.items() if before.rows.get(name) and not fault}
        return [
            f"{name}:1: a column that decides is gone, {column!r}; {self._accepted}"
            for name, columns in sound.items()
            for column in TABLES[name].deciding
            if column in before.columns.get(name, ()) and column not in columns
        ]

    @property
    def _accepted(self) -> str:
        return f"if that is meant, `gatewayd directory load --operator {self.operator.name} --accept` takes it over"

    def _unusable(self, found: tuple[Stamp, ...], faults: list[str], rows: Sequence[str] = ()) -> list[str]:
        if self._index is None:
            raise ConfigError(f"{self._name}: {'; '.join(faults)}", advice="Correct the files.")
        told = [*(f"{fault}{_STAYS}" for fault in faults), *rows]
        # What can't be read may be readable the next time, and its stamp does not tell.
        self._refused = (None if any(UNREADABLE in fault for fault in faults) else found, told)
        return list(told)


def _locked(file: BinaryIO, *, wait: bool) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
