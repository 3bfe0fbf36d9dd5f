"""Since when an account is being visited. What was told before does not say it: the next word of its daemon does."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Double

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column."""
    op.add_column("health", Column("working_since", Double))
