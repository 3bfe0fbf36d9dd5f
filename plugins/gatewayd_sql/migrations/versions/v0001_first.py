"""The first tables. A step stays as it was when it was released: later ones are new files."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)

from gatewayd_sql.dialect import NEVER_REUSED, SMALL_ROWS, Id, only_where

revision = "0001"
down_revision = None

metadata = MetaData()

lease = Table(
    "lease",
    metadata,
    Column("account", Text, primary_key=True),
    Column("owner", Text),
    Column("epoch", Integer, nullable=False),
    Column("until", Double, nullable=False),
)

folder = Table(
    "folder",
    metadata,
    Column("account", Text, primary_key=True),
    Column("folder", Text, primary_key=True),
    Column("cursor", Text, nullable=False),
    Column("start_at", Double),
    **SMALL_ROWS,
)

ledger = Table(
    "ledger",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("size", Id),
    Column("arrival", Double),
    Column("backlog", Boolean, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due", Double, nullable=False),
    Column("listed_at", Double, nullable=False),
    Column("gone_at", Double),
    Column("anchor", Text),
    Column("mail_id", Id),
    Column("owed", Text),
    UniqueConstraint("account", "folder", "key", name="ledger_key"),
    **NEVER_REUSED,
)
Index(
    "ledger_waiting",
    ledger.c.account,
    ledger.c.folder,
    ledger.c.id,
    **only_where(ledger.c.state == literal_column("'waiting'", Text)),
)
Index("ledger_owed", ledger.c.account, ledger.c.id, **only_where(ledger.c.owed.is_not(None)))

content = Table(
    "content",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("size", Id, nullable=False),
    UniqueConstraint("digest", name="content_digest"),
)

chunk = Table(
    "chunk",
    metadata,
    Column("content_id", ForeignKey("content.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

mail = Table(
    "mail",
    metadata,
    Column("id", ForeignKey("ledger.id"), primary_key=True, autoincrement=False),
    Column("account", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("content_id", ForeignKey("content.id"), nullable=False),
    Column("message_id", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("sender_name", Text, nullable=False),
    Column("recipients", Text, nullable=False),
    Column("attachments", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("search", Text, nullable=False),
    Column("sent_at", Double),
    Column("received_at", Double, nullable=False),
    Column("direction", Text, nullable=False),
    UniqueConstraint("account", "content_id", name="mail_once"),
)

filing = Table(
    "filing",
    metadata,
    Column("operator", Text, primary_key=True),
    Column("mail_id", ForeignKey("mail.id"), primary_key=True, autoincrement=False),
    Column("owner", Text),
    Column("unread", Boolean, nullable=False),
    Column("queue", Text),
    Column("filed_at", Double, nullable=False),
    **SMALL_ROWS,
)
Index("filing_queue", filing.c.operator, filing.c.mail_id, **only_where(filing.c.queue.is_not(None)))


def _of_filing() -> tuple[Column[str], Column[int], ForeignKeyConstraint]:
    return (
        Column("operator", Text, primary_key=True),
        Column("mail_id", Id, primary_key=True, autoincrement=False),
        ForeignKeyConstraint(["operator", "mail_id"], ["filing.operator", "filing.mail_id"]),
    )


link = Table(
    "link",
    metadata,
    *_of_filing(),
    Column("kind", Text, primary_key=True),
    Column("record_id", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("because", Text, nullable=False),
    Column("by_hand", Boolean, nullable=False),
    Column("removed_by", Text),
    **SMALL_ROWS,
)
Index("link_record", link.c.operator, link.c.kind, link.c.record_id, link.c.mail_id)

rival = Table(
    "rival",
    metadata,
    *_of_filing(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("because", Text, nullable=False),
    **SMALL_ROWS,
)

fault = Table(
    "fault",
    metadata,
    *_of_filing(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("by", Text, nullable=False),
    Column("error", Text, nullable=False),
    **SMALL_ROWS,
)


def upgrade() -> None:
    """Make the tables."""
    metadata.create_all(op.get_bind(), checkfirst=False)
