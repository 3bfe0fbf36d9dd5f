"""The steps that bring an older database to this version, forward only, run by ``Database.upgrade``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["HEAD", "VERSION_TABLE", "VERSION_TABLE_SQL", "upgrade"]

#: The version of the tables that this gatewayd works with: the last step in ``versions``.
HEAD = "0021"

#: Each plugin's tables have a version of their own.
VERSION_TABLE = "gatewayd_sql_version"

#: The table as Alembic would make it.
VERSION_TABLE_SQL = (
    f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
)


def upgrade(connection: Connection, to: str = HEAD) -> None:
    """Run the missing steps inside the connection's transaction."""
    from alembic import command  # noqa: PLC0415  importing it takes long, and most starts have nothing to do
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "gatewayd_sql:migrations")
    command.upgrade(config, to)
