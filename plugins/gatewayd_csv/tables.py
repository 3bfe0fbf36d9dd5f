"""Which files there are, which columns they need, and what stands in the folder now."""

from __future__ import annotations

import csv
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gatewayd import Kind

__all__ = ["TABLES", "Stamp", "Table", "header", "searchable", "stamps"]

#: How much of a file may be its header line, and how many columns it may have.
_MAX_HEADER = 1 << 16
_MAX_COLUMNS = 500


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of file."""

    #: The kind of its records; None for the contacts of customers and suppliers.
    kind: Kind | None
    #: Columns without which the file can't be used.
    needed: tuple[str, ...]
    #: Columns of which an index is kept.
    indexed: tuple[str, ...] = ()
    #: Columns that are asked for many values of which most stand nowhere: a Bloom filter is kept of each.
    guessed: tuple[str, ...] = ()
    #: Columns that make up a record's label.
    label: tuple[str, ...] = ("name",)


_OWNER = ("id", "name", "main_contact")
_TITLED = {"needed": ("id", "code"), "indexed": ("id", "code"), "guessed": ("code",), "label": ("code", "title")}

#: The files by name, owners before their contacts.
TABLES: dict[str, Table] = {
    "persons.csv": Table("person", ("id", "name", "email"), ("id", "name")),
    "customers.csv": Table("customer", _OWNER, _OWNER),
    "suppliers.csv": Table("supplier", _OWNER, _OWNER),
    "contacts.csv": Table(None, ("owner_kind", "owner_id", "type", "value")),
    "reservations.csv": Table("reservation", **_TITLED),
    "quotes.csv": Table("quote", **_TITLED),
    "invoices.csv": Table("invoice", **_TITLED),
    "products.csv": Table("product", **_TITLED),
}


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """A file's identity: while it is the same, so is the content."""

    name: str
    size: int
    mtime_ns: int
    inode: int


def stamps(folder: Path) -> tuple[Stamp, ...]:
    """Return the stamps of the files that are there; raises ConfigError where the folder can't be read."""
    try:
        os.scandir(folder).close()
        return tuple(sorted(_stamp(folder, name) for name in TABLES if (folder / name).exists()))
    except FileNotFoundError:
        problem, advice = "there is no such folder", "Correct `folder`; a relative path counts from the config folder."
    except NotADirectoryError:
        problem, advice = "it is no folder", "Give the folder that holds persons.csv and the other files."
    except OSError as error:
        problem, advice = f"it can't be read: {error.strerror}", "Let the service's user read the folder and its files."
    raise ConfigError(f"directory csv, folder {folder}: {problem}", advice=advice)


def _stamp(folder: Path, name: str) -> Stamp:
    found = (folder / name).stat()
    return Stamp(name, found.st_size, found.st_mtime_ns, found.st_ino)


def header(path: Path) -> tuple[tuple[str, ...], str]:
    """Return a file's columns in lower case, and what is wrong with its header line; empty where it is fine."""
    needed = TABLES[path.name].needed
    expected = f"expected a header line with {', '.join(needed)}, separated by commas"
    try:
        with path.open("rb") as file:
            line = file.readline(_MAX_HEADER).decode("utf-8-sig")
    except UnicodeDecodeError:
        return (), f"the header line is not UTF-8; {expected}"
    except OSError as error:
        return (), f"it can't be read: {error.strerror}"
    columns: tuple[str, ...] = ()
    with suppress(csv.Error, StopIteration):
        columns = tuple(column.strip().lower() for column in next(csv.reader([line], strict=True)))
    missing = [column for column in needed if column not in columns]
    if missing:
        return columns, f"the header line lacks {', '.join(missing)}; {expected}"
    if len(set(columns)) < len(columns) or len(columns) > _MAX_COLUMNS:
        return columns, f"the header line names a column twice or more than {_MAX_COLUMNS} columns; {expected}"
    return columns, ""


def searchable(values: Iterable[str]) -> str:
    """Return values as they are searched: without case, each in a line of its own."""
    return "\n" + "\n".join(values).casefold() + "\n"
