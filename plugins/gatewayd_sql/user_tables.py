"""The tables of users. Importing this module makes ``metadata`` complete.

known_user     who is or was in the config: by its id whatever belongs to a user is kept, and void when the user leaves
account_share  personal accounts that their owners share, or are asked to
subscription   the accounts that a user chose to follow or not to follow
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Table, Text

from gatewayd_sql.dialect import NEVER_REUSED, SMALL_ROWS, Id
from gatewayd_sql.offering_tables import metadata

__all__ = ["OF_USERS", "account_share", "known_user", "metadata", "subscription"]

#: The columns that refer to a user: their rows go when the user leaves.
OF_USERS = ("user_id", "owner_id")

known_user = Table(
    "known_user",
    metadata,
    Column("id", Id, primary_key=True),
    Column("operator", Text, nullable=False),
    Column("name", Text, nullable=False),
    # The config has this user no more.
    Column("left", Boolean, nullable=False),
    # Personal mail and offers up to this ledger entry were a former user's, and are withheld.
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
