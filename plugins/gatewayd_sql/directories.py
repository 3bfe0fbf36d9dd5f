"""How operators' directories are (promise P10)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import select

from gatewayd import DirectoryHealth
from gatewayd_sql.admission_tables import directory as table
from gatewayd_sql.database import Many
from gatewayd_sql.dialect import InsertOrReplace
from gatewayd_sql.times import clean, moment, packed, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd_sql.database import Database

__all__ = ["DirectoryTables"]

_TELL = Many(InsertOrReplace(table))


class DirectoryTables:
    """Told by daemons, asked by people."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def tell(self, healths: Sequence[DirectoryHealth]) -> None:
        """Keep how directories are; of several for one operator the last."""
        by_operator = {one.operator: one for one in healths}
        if not by_operator:
            return
        with self._db.writing() as connection:
            _TELL.run(connection, [_row(one) for _, one in sorted(by_operator.items())])

    def all(self) -> Sequence[DirectoryHealth]:
        """Return how every directory is, by operator."""
        with self._db.reading() as connection:
            rows = connection.execute(select(table)).all()
        found = [
            DirectoryHealth(
                operator=row.operator,
                holder=row.owner,
                condition=row.condition,
                loaded_at=moment(row.loaded_at),
                looked_at=moment(row.looked_at),
                version=row.version,
                rows=tuple((name, count) for name, count in json.loads(row.rows)),
                faults=tuple(json.loads(row.faults)),
                warnings=tuple(json.loads(row.warnings)),
                error=row.error,
            )
            for row in rows
        ]
        # Databases differ in how they order text.
        return sorted(found, key=lambda one: one.operator)


def _row(one: DirectoryHealth) -> dict[str, object]:
    return {
        "operator": one.operator,
        "owner": one.holder,
        "condition": one.condition,
        "loaded_at": seconds(one.loaded_at),
        "looked_at": seconds(one.looked_at),
        "version": clean(one.version),
        "error": clean(one.error),
        "rows": packed(one.rows),
        "faults": packed(one.faults),
        "warnings": packed(one.warnings),
    }
