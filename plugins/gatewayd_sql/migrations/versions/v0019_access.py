"""People who use the pages: web sessions, passwords, second factors, and what they did."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, LargeBinary, MetaData, Table, Text

from gatewayd_sql.dialect import NEVER_REUSED, SMALL_ROWS, Id

revision = "0019"
down_revision = "0018"

metadata = MetaData()

# It is there already.
known_user = Table("known_user", metadata, Column("id", Id, primary_key=True))

web_session = Table(
    "web_session",
    metadata,
    Column("id", Id, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("user_id", ForeignKey("known_user.id"), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),
    Column("address", Text, nullable=False),
    Column("agent", Text, nullable=False),
    **NEVER_REUSED,
)
Index("web_session_digest", web_session.c.digest, unique=True)
Index("web_session_user", web_session.c.user_id)

user_password = Table(
    "user_password",
    metadata,
    Column("user_id", ForeignKey("known_user.id"), primary_key=True, autoincrement=False),
    Column("key_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("changed_at", Double, nullable=False),
)

second_factor = Table(
    "second_factor",
    metadata,
    Column("user_id", ForeignKey("known_user.id"), primary_key=True, autoincrement=False),
    Column("key_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("step", Id, nullable=False),
)

recovery_code = Table(
    "recovery_code",
    metadata,
    Column("user_id", ForeignKey("known_user.id"), primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, primary_key=True),
    **SMALL_ROWS,
)

activity = Table(
    "activity",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Double, nullable=False),
    Column("operator", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("mail_id", Id),
    Column("detail", Text, nullable=False),
    Column("address", Text, nullable=False),
    **NEVER_REUSED,
)
Index("activity_operator", *activity.c["operator", "id"])
Index("activity_at", activity.c.at)


def upgrade() -> None:
    """Make the tables."""
    for table in (web_session, user_password, second_factor, recovery_code, activity):
        table.create(op.get_bind())
