"""The tables of mailboxes that users added. Importing this module makes ``metadata`` complete.

user_account  a mailbox of a user, with its password, sealed: the row goes with the user
given_name    up to which number names of such mailboxes were given, also to those that are gone
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from gatewayd_sql.dialect import SMALL_ROWS
from gatewayd_sql.renaming_tables import metadata

__all__ = ["given_name", "metadata", "user_account"]

user_account = Table(
    "user_account",
    metadata,
    # The account's name. It stays what it is when operator or user get other names.
    Column("name", Text, primary_key=True),
    Column("user_id", ForeignKey("known_user.id"), nullable=False),
    Column("mark", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("security", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    **SMALL_ROWS,
)
Index("user_account_user", user_account.c.user_id)

given_name = Table(
    "given_name",
    metadata,
    # Such as acme/irina.
    Column("stem", Text, primary_key=True),
    Column("last", Integer, nullable=False),
    **SMALL_ROWS,
)
