"""The store ``sql``: everything in one SQLite file, or in PostgreSQL."""

from collections.abc import Sequence

from gatewayd import Store, hookimpl


@hookimpl
def gatewayd_stores() -> Sequence[type[Store]]:
    """Offer ``sql``."""
    from gatewayd_sql.store import Sql  # noqa: PLC0415  SQLAlchemy takes a third of a second to import

    return [Sql]
