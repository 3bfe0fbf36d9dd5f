"""The ids that servers named when they took a delivery, by which what comes back is known again."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, ForeignKey, MetaData, Table, Text

from gatewayd_sql.dialect import SMALL_ROWS, Id

revision = "0007"
down_revision = "0006"

metadata = MetaData()

# What is there already, as far as it is spoken of here.
delivery = Table("delivery", metadata, Column("id", Id, primary_key=True))

server_id = Table(
    "server_id",
    metadata,
    Column("id", Text, primary_key=True),
    Column("delivery_id", ForeignKey("delivery.id"), primary_key=True, autoincrement=False),
    **SMALL_ROWS,
)


def upgrade() -> None:
    """Make the table. What was delivered before has no such id, and is known by its own Message-ID as ever."""
    server_id.create(op.get_bind())
