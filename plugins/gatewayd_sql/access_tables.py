"""The tables of people who use the pages. Importing this module makes ``metadata`` complete.

web_session    a browser in which a user is logged in, by the digest of its token
user_password  the password of a user, hashed and then sealed
second_factor  what makes a user's one-time codes, sealed
recovery_code  what a user can log in with once in place of such a code, as digests
activity       what people did; it stays when they leave
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, LargeBinary, Table, Text

from gatewayd_sql.dialect import NEVER_REUSED, SMALL_ROWS, Id
from gatewayd_sql.user_account_tables import metadata

__all__ = ["activity", "metadata", "recovery_code", "second_factor", "user_password", "web_session"]

web_session = Table(
    "web_session",
    metadata,
    Column("id", Id, primary_key=True),
    # The SHA-256 of the token.
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
    # A code of it was typed: only from then on it is asked for.
    Column("confirmed", Boolean, nullable=False),
    # The step of the last code that was taken: no code counts twice.
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
    # As the user was called then; it has no id, and stays when the user leaves.
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("mail_id", Id),
    Column("detail", Text, nullable=False),
    Column("address", Text, nullable=False),
    **NEVER_REUSED,
)
Index("activity_operator", *activity.c["operator", "id"])
Index("activity_at", activity.c.at)
