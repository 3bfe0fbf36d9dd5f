"""Which operators refused mail that is filed for others of its account, and who sent it."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, ForeignKey, Index, MetaData, Table, Text

from gatewayd_sql.dialect import SMALL_ROWS, Id

revision = "0008"
down_revision = "0007"

metadata = MetaData()

# What is there already, as far as it is spoken of here.
mail = Table("mail", metadata, Column("id", Id, primary_key=True))

refused_filing = Table(
    "refused_filing",
    metadata,
    Column("account", Text, primary_key=True),
    Column("operator", Text, primary_key=True),
    Column("sender", Text, primary_key=True),
    Column("mail_id", ForeignKey("mail.id"), primary_key=True, autoincrement=False),
    **SMALL_ROWS,
)
Index("refused_filing_mail", refused_filing.c.mail_id)


def upgrade() -> None:
    """Make the table. Of the mail that is there nobody knows whether an operator refused it, or was added later."""
    refused_filing.create(op.get_bind())
