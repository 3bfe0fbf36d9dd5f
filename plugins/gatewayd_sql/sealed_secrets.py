"""Keep secrets that come sealed. What was read names the row that is replaced: nobody's newer secret is written over."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, update

from gatewayd import SealedSecret, SecretVerbs
from gatewayd_sql.access_tables import second_factor, user_password
from gatewayd_sql.admission_tables import secret as table
from gatewayd_sql.dialect import InsertOrIgnore
from gatewayd_sql.user_account_tables import user_account

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Update

    from gatewayd_sql.database import Database

__all__ = ["SecretTable"]


class SecretTable(SecretVerbs):
    """See ``SecretVerbs``."""

    _db: Database

    def sealed_secret(self, name: str) -> SealedSecret | None:
        """Return a secret; None if there is none by this name."""
        rows = self._db.rows(select(table.c.key_id, table.c.sealed).where(table.c.name == name))
        return SealedSecret(rows[0].key_id, bytes(rows[0].sealed)) if rows else None

    def replace_secret(self, name: str, old: SealedSecret | None, new: SealedSecret) -> bool:
        """Put ``new`` in the place of ``old``, if that is still there."""
        values = {"key_id": new.key_id, "sealed": new.sealed}
        change: InsertOrIgnore | Update = InsertOrIgnore(table).values({"name": name} | values)
        if old:
            change = update(table).where(table.c.name == name, table.c.sealed == old.sealed).values(values)
        with self._db.writing() as connection:
            # Of an INSERT, SQLAlchemy has no rowcount unless it is told to keep it.
            return connection.execute(change, execution_options={"preserve_rowcount": True}).rowcount == 1

    def forget_secret(self, name: str) -> bool:
        """Remove a secret; return whether there was one."""
        with self._db.writing() as connection:
            return bool(connection.execute(delete(table).where(table.c.name == name)).rowcount)

    def secret_names(self) -> Sequence[str]:
        """Return the names of all that there are."""
        # Databases differ in how they order text.
        return sorted(row.name for row in self._db.rows(select(table.c.name)))

    def sealing_keys(self) -> Mapping[str, int]:
        """Return the ids of the keys, and how many secrets each seals: what users log in with, here and at their mailboxes, too."""
        found: Counter[str] = Counter()
        for one in (table, user_account, user_password, second_factor):
            query = select(one.c.key_id, func.count().label("secrets")).group_by(one.c.key_id)
            found.update({row.key_id: row.secrets for row in self._db.rows(query)})
        return found
