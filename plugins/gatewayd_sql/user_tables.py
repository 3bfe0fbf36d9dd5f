"""The tables of users. Importing this module makes ``metadata`` complete.

known_user  who is or was in the config: by its id whatever belongs to a user is kept, and void when the user leaves
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Table, Text

from gatewayd_sql.dialect import NEVER_REUSED, Id
from gatewayd_sql.offering_tables import metadata

__all__ = ["OF_USERS", "known_user", "metadata"]

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
