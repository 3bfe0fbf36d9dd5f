"""Names that change: of accounts, operators and users."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Double, MetaData, Table, Text

from gatewayd_sql.dialect import SMALL_ROWS

revision = "0016"
down_revision = "0015"

renamed = Table(
    "renamed",
    MetaData(),
    Column("kind", Text, primary_key=True),
    Column("old", Text, primary_key=True),
    Column("new", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("asked_at", Double, nullable=False),
    Column("done_at", Double),
    **SMALL_ROWS,
)


def upgrade() -> None:
    """Make the table."""
    renamed.create(op.get_bind())
