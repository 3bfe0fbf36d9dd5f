"""Users, by an id of their own, and what belongs to them: shares and subscriptions."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, ForeignKey, Index, MetaData, Table, Text

from gatewayd_sql.dialect import NEVER_REUSED, SMALL_ROWS, Id

revision = "0015"
down_revision = "0014"

metadata = MetaData()

known_user = Table(
    "known_user",
    metadata,
    Column("id", Id, primary_key=True),
    Column("operator", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("left", Boolean, nullable=False),
    Column("old", Id, nullable=False),
    **NEVER_REUSED,
)
Index("known_user_name", *known_user.c["operator", "name"], unique=True)

account_share = Table(
    "account_share",
    metadata,
    Column("account", Text, primary_key=True),
    Column("owner_id", ForeignKey("known_user.id"), primary_key=True, autoincrement=False),
    Column("user_id", ForeignKey("known_user.id"), primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    **SMALL_ROWS,
)
Index("account_share_owner", account_share.c.owner_id)
Index("account_share_user", account_share.c.user_id)

subscription = Table(
    "subscription",
    metadata,
    Column("account", Text, primary_key=True),
    Column("user_id", ForeignKey("known_user.id"), primary_key=True, autoincrement=False),
    Column("followed", Boolean, nullable=False),
    **SMALL_ROWS,
)
Index("subscription_user", subscription.c.user_id)


def upgrade() -> None:
    """Make the tables. The first daemon with a sound config fills the first one."""
    for table in (known_user, account_share, subscription):
        table.create(op.get_bind())
