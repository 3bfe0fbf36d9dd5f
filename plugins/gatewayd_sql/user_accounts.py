"""Keep the mailboxes that users added. Their passwords come sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from gatewayd import MOST_USER_ACCOUNTS, PermanentError, SealedSecret, UserAccount, UserAccountVerbs
from gatewayd_sql.dialect import InsertOrIgnore
from gatewayd_sql.user_account_tables import given_name, user_account
from gatewayd_sql.user_tables import account_share, known_user, subscription
from gatewayd_sql.users import hold_user

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from gatewayd import NewUserAccount
    from gatewayd_sql.database import Database

__all__ = ["UserAccountTables"]

_SAID = ("mark", "kind", "host", "port", "security", "address", "username")
_ALL = (
    select(known_user.c.operator, known_user.c.name.label("user"), *user_account.c)
    .join(known_user, known_user.c.id == user_account.c.user_id)
    .where(~known_user.c.left)
    .order_by(user_account.c.name)
)


class UserAccountTables(UserAccountVerbs):
    """See ``UserAccountVerbs``."""

    _db: Database

    def add_user_account(self, user_id: int, new: NewUserAccount) -> str:
        """Commit a mailbox of a user under a new name. Who adds another one for this user meanwhile waits."""
        with self._db.writing() as connection:
            user = hold_user(connection, user_id)
            having = select(func.count()).select_from(user_account).where(user_account.c.user_id == user_id)
            if connection.execute(having).scalar_one() >= MOST_USER_ACCOUNTS:
                raise PermanentError(
                    f"{user.operator}/{user.name} has {MOST_USER_ACCOUNTS} mailboxes already, and no user may add more",
                    advice="Remove one first: `gatewayd account remove NAME`.",
                )
            name = _next(connection, f"{user.operator}/{user.name}")
            said = {key: getattr(new, key) for key in _SAID}
            connection.execute(insert(user_account).values(name=name, user_id=user_id, **said, **_sealed(new.password)))
        return name

    def user_accounts(self) -> Sequence[UserAccount]:
        """Return all mailboxes that users added."""
        return [_account(row) for row in self._db.rows(_ALL)]

    def replace_password(self, old: UserAccount, new: SealedSecret) -> bool:
        """Put a password in the place of another one, if that is still there."""
        mine = user_account.c.name == old.name, user_account.c.sealed == old.password.sealed
        with self._db.writing() as connection:
            return bool(connection.execute(update(user_account).where(*mine).values(_sealed(new))).rowcount)

    def remove_user_account(self, name: str) -> bool:
        """Remove a mailbox and its password, and with it whom it was shared with and who followed it."""
        with self._db.writing() as connection:
            found = bool(connection.execute(delete(user_account).where(user_account.c.name == name)).rowcount)
            for table in (account_share, subscription) if found else ():
                connection.execute(delete(table).where(table.c.account == name))
        return found


def _next(connection: Connection, stem: str) -> str:
    """Return a name that was never given."""
    connection.execute(InsertOrIgnore(given_name), {"stem": stem, "last": 0})
    mine = given_name.c.stem == stem
    connection.execute(update(given_name).where(mine).values(last=given_name.c.last + 1))
    return f"{stem}/{connection.execute(select(given_name.c.last).where(mine)).scalar_one()}"


def _sealed(secret: SealedSecret) -> dict[str, object]:
    return {"key_id": secret.key_id, "sealed": secret.sealed}


def _account(row: Row[*tuple[Any, ...]]) -> UserAccount:
    said = {key: getattr(row, key) for key in _SAID}
    password = SealedSecret(row.key_id, bytes(row.sealed))
    return UserAccount(name=row.name, operator=row.operator, user=row.user, password=password, **said)
