"""The store ``sql``: everything in one SQLite file, or in PostgreSQL."""

from collections.abc import Sequence

from gatewayd import Store, hookimpl
from gatewayd_sql.offer import SqlOffer


@hookimpl
def gatewayd_stores() -> Sequence[type[Store]]:
    """Offer ``sql``."""
    return [SqlOffer]
