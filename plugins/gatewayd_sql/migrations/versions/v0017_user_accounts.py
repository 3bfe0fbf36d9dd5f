"""Mailboxes that users add for themselves, with sealed passwords."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text

from gatewayd_sql.dialect import SMALL_ROWS, Id

revision = "0017"
down_revision = "0016"

metadata = MetaData()

# It is there already.
known_user = Table("known_user", metadata, Column("id", Id, primary_key=True))

user_account = Table(
    "user_account",
    metadata,
    Column("name", Text, primary_key=True),
    Column("user_id", ForeignKey("known_user.id"), nullable=False),
    Column("mark", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("security", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    **SMALL_ROWS,
)
Index("user_account_user", user_account.c.user_id)

given_name = Table(
    "given_name",
    metadata,
    Column("stem", Text, primary_key=True),
    Column("last", Integer, nullable=False),
    **SMALL_ROWS,
)


def upgrade() -> None:
    """Make the tables."""
    for table in (user_account, given_name):
        table.create(op.get_bind())
