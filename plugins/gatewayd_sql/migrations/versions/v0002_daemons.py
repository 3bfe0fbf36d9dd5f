"""Daemons, how accounts are, what is asked of daemons, and fingerprints of matchers."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Double, Index, Integer, MetaData, Table, Text

from gatewayd_sql.dialect import NEVER_REUSED, SMALL_ROWS, Id, only_where

revision = "0002"
down_revision = "0001"

metadata = MetaData()

daemon = Table(
    "daemon",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("beat_at", Double, nullable=False),
    Column("accounts", Integer, nullable=False),
    Column("workers", Integer, nullable=False),
    Column("worker_deaths", Integer, nullable=False),
    Column("open_breakers", Text, nullable=False),
    Column("config_faults", Text, nullable=False),
)

health = Table(
    "health",
    metadata,
    Column("account", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("condition", Text, nullable=False),
    Column("checked_at", Double),
    Column("mail_at", Double),
    Column("due_at", Double),
    Column("compared_at", Double),
    Column("failures", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("advice", Text, nullable=False),
)

request = Table(
    "request",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("asked_at", Double, nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("answer", Text),
    Column("answered_at", Double),
    **NEVER_REUSED,
)
Index("request_open", request.c.id, **only_where(request.c.answered_at.is_(None)))

fingerprint = Table(
    "fingerprint",
    metadata,
    Column("operator", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    **SMALL_ROWS,
)


def upgrade() -> None:
    """Make the tables."""
    metadata.create_all(op.get_bind(), checkfirst=False)
