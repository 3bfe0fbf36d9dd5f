"""What was filed in the last seconds is found by its time, for the pages that are open."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the index."""
    op.create_index("filing_time", "filing", ["filed_at"])
