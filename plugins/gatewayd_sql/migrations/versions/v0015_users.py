"""Users, by an id of their own."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Index, MetaData, Table, Text

from gatewayd_sql.dialect import NEVER_REUSED, Id

revision = "0015"
down_revision = "0014"

metadata = MetaData()

known_user = Table(
    "known_user",
    metadata,
    Column("id", Id, primary_key=True),
    Column("operator", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("left", Boolean, nullable=False),
    Column("old", Id, nullable=False),
    **NEVER_REUSED,
)
Index("known_user_name", *known_user.c["operator", "name"], unique=True)


def upgrade() -> None:
    """Make the table. The first daemon with a sound config fills it."""
    known_user.create(op.get_bind())
