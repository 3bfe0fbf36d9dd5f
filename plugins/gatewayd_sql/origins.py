"""Whose deliveries something comes back from: told by their Message-IDs, or by the ids that servers gave them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from gatewayd import Origin
from gatewayd_sql.dialect import one_of
from gatewayd_sql.outbox_tables import delivery, server_id
from gatewayd_sql.tables import filing
from gatewayd_sql.times import clean

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatewayd_sql.database import Database

__all__ = ["Origins"]

_OF = (delivery.c.operator == filing.c.operator) & (delivery.c.mail_id == filing.c.mail_id)
_SENT = (
    select(delivery.c.message_id, delivery.c.operator, filing.c.owner)
    .join_from(delivery, filing, _OF)
    .where(one_of(delivery.c.message_id, name="message_ids"))
    .order_by(delivery.c.id)
)
_TAKEN_OVER = (
    select(delivery.c.message_id, delivery.c.operator, filing.c.owner, server_id.c.id.label("server_id"))
    .join_from(server_id, delivery, delivery.c.id == server_id.c.delivery_id)
    .join(filing, _OF)
    .where(one_of(server_id.c.id, name="server_ids"))
    .order_by(delivery.c.id)
)


class Origins:
    """Say whose deliveries they are."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def origins(self, message_ids: Collection[str], server_ids: Collection[str]) -> list[Origin]:
        """Return the deliveries of these Message-IDs, or that went out under these ids of servers."""
        found: list[Origin] = []
        with self._db.reading() as connection:
            if message_ids:
                rows = connection.execute(_SENT, {"message_ids": sorted(map(clean, message_ids))})
                found += [Origin(message_id=row.message_id, operator=row.operator, owner=row.owner) for row in rows]
            if server_ids:
                for row in connection.execute(_TAKEN_OVER, {"server_ids": sorted(map(clean, server_ids))}):
                    found.append(Origin(message_id=row.message_id, operator=row.operator, owner=row.owner, server_id=row.server_id))
        return found
