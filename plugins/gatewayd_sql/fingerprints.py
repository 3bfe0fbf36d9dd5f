"""The fingerprints of matchers as last remembered, so that a changed one can be noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from gatewayd_sql.database import Many
from gatewayd_sql.dialect import InsertOrReplace
from gatewayd_sql.tables import fingerprint as table
from gatewayd_sql.times import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd_sql.database import Database

__all__ = ["Fingerprints"]

_REMEMBER = Many(InsertOrReplace(table))


class Fingerprints:
    """Read and remember fingerprints."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of(self, operator: str) -> Mapping[str, str]:
        """Return an operator's fingerprints, by kind."""
        with self._db.reading() as connection:
            rows = connection.execute(select(table.c.kind, table.c.fingerprint).where(table.c.operator == operator))
            return {row.kind: row.fingerprint for row in rows}

    def remember(self, operator: str, fingerprints: Mapping[str, str]) -> None:
        """Remember them, in place of all that were remembered before."""
        rows = [
            {"operator": operator, "kind": clean(kind), "fingerprint": clean(value)} for kind, value in sorted(fingerprints.items())
        ]
        with self._db.writing() as connection:
            kinds = [row["kind"] for row in rows]
            connection.execute(delete(table).where(table.c.operator == operator, table.c.kind.not_in(kinds)))
            _REMEMBER.run(connection, rows)
