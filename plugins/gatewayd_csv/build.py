"""Build the index of a folder of CSV files: a SQLite file, written beside the old one."""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import uuid4

from gatewayd_csv import bloom, plausibility
from gatewayd_csv.rows import Faults, rows
from gatewayd_csv.tables import TABLES, misspelt, searchable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gatewayd_csv.tables import Stamp

__all__ = ["FORMAT", "build"]

#: The version of the index's format. It increases with each change; an index of another version is rebuilt.
FORMAT = 4

_BATCH = 5000
#: The longest value that names a record or a contact, in bytes; two values form a label.
_MAX_SHOWN = 999
_OWNERS = {"customer": "customers.csv", "supplier": "suppliers.csv"}
#: An unfinished index is never read, so it needs no journal; it is synced once, when it is finished.
_PRAGMAS = ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "page_size=8192", "cache_size=-16384")


@dataclass(frozen=True, slots=True)
class _File:
    """One CSV file that is being indexed."""

    name: str
    columns: tuple[str, ...]
    faults: Faults
    warnings: Faults

    @property
    def table(self) -> str:
        """The name of the file's table in the index."""
        return self.name.removesuffix(".csv")

    def at(self, column: str) -> int | None:
        """Return the position of a column; None if the file does not have it."""
        return self.columns.index(column) if column in self.columns else None


def build(
    folder: Path,
    found: tuple[Stamp, ...],
    columns: Mapping[str, tuple[str, ...]],
    target: Path,
    *,
    before: tuple[Path, str] | None = None,
) -> None:
    """Write an index to ``target``. Raises OSError or sqlite3.Error, and then leaves no file.

    ``found`` are the stamps of the files in ``folder``, and ``columns`` their columns by file name. ``before`` is the index in
    use with its version: addresses that gained a contact since then are recorded.
    """
    target.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(f"file:{quote(str(target))}", uri=True)) as db:
            for pragma in _PRAGMAS:
                db.execute(f"PRAGMA {pragma}")
            files = _fill(db, folder, columns)
            about = {
                "folder": str(folder),
                "version": uuid4().hex,
                "before": before[1] if before and plausibility.gained(db, before[0]) else "",
                "stamps": [[s.name, s.size, s.mtime_ns, s.inode] for s in found],
                "columns": columns,
                "rows": {file.name: _count(db, file.table) for file in files},
                "contact_types": plausibility.contact_types(db),
                "faults": [text for file in files for text in file.faults.texts()],
                "warnings": [text for file in files for text in file.warnings.texts()],
            }
            db.execute("CREATE TABLE about (json TEXT)")
            db.execute("INSERT INTO about VALUES (?)", (json.dumps(about),))
            db.execute(f"PRAGMA user_version={FORMAT}")
            db.commit()
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _count(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  our own words


def _fill(db: sqlite3.Connection, folder: Path, columns: Mapping[str, tuple[str, ...]]) -> Sequence[_File]:
    db.execute("CREATE TABLE emails (email TEXT, line INTEGER, temporary INTEGER)")
    db.execute("CREATE TABLE contacts (line INTEGER PRIMARY KEY, email, kind, owner, type, value, role)")
    db.execute("CREATE TABLE blooms (name TEXT, field TEXT, bits BLOB)")
    db.execute("CREATE TABLE gained (email TEXT)")
    files = {name: _file(name, columns[name]) for name in TABLES if name in columns}
    for file in files.values():
        source = rows(folder / file.name, len(file.columns), file.faults)
        if TABLES[file.name].kind is None:
            _fill_contacts(db, file, source)
        else:
            _fill_records(db, file, source)
    if "contacts.csv" in files:
        _leave_orphans_out(db, files)
    persons = files.get("persons.csv")
    ids = f"c{persons.columns.index('id')}" if persons else None
    for file in (files[name] for name in _OWNERS.values() if name in files):
        plausibility.main_contacts(db, file.table, f"c{file.columns.index('main_contact')}", ids, file.warnings)
    db.execute("CREATE INDEX emails_email ON emails (email)")
    db.execute("CREATE INDEX contacts_email ON contacts (email) WHERE email IS NOT NULL")
    return [*files.values()]


def _file(name: str, columns: tuple[str, ...]) -> _File:
    file = _File(name, columns, Faults(name), Faults(name, "rows look wrong"))
    for slip in misspelt(name, columns):
        file.warnings.add(1, slip)
    return file


def _fill_records(db: sqlite3.Connection, file: _File, source: Iterator[tuple[int, list[str]]]) -> None:
    names = [f"c{number}" for number in range(len(file.columns))]
    db.execute(f"CREATE TABLE {file.table} (line INTEGER PRIMARY KEY, {' TEXT, '.join(names)} TEXT)")
    db.execute(f"CREATE TABLE {file.table}_text (line INTEGER PRIMARY KEY, text TEXT)")
    insert = f"INSERT INTO {file.table} VALUES (?{', ?' * len(names)})"  # noqa: S608  our own words
    insert_text = f"INSERT INTO {file.table}_text VALUES (?, ?)"  # noqa: S608  our own words
    good = (row for row in source if _has_id(file, row))
    emails = _emails_of(file) if file.name == "persons.csv" else None
    # There are at least two columns: the id, and the name or the code.
    pick = itemgetter(*(file.columns.index(column) for column in ("id", *TABLES[file.name].label) if column in file.columns))
    while batch := list(islice(good, _BATCH)):
        if emails:
            db.executemany("INSERT INTO emails VALUES (?, ?, ?)", (email for row in batch for email in emails(*row)))
        db.executemany(insert, ((line, *values) for line, values in batch))
        db.executemany(insert_text, ((line, searchable(pick(values))) for line, values in batch))
    for column in TABLES[file.name].indexed:
        db.execute(f"CREATE INDEX {file.table}_{column} ON {file.table} (c{file.columns.index(column)})")
    _leave_doubles_out(db, file)
    if "code" in TABLES[file.name].needed:
        plausibility.codes(db, file.table, f"c{file.columns.index('code')}", file.warnings)
    for column in TABLES[file.name].guessed:
        found = db.execute(f"SELECT c{file.columns.index(column)} FROM {file.table}")  # noqa: S608  our own words
        bits = bloom.filled((value for (value,) in found), _count(db, file.table))
        db.execute("INSERT INTO blooms VALUES (?, ?, ?)", (file.table, column, bits))


def _has_id(file: _File, row: tuple[int, list[str]]) -> bool:
    line, values = row
    if not values[file.columns.index("id")]:
        file.faults.add(line, "the id is missing")
        return False
    shown = [values[place] for column in ("id", *TABLES[file.name].label) if (place := file.at(column)) is not None]
    if any(_is_long(value) for value in shown):
        file.faults.add(line, f"id, code, name or title has more than {_MAX_SHOWN} bytes")
        return False
    temporary = file.at("temporary") if file.name == "persons.csv" else None
    if temporary is not None and values[temporary].lower() not in ("yes", "no", ""):
        file.faults.add(line, f"temporary is {values[temporary][:50]!r}, expected yes or no")
        return False
    return True


def _is_long(value: str) -> bool:
    """Whether a value that names a record has more bytes than the kernel accepts."""
    return len(value) * 4 > _MAX_SHOWN and len(value.encode()) > _MAX_SHOWN


def _emails_of(file: _File) -> Callable[[int, list[str]], Iterable[tuple[str, int, bool]]]:
    at, temporary = file.columns.index("email"), file.at("temporary")

    def emails(line: int, values: list[str]) -> list[tuple[str, int, bool]]:
        is_temporary = temporary is not None and values[temporary].lower() == "yes"
        found = {_asked_for(email.strip()) for email in values[at].split(";")} - {""}
        _doubt_addresses(file, line, found)
        return [(email, line, is_temporary) for email in found]

    return emails


def _asked_for(email: str) -> str:
    """Return an address as it is looked up: in lower case, its domain in NFC. Some systems write an umlaut as two characters."""
    local, at, domain = email.lower().rpartition("@")
    return f"{local}{at}{unicodedata.normalize('NFC', domain)}"


def _doubt_addresses(file: _File, line: int, addresses: Iterable[str]) -> None:
    for address in sorted(addresses):
        if not plausibility.is_address(address):
            file.warnings.add(line, f"{address[:50]!r} is no mail address")


def _leave_doubles_out(db: sqlite3.Connection, file: _File) -> None:
    """Remove all rows of an id but the first."""
    column = f"c{file.columns.index('id')}"
    db.execute("DROP TABLE IF EXISTS temp.doubles")
    db.execute(
        f"CREATE TEMP TABLE doubles AS SELECT line, id FROM (SELECT line, {column} AS id, lag({column})"  # noqa: S608  our own words
        f" OVER (ORDER BY {column}, line) AS before FROM {file.table}) WHERE id = before"
    )
    first = f"(SELECT min(t.line) FROM {file.table} t WHERE t.{column} = doubles.id)"  # noqa: S608  our own words
    query = f"SELECT line, id, {first} FROM temp.doubles ORDER BY line"  # noqa: S608  our own words
    for line, record_id, first_line in db.execute(query):
        file.faults.add(line, f"the id {record_id[:50]!r} is in line {first_line} already")
    for table in (file.table, f"{file.table}_text", *(["emails"] if file.name == "persons.csv" else [])):
        db.execute(f"DELETE FROM {table} WHERE line IN (SELECT line FROM temp.doubles)")  # noqa: S608  our own words


def _fill_contacts(db: sqlite3.Connection, file: _File, source: Iterator[tuple[int, list[str]]]) -> None:
    places = [file.columns.index(column) for column in TABLES[file.name].needed]
    role = file.at("contact_type")

    def contacts() -> Iterator[tuple[int, str | None, str, str, str, str, str]]:
        for line, values in source:
            kind, owner, of_type, value = (values[place] for place in places)
            if kind.lower() not in _OWNERS:
                file.faults.add(line, f"owner_kind is {kind[:50]!r}, expected customer or supplier")
                continue
            if _is_long(of_type) or (role is not None and _is_long(values[role])):
                file.faults.add(line, f"type or contact_type has more than {_MAX_SHOWN} bytes")
                continue
            email = _asked_for(value) if of_type.upper() == "EMAIL" else None
            if email is not None:
                _doubt_addresses(file, line, [email])
            elif plausibility.is_address(value):
                file.warnings.add(line, f"{value[:50]!r} is a mail address, but the type is {of_type[:50]!r} and not EMAIL")
            yield line, email, kind.lower(), owner, of_type.upper(), value, values[role] if role is not None else ""

    db.executemany("INSERT INTO contacts VALUES (?, ?, ?, ?, ?, ?, ?)", contacts())


def _leave_orphans_out(db: sqlite3.Connection, files: Mapping[str, _File]) -> None:
    """Remove the contacts of customers and suppliers that do not exist."""
    for kind, name in _OWNERS.items():
        owners = files.get(name)
        ids = f"SELECT c{owners.columns.index('id')} FROM {owners.table}" if owners else "SELECT 0 WHERE 0"  # noqa: S608  our own words
        orphans = f"FROM contacts WHERE kind = ? AND owner NOT IN ({ids})"
        for line, owner in db.execute(f"SELECT line, owner {orphans} ORDER BY line", (kind,)):
            files["contacts.csv"].faults.add(line, f"there is no {kind} {owner[:50]!r} in {name}")
        db.execute(f"DELETE {orphans}", (kind,))
