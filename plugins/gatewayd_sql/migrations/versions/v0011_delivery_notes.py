"""What forwarders write down for the next try of a delivery."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column."""
    op.add_column("delivery", Column("note", Text, nullable=False, server_default=""))
