"""What is kept sealed, such as the refresh tokens of persons."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, LargeBinary, MetaData, Table, Text

revision = "0012"
down_revision = "0011"

secret = Table(
    "secret",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)


def upgrade() -> None:
    """Make the table."""
    secret.create(op.get_bind())
