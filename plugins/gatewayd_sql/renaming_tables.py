"""The table of names that change. Importing this module makes ``metadata`` complete.

renamed  accounts, operators and users that get another name, or got one: nobody writes anything under a name that was given up
"""

from __future__ import annotations

from sqlalchemy import Column, Double, Table, Text

from gatewayd_sql.dialect import SMALL_ROWS
from gatewayd_sql.user_tables import metadata

__all__ = ["metadata", "renamed"]

renamed = Table(
    "renamed",
    metadata,
    # account, operator or user. A user stands as ``operator/user``.
    Column("kind", Text, primary_key=True),
    Column("old", Text, primary_key=True),
    Column("new", Text, nullable=False),
    # Who asked for it.
    Column("who", Text, nullable=False),
    Column("asked_at", Double, nullable=False),
    # When all that is kept was the new name's. None: it is all the old one's still.
    Column("done_at", Double),
    **SMALL_ROWS,
)
