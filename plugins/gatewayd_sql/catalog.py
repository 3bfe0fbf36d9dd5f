"""Notice when the tables of a PostgreSQL database were dropped and made anew while this process had it open.

A backup that is restored drops tables and makes them anew, perhaps in a database that was made anew, too: by their names they are
others, in whose rows a process that goes on would write what belongs to the rows of before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd import StoreReplaced

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["CATALOG", "Catalog", "prove_table"]

#: The execution option by which a connection has its catalog.
CATALOG = "gatewayd_catalog"


@dataclass(slots=True)
class Catalog:
    """The number that the table of leases had first in this process."""

    #: What messages call the database.
    name: str
    first: int | None = None


def prove_table(connection: Connection, number: int) -> None:
    """Prove that the table of leases has the number that it had first: ``dialect.table_number``. Raises StoreReplaced."""
    catalog: Catalog = connection.get_execution_options()[CATALOG]
    if catalog.first is None:
        catalog.first = number
    if number != catalog.first:
        raise StoreReplaced(
            f"{catalog.name}: the database was replaced while gatewayd was at work on it",
            advice="This process writes nothing any more, and ends; the next one works with the database that is there.",
        )
