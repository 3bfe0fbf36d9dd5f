"""The tables of what goes out. Importing this module makes ``metadata`` complete.

delivery    one outgoing item of a filing, and how it stands (promise P7); recipient holds each address that it goes to
suspension  targets that get nothing until a person says so
server_id   the ids that servers named when they took a delivery, under which they may pass it on
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    and_,
    literal_column,
)

from gatewayd_sql.dialect import NEVER_REUSED, SMALL_ROWS, Id, only_where
from gatewayd_sql.tables import WAITING, metadata

__all__ = ["BOUNCED", "OPEN", "UNWARNED", "delivery", "metadata", "recipient", "server_id", "suspension"]

#: Spelled out like ``WAITING``.
BOUNCED = literal_column("'bounced'", Text)
_DELIVERED = literal_column("'delivered'", Text)
_CANCELLED = literal_column("'cancelled'", Text)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Id, primary_key=True),
    Column("operator", Text, nullable=False),
    Column("mail_id", Id, nullable=False),
    Column("forwarder", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    # The destination.
    Column("lane", Text, nullable=False),
    # Digest of goal and cause: addresses may be more than an index takes.
    Column("once", LargeBinary(32), nullable=False),
    Column("state", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("entered_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("warned_at", Double),
    # When it can be taken: none where it does not wait, or is for a suspended target. While somebody tries it, when his time ends.
    Column("due", Double),
    # Who tries it, and when it was due for him.
    Column("taker", Text),
    Column("was_due", Double),
    # The forwarder's, for its next try.
    Column("note", Text, nullable=False, server_default=""),
    ForeignKeyConstraint(["operator", "mail_id"], ["filing.operator", "filing.mail_id"]),
    UniqueConstraint("operator", "mail_id", "once", name="delivery_once"),
    **NEVER_REUSED,
)
#: What waits and was not warned of.
UNWARNED = and_(delivery.c.state == WAITING, delivery.c.warned_at.is_(None))
#: What waits, or needs a person.
OPEN = and_(delivery.c.state != _DELIVERED, delivery.c.state != _CANCELLED)
Index("delivery_due", delivery.c.lane, delivery.c.due, **only_where(delivery.c.due.is_not(None)))
Index("delivery_taken", delivery.c.taker, delivery.c.lane, **only_where(delivery.c.taker.is_not(None)))
Index("delivery_unwarned", delivery.c.entered_at, **only_where(UNWARNED))
Index("delivery_open", delivery.c.operator, delivery.c.state, delivery.c.target, **only_where(OPEN))
Index("delivery_shown", delivery.c.operator, delivery.c.id)
Index("delivery_message", delivery.c.message_id)

recipient = Table(
    "recipient",
    metadata,
    Column("delivery_id", ForeignKey("delivery.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("address", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("words", Text, nullable=False),
    **SMALL_ROWS,
)

suspension = Table(
    "suspension",
    metadata,
    Column("operator", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("since", Double, nullable=False),
    Column("cause", Text, nullable=False),
    **SMALL_ROWS,
)

server_id = Table(
    "server_id",
    metadata,
    Column("id", Text, primary_key=True),
    Column("delivery_id", ForeignKey("delivery.id"), primary_key=True, autoincrement=False),
    **SMALL_ROWS,
)
