"""The directory ``csv``: answer queries from an index on disk, which is rebuilt when the CSV files of its folder change."""

from __future__ import annotations

import fcntl
import sqlite3
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gatewayd import ConfigError, Contents, Directory, TransientError, replace_file
from gatewayd_csv.build import build
from gatewayd_csv.complete_files import settled
from gatewayd_csv.index import Index
from gatewayd_csv.options import CsvOptions
from gatewayd_csv.plausibility import losses
from gatewayd_csv.tables import TABLES, UNREADABLE, header, stamps, unread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from typing import BinaryIO, TypeVar

    from gatewayd import Contact, Folders, Kind, Operator, Record
    from gatewayd_csv.tables import Stamp

    _Answer = TypeVar("_Answer")

__all__ = ["Csv"]

#: How often the index is built again because a file changed while it was read.
_TRIES = 3
#: Seconds to wait for another process that is building the index, if there is an older index.
_OTHERS = 10.0
#: How many faulty rows are reported of files that lost most of their rows.
_SOME = 10
_STAYS = "; what the files were before stays in use"


class Csv(Directory):
    """Looks up records of a folder of CSV files in an index, which lies in the state folder."""

    kind = "csv"
    Options = CsvOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: CsvOptions

    def __init__(self, options: CsvOptions, *, operator: Operator, place: Folders) -> None:
        super().__init__(options, operator=operator, place=place)
        self._path = place.state / f"{operator.name}.index"
        #: A new index, before it takes the old one's place.
        self._new = self._path.with_suffix(".new")
        self._index: Index | None = None
        #: The inode of the open index, and whether its faults were reported.
        self._inode = 0
        self._reported = False
        #: Why the index does not match the files, as of the last refresh; empty if it does.
        self._outdated = ""
        #: Files that were readable but refused, with the reasons: they are not read again before they change.
        self._refused: tuple[tuple[Stamp, ...] | None, list[str]] = (None, [])

    def refresh(self) -> list[str]:
        """See ``Directory``. If a file is unusable, gone, or lost most of its rows, the last good index stays in use."""
        return self._refresh(accept=False)

    def accept(self) -> list[str]:
        """See ``Directory``. A file that is gone or lost most of its rows is accepted as it is."""
        return self._refresh(accept=True)

    def _refresh(self, *, accept: bool) -> list[str]:
        self.follow()
        self._outdated = "its files can't be looked at"
        news = [] if self._fits(stamps(self.options.folder)) else self._rebuild(accept=accept)
        current = news or self._fits(stamps(self.options.folder))
        self._outdated = "; ".join(news) if current else "another process takes its files over just now"
        if self._index and not self._reported:
            self._reported = True
            news += self._index.faults
        return news

    def follow(self) -> None:
        """See ``Directory``. Opens the present index, if it has this folder and format."""
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
        """See ``Directory``. The changes of the index in use and of the one before it are known."""
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
        self._index, self._inode, self._reported = None, 0, False

    def _ask(self, question: Callable[[Index], _Answer]) -> _Answer:
        if self._index is None:
            self.follow()
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
        """Remove the broken index, unless it has been replaced."""
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        self.close()

    @property
    def _name(self) -> str:
        return f"directory csv, folder {self.options.folder}"

    def _fits(self, found: tuple[Stamp, ...]) -> bool:
        return self._index is not None and self._index.stamps == found

    def _rebuild(self, *, accept: bool) -> list[str]:
        """Build the index, or wait for the process that is building it. With an old index, do not wait long, and do not fail."""
        try:
            with self._lock(wait=self._index is None) as locked:
                if not locked:
                    return []
                self.follow()
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
            found = settled(self.options.folder, before.stamps if before else None)
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
            build(self.options.folder, found, columns, self._new, before=(self._path, before.version) if before else None)
            if stamps(self.options.folder) == found:
                return self._taken(found, before, accept=accept)
            self._new.unlink()
        if before is None:
            raise TransientError(f"{self._name}: the files change while they are read", advice="Write them elsewhere, then rename.")
        return [f"{self._name}: the files change while they are read; what they were before stays in use"]

    def _taken(self, found: tuple[Stamp, ...], before: Index | None, *, accept: bool) -> list[str]:
        """Put the new index in place, unless it lacks most rows of the old one: an export may have been interrupted."""
        if before and not accept:
            new = Index(self._new)
            new.close()
            lost = losses(new.rows, before.rows)
            if lost:
                self._new.unlink()
                faults = [
                    f"{name}: it has {now:,} good rows and had {had:,}; {self._accepted}" for name, (now, had) in lost.items()
                ]
                # Faults of single rows may be the cause, for example another encoding.
                return self._unusable(found, faults, [text for text in new.faults if text.partition(":")[0] in lost][:_SOME])
        try:
            replace_file(self._new, self._path)
        except OSError:
            # A disk that is full may say so only now, and the index would keep it full.
            self._new.unlink(missing_ok=True)
            raise
        self.follow()
        return []

    def _gone(self, before: Index, found: tuple[Stamp, ...]) -> list[str]:
        there = {stamp.name for stamp in found}
        gone = [name for name, rows in before.rows.items() if rows and name not in there]
        return [f"{name}: the file is gone; {self._accepted}" for name in gone]

    def _columns_gone(self, before: Index, headers: Mapping[str, tuple[tuple[str, ...], str]]) -> list[str]:
        """Report optional columns that are gone and that change the meaning of the other columns."""
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
        reported = [*(f"{fault}{_STAYS}" for fault in faults), *rows]
        # A file that can't be read may become readable without a change of its stamp.
        self._refused = (None if any(UNREADABLE in fault for fault in faults) else found, reported)
        return list(reported)


def _locked(file: BinaryIO, *, wait: bool) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
