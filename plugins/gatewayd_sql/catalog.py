"""The tables of a PostgreSQL database, held against those that a process found first.

A backup that is restored drops tables and makes them anew, perhaps in a database that was made anew, too: by their names they are
others, in whose rows a process that goes on would write what belongs to the rows of before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import StoreReplaced

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["CATALOG", "Catalog", "prove_table"]

#: The execution option by which a connection has its catalog.
CATALOG = "gatewayd_catalog"


class Catalog:
    """What one process knows of them. Any thread may ask."""

    def __init__(self, name: str) -> None:
        """``name`` is what messages call the database."""
        self._name = name
        self._first: int | None = None

    def prove(self, number: int) -> None:
        """Prove that the table of leases has the number that it had first; raises StoreReplaced."""
        if self._first is None:
            self._first = number
        if number != self._first:
            raise StoreReplaced(
                f"{self._name}: the database was replaced while gatewayd was at work on it",
                advice="This process writes nothing any more, and ends; the next one works with the database that is there.",
            )


def prove_table(connection: Connection, number: int) -> None:
    """Prove what a statement told of the table of leases: ``dialect.table_number``."""
    catalog: Catalog = connection.get_execution_options()[CATALOG]
    catalog.prove(number)
