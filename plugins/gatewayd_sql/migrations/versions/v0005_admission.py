"""Verdicts that may change, and how directories are."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, MetaData, Table, Text, literal_column

from gatewayd_sql.dialect import SMALL_ROWS, Id, only_where

revision = "0005"
down_revision = "0004"

metadata = MetaData()

_REFUSED = literal_column("'not admitted'", Text)

# What is there already, as far as it is spoken of here.
ledger = Table(
    "ledger",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", Text),
    Column("folder", Text),
    Column("state", Text),
)
mail = Table("mail", metadata, Column("id", Id, primary_key=True))

ledger_refused = Index("ledger_refused", ledger.c.account, ledger.c.folder, ledger.c.id, **only_where(ledger.c.state == _REFUSED))

refused = Table(
    "refused",
    metadata,
    Column("entry_id", ForeignKey("ledger.id"), primary_key=True, autoincrement=False),
    Column("senders", Text, nullable=False),
    Column("final", Boolean, nullable=False),
    Column("since", Double),
    Column("admitted", Text, nullable=False),
)

Index("refused_provisional", refused.c.entry_id, **only_where(refused.c.since.is_not(None)))
Index("refused_undecided", refused.c.entry_id, **only_where(~refused.c.final))

judged = Table(
    "judged",
    metadata,
    Column("account", Text, primary_key=True),
    Column("operator", Text, primary_key=True),
    Column("settings", Text, nullable=False),
    Column("version", Text, nullable=False),
    **SMALL_ROWS,
)

provisional = Table(
    "provisional",
    metadata,
    Column("operator", Text, primary_key=True),
    Column("mail_id", ForeignKey("mail.id"), primary_key=True, autoincrement=False),
    Column("since", Double, nullable=False),
    Column("until", Double),
    Column("version", Text, nullable=False),
    Column("fire", Boolean, nullable=False),
    **SMALL_ROWS,
)

directory = Table(
    "directory",
    metadata,
    Column("operator", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("condition", Text, nullable=False),
    Column("loaded_at", Double),
    Column("looked_at", Double),
    Column("version", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("rows", Text, nullable=False),
    Column("faults", Text, nullable=False),
    Column("warnings", Text, nullable=False),
)


def upgrade() -> None:
    """Make the tables and the index. Who sent what was not admitted is not known; the headers tell when it is needed."""
    ledger_refused.create(op.get_bind())
    metadata.create_all(op.get_bind(), tables=[refused, judged, provisional, directory], checkfirst=False)
