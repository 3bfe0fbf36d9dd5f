"""What people choose from: summaries of what is offered, what each operator decided, and what a viewer has seen."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, MetaData, Table, Text, false, literal_column

from gatewayd_sql.dialect import SMALL_ROWS, Id, only_where

revision = "0014"
down_revision = "0013"

metadata = MetaData()

# What is there already, as far as it is spoken of here.
ledger = Table(
    "ledger",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", Text),
    Column("folder", Text),
    Column("state", Text),
    Column("described", Boolean),
)
undescribed = Index(
    "ledger_undescribed",
    *ledger.c["account", "folder", "id"],
    **only_where((ledger.c.state == literal_column("'offered'", Text)) & ~ledger.c.described),
)

offer = Table(
    "offer",
    metadata,
    Column("entry_id", ForeignKey("ledger.id"), primary_key=True, autoincrement=False),
    Column("sender", Text, nullable=False),
    Column("sender_name", Text, nullable=False),
    Column("senders", Text, nullable=False),
    Column("recipients", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("search", Text, nullable=False),
    Column("sent_at", Double),
    Column("attachments", Boolean),
)

offered_to = Table(
    "offered_to",
    metadata,
    Column("account", Text, primary_key=True),
    Column("operator", Text, primary_key=True),
    Column("entry_id", ForeignKey("ledger.id"), primary_key=True, autoincrement=False),
    Column("owner", Text),
    Column("decision", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("cause", Text, nullable=False),
    **SMALL_ROWS,
)
Index("offered_to_entry", offered_to.c.entry_id)
Index(
    "offered_to_chosen",
    *offered_to.c["account", "entry_id"],
    **only_where(offered_to.c.decision == literal_column("'chosen'", Text)),
)
undecided, refused = (literal_column(f"'{word}'", Text) for word in ("undecided", "refused"))
Index(
    "offered_to_unadmitted",
    *offered_to.c["account", "operator", "entry_id"],
    **only_where((offered_to.c.decision == undecided) | (offered_to.c.decision == refused)),
)

seen = Table(
    "seen",
    metadata,
    Column("account", Text, primary_key=True),
    Column("operator", Text, primary_key=True),
    Column("owner", Text, primary_key=True),
    Column("mark", Id, nullable=False),
    Column("shown", Id, nullable=False),
    **SMALL_ROWS,
)


def upgrade() -> None:
    """Make the tables. What is offered by now gets its summary when it is first shown."""
    op.add_column("ledger", Column("described", Boolean, nullable=False, server_default=false()))
    for table in (offer, offered_to, seen):
        table.create(op.get_bind())
    undescribed.create(op.get_bind())
