"""What is filed with bytes of another size than the server lists, and is fetched once more before anything is owed for it; and
what was filed under a key before.

What was filed so before is left alone, as it was: nothing was ever owed for it.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Double, Index, Integer, MetaData, Table, Text

from gatewayd_sql.dialect import Id, only_where

revision = "0009"
down_revision = "0008"

metadata = MetaData()

# As far as it is spoken of here.
ledger = Table(
    "ledger",
    metadata,
    Column("account", Text),
    Column("folder", Text),
    Column("due", Double),
    Column("again", Text),
)


def upgrade() -> None:
    """Add the columns and their index."""
    op.add_column("ledger", Column("again", Text))
    op.add_column("ledger", Column("others", Integer, nullable=False, server_default="0"))
    op.add_column("ledger", Column("former", Id))
    columns = ledger.c.account, ledger.c.folder, ledger.c.due
    Index("ledger_again", *columns, **only_where(ledger.c.again.is_not(None))).create(op.get_bind())
