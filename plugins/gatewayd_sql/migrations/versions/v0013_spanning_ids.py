"""What a server calls a message in each folder that shows it.

An entry of before learns it when its folder is listed as a whole.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Index, MetaData, Table, Text

from gatewayd_sql.dialect import only_where

revision = "0013"
down_revision = "0012"

# As far as it is spoken of here.
ledger = Table("ledger", MetaData(), Column("account", Text), Column("spanning_id", Text))


def upgrade() -> None:
    """Add the column and its index."""
    op.add_column("ledger", Column("spanning_id", Text))
    columns = ledger.c.account, ledger.c.spanning_id
    Index("ledger_spanning", *columns, **only_where(ledger.c.spanning_id.is_not(None))).create(op.get_bind())
