"""Query an index: a finished SQLite file, which never changes; a newer index is another file with the same name."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from gatewayd import Contact, Record
from gatewayd_csv import bloom
from gatewayd_csv.build import FORMAT
from gatewayd_csv.tables import TABLES, Stamp, searchable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from gatewayd import Kind

__all__ = ["Index"]

#: How many values one statement may have; SQLite has a limit.
_CHUNK = 500
_MAX_WORDS = 20
_OWNERS: tuple[Kind, ...] = ("customer", "supplier")


@dataclass(frozen=True, slots=True)
class _Shape:
    """How to convert a row of a table to a record."""

    kind: Kind
    table: str
    columns: tuple[str, ...]
    #: The positions of the id, of the parts of the label and of the other fields in a row.
    id_at: int
    label_at: tuple[int, ...]
    fields_at: tuple[tuple[str, int], ...]

    def record(self, row: Sequence[str]) -> Record:
        """Return the record of a row's columns."""
        record_id = row[self.id_at]
        label = " ".join(row[place] for place in self.label_at if row[place])
        fields = tuple((name, row[place]) for name, place in self.fields_at if row[place])
        return Record(kind=self.kind, id=record_id, label=label or record_id, fields=fields)


class Index:
    """An open index. Raises sqlite3.Error if the file can't be read, and ValueError if it has another format."""

    def __init__(self, path: Path) -> None:
        # One thread at a time uses it, but not always the thread that opened it.
        self._db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, check_same_thread=False, isolation_level=None)
        try:
            self._db.execute("PRAGMA cache_size=-8192")
            if self._db.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
                raise ValueError("an index of another format")  # noqa: TRY301  the connection is closed below
            about = json.loads(self._db.execute("SELECT json FROM about").fetchone()[0])
        except BaseException:
            self._db.close()
            raise
        #: The files from which it was built, and the faults in them.
        self.folder: str = about["folder"]
        self.stamps = tuple(Stamp(*stamp) for stamp in about["stamps"])
        self.faults: list[str] = about["faults"]
        self.warnings: list[str] = about["warnings"]
        #: Its own version, which no other index has, and that of the index before, if the changes since then are known.
        self.version: str = about["version"]
        self._before: str = about["before"]
        self.rows: dict[str, int] = about["rows"]
        self.contact_types: tuple[tuple[Kind, str, int], ...] = tuple(tuple(one) for one in about["contact_types"])
        self.columns: dict[str, tuple[str, ...]] = {name: tuple(columns) for name, columns in about["columns"].items()}
        shapes = [_shape(name, columns) for name, columns in self.columns.items()]
        self._shapes = {shape.kind: shape for shape in shapes if shape}
        #: The Bloom filters that were loaded, by table and column; None if a column has no filter.
        self._blooms: dict[tuple[str, str], bytes | None] = {}

    def find(self, kind: Kind, field: str, values: Collection[str]) -> dict[str, list[Record]]:
        """Return the records whose column ``field`` is one of ``values``, by value."""
        shape = self._shapes.get(kind)
        if shape is None or field not in shape.columns:
            return {}
        if kind == "person" and field == "email":
            found = self.persons(values, temporary=True)
            return {value: found[value.lower()] for value in values if value.lower() in found}
        bits = self._bits(shape.table, field)
        if bits:
            values = bloom.passed(bits, values)
        column = f"c{shape.columns.index(field)}"
        return self._records(shape, f"SELECT {column}, * FROM {shape.table} WHERE {column} IN (@) ORDER BY line", values)  # noqa: S608  our own words

    def _bits(self, table: str, field: str) -> bytes | None:
        if (table, field) not in self._blooms:
            found = self._db.execute("SELECT bits FROM blooms WHERE name = ? AND field = ?", (table, field)).fetchone()
            self._blooms[table, field] = found[0] if found else None
        return self._blooms[table, field]

    def persons(self, emails: Collection[str], *, temporary: bool) -> dict[str, list[Record]]:
        """Return the persons of each address, by the address in lower case."""
        shape = self._shapes.get("person")
        if shape is None:
            return {}
        which = "" if temporary else "AND NOT emails.temporary"
        query = f"SELECT email, persons.* FROM emails JOIN persons USING (line) WHERE email IN (@) {which} ORDER BY line"  # noqa: S608  our own words
        return self._records(shape, query, {email.lower() for email in emails})

    def contacts(self, emails: Collection[str]) -> dict[str, list[Contact]]:
        """Return the EMAIL contacts of each address, by the address in lower case."""
        query = "SELECT email, kind, owner, type, value, role FROM contacts WHERE email IN (@) ORDER BY line"
        rows = list(self._rows(query, {email.lower() for email in emails}))
        ids = {row[2] for row in rows}
        owners = {kind: self.find(kind, "id", ids) for kind in _OWNERS}
        contacts: dict[str, list[Contact]] = {}
        for email, kind, owner, of_type, value, role in rows:
            record = owners["supplier" if kind == "supplier" else "customer"][owner][0]
            contacts.setdefault(email, []).append(Contact(record=record, type=of_type, value=value, contact_type=role))
        return contacts

    def search(self, kind: Kind, text: str, limit: int) -> list[Record]:
        """Return records with every word in id, code or label: exact matches first, then those that begin with the text."""
        shape = self._shapes.get(kind)
        words = searchable([text]).split()[:_MAX_WORDS]
        if shape is None or not words or not _askable(text):
            return []
        every = " AND ".join("instr(text, ?)" for _ in words)
        best = f"SELECT line FROM {shape.table}_text WHERE {every} ORDER BY instr(text, ?) = 0, instr(text, ?) = 0, line LIMIT ?"  # noqa: S608  our own words
        query = f"SELECT {shape.table}.* FROM ({best}) AS best JOIN {shape.table} USING (line)"  # noqa: S608  our own words
        whole = searchable([text])
        return [shape.record(row[1:]) for row in self._db.execute(query, (*words, whole, whole[:-1], limit))]

    def gained(self, version: str) -> set[str] | None:
        """Return the addresses that have contacts which they did not have in that version; None if that is unknown."""
        if not version or version not in {self.version, self._before}:
            return None
        return set() if version == self.version else {email for (email,) in self._db.execute("SELECT email FROM gained")}

    def close(self) -> None:
        """Close the file."""
        with suppress(sqlite3.Error):
            self._db.close()

    def _records(self, shape: _Shape, query: str, values: Collection[str]) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for value, _line, *row in self._rows(query, values):
            found.setdefault(value, []).append(shape.record(row))
        return found

    def _rows(self, query: str, values: Collection[str]) -> Iterator[tuple[str, ...]]:
        """Run a query for all values but empty ones, a chunk at a time."""
        # Sorted values that are neighbours are mostly on one page of the index, which is then read once.
        asked = sorted({value for value in values if value and (value.isascii() or _askable(value))})
        for start in range(0, len(asked), _CHUNK):
            chunk = asked[start : start + _CHUNK]
            yield from self._db.execute(query.replace("@", ",".join("?" * len(chunk))), chunk)


def _shape(name: str, columns: tuple[str, ...]) -> _Shape | None:
    table = TABLES[name]
    if table.kind is None:
        return None
    own = {"id", "name"} if table.label == ("name",) else {"id"}
    return _Shape(
        kind=table.kind,
        table=name.removesuffix(".csv"),
        columns=columns,
        id_at=columns.index("id"),
        label_at=tuple(columns.index(column) for column in table.label if column in columns),
        fields_at=tuple((column, place) for place, column in enumerate(columns) if column not in own),
    )


def _askable(value: str) -> bool:
    """Whether SQLite accepts the value: text from broken mail may contain surrogates."""
    try:
        return bool(value.encode())
    except UnicodeEncodeError:
        return False
