"""Find values in valid rows that are probably wrong, which are reported, and what was gained and lost since the last index."""

from __future__ import annotations

import re
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from gatewayd_csv.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gatewayd import Kind
    from gatewayd_csv.rows import Faults

__all__ = ["codes", "contact_types", "gained", "is_address", "main_contacts"]

#: The local part of an address, and a label of its domain, in any script.
_LOCAL = re.compile(r"[^\s@<>()\[\],;:\"\\|]+")
_LABEL = re.compile(r"[\w-]+")
#: How many contact types are reported, those with most contacts first; and how many addresses that gained a contact are kept.
_MOST_TYPES, _MOST_GAINED = 200, 10_000


def is_address(text: str) -> bool:
    """Whether mail could come from this address: a local part, one @ and a domain, valid in a From, all of it printable."""
    local, _, domain = text.partition("@")
    labels = domain.split(".")
    return (
        bool(_LOCAL.fullmatch(local)) and text.isprintable() and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdecimal()
    )


def codes(db: sqlite3.Connection, table: str, code: str, warnings: Faults) -> None:
    """Warn of codes that several rows have; ``code`` is the column of the index."""
    query = (
        f"SELECT line, code, first FROM (SELECT line, {code} AS code, first_value(line) OVER (PARTITION BY {code} ORDER BY line)"  # noqa: S608  our own words
        f" AS first FROM {table} WHERE {code} != '') WHERE line != first ORDER BY line"
    )
    for line, value, first in db.execute(query):
        warnings.add(line, f"the code {value[:50]!r} is in line {first}, too: a person must choose between them")


def main_contacts(db: sqlite3.Connection, table: str, main_contact: str, persons: str | None, warnings: Faults) -> None:
    """Warn of main contacts that do not exist; ``persons`` is the column of the persons' ids, None if there is no such file."""
    if persons is None:
        if db.execute(f"SELECT 1 FROM {table} WHERE {main_contact} != '' LIMIT 1").fetchone():  # noqa: S608  our own words
            warnings.add(1, "it has main contacts, but there is no persons.csv")
        return
    query = (
        f"SELECT line, {main_contact} FROM {table} WHERE {main_contact} != ''"  # noqa: S608  our own words
        f" AND {main_contact} NOT IN (SELECT {persons} FROM persons) ORDER BY line"
    )
    for line, value in db.execute(query):
        warnings.add(line, f"the main contact {value[:50]!r} is nobody in persons.csv")


def contact_types(db: sqlite3.Connection) -> list[tuple[Kind, str, int]]:
    """Return the number of EMAIL contacts for each kind of owner and contact type."""
    query = "SELECT kind, role, count(*) FROM contacts WHERE email IS NOT NULL GROUP BY kind, role ORDER BY 3 DESC, 1, 2 LIMIT ?"
    return [(kind, role, count) for kind, role, count in db.execute(query, (_MOST_TYPES,))]


def gained(db: sqlite3.Connection, before: Path) -> bool:
    """Record the addresses that have contacts which they did not have in the index ``before``; False if that is unknown."""
    # The old index may be broken, so that it must not be part of the same transaction.
    db.commit()
    rows = "SELECT email, kind, role FROM {}.contacts WHERE email IS NOT NULL"
    query = f"SELECT DISTINCT email FROM ({rows.format('main')} EXCEPT {rows.format('before')}) LIMIT ?"  # noqa: S608  our own words
    try:
        # A finished index never changes, so that it needs no lock.
        db.execute("ATTACH ? AS before", (f"file:{quote(str(before))}?mode=ro&immutable=1",))
        found = db.execute(query, (_MOST_GAINED + 1,)).fetchall()
    except sqlite3.DatabaseError:
        # A broken old index must not prevent the new one.
        found = None
    with suppress(sqlite3.OperationalError):
        db.execute("DETACH before")
    if found is None or len(found) > _MOST_GAINED:
        return False
    db.executemany("INSERT INTO gained VALUES (?)", found)
    return True


def losses(rows: Mapping[str, int], before: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return the files that have less than half of the rows that they had, with both numbers."""
    return {name: (rows.get(name, 0), had) for name, had in before.items() if 2 * rows.get(name, 0) < had and name in TABLES}
