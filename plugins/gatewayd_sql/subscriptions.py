"""Keep which personal accounts are shared with whom, and which accounts a user follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, or_, select, update

from gatewayd import Share, SubscriptionVerbs
from gatewayd_sql.dialect import InsertOrIgnore
from gatewayd_sql.user_tables import account_share, known_user, subscription
from gatewayd_sql.users import user_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from gatewayd import Viewer
    from gatewayd_sql.database import Database

__all__ = ["Subscriptions"]

_owner, _user = known_user.alias("owner"), known_user.alias("with_user")
_SHARES = (
    select(account_share.c.account, _owner.c.name.label("owner"), _user.c.name.label("user"), account_share.c.state)
    .join_from(account_share, _owner, _owner.c.id == account_share.c.owner_id)
    .join(_user, _user.c.id == account_share.c.user_id)
    .order_by(account_share.c.account, _owner.c.name, _user.c.name)
)
# Of an INSERT, SQLAlchemy has no rowcount unless it is told to keep it.
_COUNTED = {"preserve_rowcount": True}


class Subscriptions(SubscriptionVerbs):
    """See ``SubscriptionVerbs``."""

    _db: Database

    def ask_share(self, viewer: Viewer, account: str, *, owner: str) -> bool:
        """Commit that the viewer asks for an account; one that was refused is asked for again."""
        with self._db.writing() as connection:
            asking, asked = _me(connection, viewer, account), user_id(connection, viewer.operator, owner, account)
            connection.execute(delete(account_share).where(_one(account, asked, asking), account_share.c.state == "refused"))
            row = {"account": account, "owner_id": asked, "user_id": asking, "state": "asked"}
            return bool(connection.execute(InsertOrIgnore(account_share).values(row), execution_options=_COUNTED).rowcount)

    def answer_share(self, viewer: Viewer, account: str, *, user: str, agree: bool) -> bool:
        """Commit the owner's word on one user."""
        with self._db.writing() as connection:
            owner, other = _me(connection, viewer, account), user_id(connection, viewer.operator, user, account)
            which = _one(account, owner, other)
            if not agree:
                refused = update(account_share).where(which, account_share.c.state == "asked").values(state="refused")
                ended = delete(account_share).where(which, account_share.c.state == "agreed")
                return bool(connection.execute(refused).rowcount + connection.execute(ended).rowcount)
            row = {"account": account, "owner_id": owner, "user_id": other, "state": "agreed"}
            new = connection.execute(InsertOrIgnore(account_share).values(row), execution_options=_COUNTED).rowcount
            agreed = update(account_share).where(which, account_share.c.state != "agreed").values(state="agreed")
            changed = new + connection.execute(agreed).rowcount
            if changed:
                mine = (subscription.c.account == account, subscription.c.user_id == other)
                connection.execute(delete(subscription).where(*mine))
            return bool(changed)

    def shares(self, viewer: Viewer) -> Sequence[Share]:
        """Return what the viewer's one user shares, asks for and is shared with."""
        (name,) = viewer.users
        both = (_owner.c.operator == viewer.operator, _user.c.operator == viewer.operator, ~_owner.c.left, ~_user.c.left)
        rows = self._db.rows(_SHARES.where(*both, or_(_owner.c.name == name, _user.c.name == name)))
        return [Share(account=row.account, owner=row.owner, user=row.user, state=row.state) for row in rows]

    def follow(self, viewer: Viewer, account: str, *, followed: bool) -> bool:
        """Commit whether the viewer's one user follows an account."""
        with self._db.writing() as connection:
            row = {"account": account, "user_id": _me(connection, viewer, account), "followed": followed}
            same = (subscription.c.account == account, subscription.c.user_id == row["user_id"])
            was = connection.execute(select(subscription.c.followed).where(*same)).scalar_one_or_none()
            connection.execute(InsertOrIgnore(subscription).values(row))
            connection.execute(update(subscription).where(*same).values(followed=followed))
        return (True if was is None else was) != followed

    def choices(self, viewer: Viewer) -> Mapping[str, bool]:
        """Return what the viewer's one user chose."""
        (name,) = viewer.users
        here = (known_user.c.operator == viewer.operator, known_user.c.name == name, ~known_user.c.left)
        query = select(subscription.c.account, subscription.c.followed).join(known_user, known_user.c.id == subscription.c.user_id)
        return {row.account: row.followed for row in self._db.rows(query.where(*here).order_by(subscription.c.account))}


def _me(connection: Connection, viewer: Viewer, account: str) -> int:
    (name,) = viewer.users
    return user_id(connection, viewer.operator, name, account)


def _one(account: str, owner: int, user: int) -> ColumnElement[bool]:
    return and_(account_share.c.account == account, account_share.c.owner_id == owner, account_share.c.user_id == user)
