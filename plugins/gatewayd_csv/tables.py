"""Describe the CSV files and their columns, and check the names, stamps and header lines of those in a folder."""

from __future__ import annotations

import csv
import difflib
import os
import unicodedata
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd import ConfigError
from gatewayd_csv.rows import UTF8

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from gatewayd import Kind

__all__ = ["TABLES", "UNREADABLE", "Stamp", "Table", "header", "misspelt", "searchable", "stamps", "unread"]

#: The fault of a file that can't be read at the moment.
UNREADABLE = "it can't be read"
#: The longest header line in bytes, the most columns, and the longest name of a field that the kernel accepts, in bytes.
_MAX_HEADER = 1 << 16
_MAX_COLUMNS = 500
_MAX_NAME = 999
#: Separators that some programs use in place of commas.
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
#: How similar a name must be to count as a misspelling of another, and how many names of a folder are checked.
_ALIKE, _MAX_NAMES = 0.75, 1000
#: Letters that Unicode does not decompose to ASCII, and what people write who can't type an umlaut.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"})
_UMLAUTS = (("ae", "a"), ("oe", "o"), ("ue", "u"))


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of file."""

    #: The kind of its records; None for the contacts of customers and suppliers.
    kind: Kind | None
    #: Columns without which the file can't be used.
    needed: tuple[str, ...]
    #: Columns with an index.
    indexed: tuple[str, ...] = ()
    #: Columns that are queried for many values which mostly do not exist: each has a Bloom filter.
    guessed: tuple[str, ...] = ()
    #: Columns that form a record's label.
    label: tuple[str, ...] = ("name",)
    #: Columns that have a meaning but may be missing.
    optional: tuple[str, ...] = ()

    @property
    def deciding(self) -> tuple[str, ...]:
        """The optional columns that are not only shown."""
        return tuple(column for column in self.optional if column not in self.label)


_OWNER = ("id", "name", "main_contact")
_TITLED = {
    "needed": ("id", "code"),
    "indexed": ("id", "code"),
    "guessed": ("code",),
    "label": ("code", "title"),
    "optional": ("title",),
}

#: The files by name, owners before their contacts.
TABLES: dict[str, Table] = {
    "persons.csv": Table("person", ("id", "name", "email"), ("id", "name"), optional=("temporary",)),
    "customers.csv": Table("customer", _OWNER, _OWNER),
    "suppliers.csv": Table("supplier", _OWNER, _OWNER),
    "contacts.csv": Table(None, ("owner_kind", "owner_id", "type", "value"), optional=("contact_type",)),
    "reservations.csv": Table("reservation", **_TITLED),
    "quotes.csv": Table("quote", **_TITLED),
    "invoices.csv": Table("invoice", **_TITLED),
    "products.csv": Table("product", **_TITLED),
}


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """A file's identity: as long as it does not change, the content has not changed."""

    name: str
    size: int
    mtime_ns: int
    inode: int


def stamps(folder: Path) -> tuple[Stamp, ...]:
    """Return the stamps of the existing files; raises ConfigError if the folder can't be read."""
    try:
        os.scandir(folder).close()
        return tuple(sorted(filter(None, (_stamp(folder, name) for name in TABLES))))
    except FileNotFoundError:
        problem, advice = "there is no such folder", "Correct `folder`; a relative path counts from the config folder."
    except NotADirectoryError:
        problem, advice = "it is no folder", "Give the folder that holds persons.csv and the other files."
    except OSError as error:
        problem, advice = f"it can't be read: {error.strerror}", "Let the service's user read the folder and its files."
    raise ConfigError(f"directory csv, folder {folder}: {problem}", advice=advice)


def _stamp(folder: Path, name: str) -> Stamp | None:
    try:
        found = (folder / name).stat()
    except FileNotFoundError:
        # An export may remove it at any time.
        return None
    return Stamp(name, found.st_size, found.st_mtime_ns, found.st_ino)


def unread(folder: Path) -> list[str]:
    """Return the faults of the file names in a folder: a misspelt one, or no known one at all."""
    with suppress(OSError), os.scandir(folder) as entries:
        names = {entry.name for _, entry in zip(range(_MAX_NAMES), entries, strict=False)}
        missing = [name.removesuffix(".csv") for name in TABLES if name not in names]
        near = {name: _alike(name.casefold().partition(".")[0], missing) for name in sorted(names - TABLES.keys())}
        faults = [f"{name}: this file is not read; did you mean '{table}.csv'?" for name, table in near.items() if table]
        if not faults and len(missing) == len(TABLES):
            faults = [f"{folder}: it has none of {', '.join(TABLES)}"]
        return faults
    return []


def _alike(word: str, words: Collection[str]) -> str:
    return next(iter(difflib.get_close_matches(word, words, n=1, cutoff=_ALIKE)), "")


def header(path: Path) -> tuple[tuple[str, ...], str]:
    """Return a file's columns in lower case, and the fault of its header line; empty if it has no fault."""
    needed = TABLES[path.name].needed
    # Opening a pipe would block.
    if not (path.is_file() or path.is_dir()):
        return (), "it is no file"
    expected = f"expected a header line with {', '.join(needed)}, separated by commas"
    try:
        with path.open("rb") as file:
            line = file.readline(_MAX_HEADER)
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        found = " but UTF-16" if line.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else ""
        return (), f"the header line is not UTF-8{found}: {UTF8}; {expected}"
    except OSError as error:
        return (), f"{UNREADABLE}: {error.strerror}"
    columns = _columns(text, ",")
    missing = [column for column in needed if column not in columns]
    if missing:
        return columns, f"the header line lacks {', '.join(missing)}; {expected}{_why(text, columns, missing)}"
    if len(set(columns)) < len(columns) or len(columns) > _MAX_COLUMNS or any(len(name.encode()) > _MAX_NAME for name in columns):
        wrong = f"a column twice, one of more than {_MAX_NAME} bytes or more than {_MAX_COLUMNS} columns"
        return columns, f"the header line names {wrong}; {expected}"
    return columns, ""


def _columns(line: str, separator: str) -> tuple[str, ...]:
    with suppress(csv.Error, StopIteration):
        return tuple(column.strip().lower() for column in next(csv.reader([line], strict=True, delimiter=separator)))
    return ()


def _why(line: str, columns: Collection[str], missing: Collection[str]) -> str:
    """Return why a header line may lack columns: other separators, another encoding, or a misspelling."""
    for separator, called in _SEPARATORS.items():
        if set(missing) <= set(_columns(line, separator)):
            return f"; its columns are separated by {called}"
    if "\0" in line:
        return f"; it looks like UTF-16: {UTF8}"
    if "\r" in line.rstrip("\r\n"):
        return "; its lines end in a carriage return alone, expected a line feed"
    if line.startswith("sep="):
        return "; its first line is a word for Excel: leave it out"
    slips = [(column, _alike(column, columns)) for column in missing]
    return "".join(f"; is {found!r} meant for {column!r}?" for column, found in slips if found)


def misspelt(name: str, columns: Collection[str]) -> list[str]:
    """Return the faults of columns whose name is similar to that of a missing optional column."""
    known = {*TABLES[name].needed, *TABLES[name].optional}
    slips = [(column, _alike(column, set(columns) - known)) for column in TABLES[name].optional if column not in columns]
    return [f"the column {found!r} is a field like any other; is it meant for {column!r}?" for column, found in slips if found]


def searchable(values: Iterable[str]) -> str:
    """Return values for searching: without case and accents, umlauts in one spelling, each value on a line of its own."""
    text = "\n".join(values).casefold()
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text).casefold()
        text = "".join(char for char in parts if not unicodedata.combining(char)).translate(_PLAIN)
    for spelt, plain in _UMLAUTS:
        text = text.replace(spelt, plain)
    return f"\n{text}\n"
