"""The tables of a PostgreSQL database, held against those that a process found first.

A backup that is restored drops tables and makes them anew, perhaps in a database that was made anew, too: by their names they are
others, in whose rows a process that goes on would write what belongs to the rows of before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from gatewayd import StoreReplaced, TransientError

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Catalog"]

#: A table has a number of its own for as long as it exists (PostgreSQL manual, 8.19); NULL where there is none of that name.
_NUMBER = text("SELECT to_regclass('lease')::oid::bigint")


class Catalog:
    """What one process knows of them. Any thread may ask."""

    def __init__(self, name: str) -> None:
        """``name`` is what messages call the database."""
        self._name = name
        self._first: int | None = None

    def prove(self, connection: Connection) -> None:
        """Prove that the tables are those of before; costs one short query.

        Raises StoreReplaced where they are others, and TransientError where there are none: a restore may be under way.
        """
        number = connection.scalar(_NUMBER)
        self._first = self._first or number
        if number is None and self._first is not None:
            advice = "A backup may just be restored. Nothing is imported meanwhile."
            raise TransientError(f"{self._name}: the database's tables are gone", advice=advice)
        if number != self._first:
            raise StoreReplaced(
                f"{self._name}: the database was replaced while gatewayd was at work on it",
                advice="This process writes nothing any more, and ends; the next one works with the database that is there.",
            )
