"""Indexes by which a mail is deleted without going through all others: what hangs on it, and who has the same bytes."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Index, MetaData, Table

from gatewayd_sql.dialect import Id

revision = "0018"
down_revision = "0017"

metadata = MetaData()

# As far as they are spoken of here.
mail = Table("mail", metadata, Column("content_id", Id))
filing = Table("filing", metadata, Column("mail_id", Id))
provisional = Table("provisional", metadata, Column("mail_id", Id))


def upgrade() -> None:
    """Make the indexes."""
    for index in (
        Index("mail_content", mail.c.content_id),
        Index("filing_mail", filing.c.mail_id),
        Index("provisional_mail", provisional.c.mail_id),
    ):
        index.create(op.get_bind())
