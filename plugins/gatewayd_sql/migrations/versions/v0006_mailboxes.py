"""Which mailbox each account has or had, and whose personal mail there is."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Double, Index, MetaData, Table, Text, false

from gatewayd_sql.dialect import SMALL_ROWS, Id, only_where

revision = "0006"
down_revision = "0005"

metadata = MetaData()

mailbox = Table(
    "mailbox",
    metadata,
    Column("mailbox", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("second", Boolean, nullable=False),
    Column("since", Double, nullable=False),
    **SMALL_ROWS,
)
Index("mailbox_first", mailbox.c.mailbox, unique=True, **only_where(mailbox.c.second.is_(false())))

# What is there already, as far as it is spoken of here.
filing = Table(
    "filing",
    metadata,
    Column("operator", Text, primary_key=True),
    Column("mail_id", Id, primary_key=True),
    Column("owner", Text),
)
filing_owner = Index("filing_owner", filing.c.operator, filing.c.owner, **only_where(filing.c.owner.is_not(None)))


def upgrade() -> None:
    """Make the table and the index."""
    mailbox.create(op.get_bind())
    filing_owner.create(op.get_bind())
