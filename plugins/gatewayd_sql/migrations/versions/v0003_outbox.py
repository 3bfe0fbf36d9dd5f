"""What goes out: deliveries, their recipients and suspended targets; daemons also tell of targets."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    and_,
    literal_column,
)

from gatewayd_sql.dialect import NEVER_REUSED, SMALL_ROWS, Id, only_where

revision = "0003"
down_revision = "0002"

metadata = MetaData()

_WAITING = literal_column("'waiting'", Text)
_DELIVERED = literal_column("'delivered'", Text)
_CANCELLED = literal_column("'cancelled'", Text)
_OUT = literal_column("'out'", Text)

# What is there already, as far as it is spoken of here.
mail = Table("mail", metadata, Column("id", Id, primary_key=True), Column("message_id", Text), Column("direction", Text))
filing = Table("filing", metadata, Column("operator", Text, primary_key=True), Column("mail_id", Id, primary_key=True))

mail_sent = Index("mail_sent", mail.c.message_id, **only_where(mail.c.direction == _OUT))

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
    Column("lane", Text, nullable=False),
    Column("once", LargeBinary(32), nullable=False),
    Column("state", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("entered_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("warned_at", Double),
    Column("due", Double),
    Column("taker", Text),
    Column("was_due", Double),
    ForeignKeyConstraint(["operator", "mail_id"], ["filing.operator", "filing.mail_id"]),
    UniqueConstraint("operator", "mail_id", "once", name="delivery_once"),
    **NEVER_REUSED,
)
_UNWARNED = and_(delivery.c.state == _WAITING, delivery.c.warned_at.is_(None))
_OPEN = and_(delivery.c.state != _DELIVERED, delivery.c.state != _CANCELLED)
Index("delivery_due", delivery.c.lane, delivery.c.due, **only_where(delivery.c.due.is_not(None)))
Index("delivery_taken", delivery.c.taker, delivery.c.lane, **only_where(delivery.c.taker.is_not(None)))
Index("delivery_unwarned", delivery.c.entered_at, **only_where(_UNWARNED))
Index("delivery_open", delivery.c.operator, delivery.c.state, delivery.c.target, **only_where(_OPEN))
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

daemon = Table(
    "daemon",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("beat_at", Double, nullable=False),
    Column("accounts", Integer, nullable=False),
    Column("workers", Integer, nullable=False),
    Column("worker_deaths", Integer, nullable=False),
    Column("open_breakers", Text, nullable=False),
    Column("config_faults", Text, nullable=False),
    Column("open_targets", Text, nullable=False, server_default="[]"),
)


def upgrade() -> None:
    """Make the tables and the index. Daemons say how they are every few seconds, so their table is made anew."""
    op.drop_table("daemon")
    mail_sent.create(op.get_bind())
    metadata.create_all(op.get_bind(), tables=[delivery, recipient, suspension, daemon], checkfirst=False)
