"""What every question is restricted to (promise P6): what its viewer may see, as users, shares and files have it at that moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, case, exists, func, not_, or_, select, true

from gatewayd_sql.offering_tables import offered_to
from gatewayd_sql.tables import filing, mail
from gatewayd_sql.user_tables import account_share, known_user, subscription

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, Table

    from gatewayd import Viewer

__all__ = ["followed", "offer_visible", "visible"]

#: Above all ids of ledger entries.
_ALL = (1 << 63) - 1

_owner, _user = known_user.alias("owner"), known_user.alias("with_user")
_by = mail.alias("by")


def visible(viewer: Viewer) -> ColumnElement[bool]:
    """Whether the viewer may see a filing."""

    def of(account: str | ColumnElement[str]) -> ColumnElement[bool]:
        return exists().where(_by.c.id == filing.c.mail_id, _by.c.account == account).correlate(filing, account_share)

    return _visible(viewer, filing, filing.c.mail_id, of)


def offer_visible(viewer: Viewer) -> ColumnElement[bool]:
    """Whether the viewer may see an offer."""

    def of(account: str | ColumnElement[str]) -> ColumnElement[bool]:
        return offered_to.c.account == account

    return _visible(viewer, offered_to, offered_to.c.entry_id, of)


def followed(viewer: Viewer) -> ColumnElement[bool]:
    """Whether the viewer, one user, follows the account of a mail."""
    if len(viewer.users) != 1:
        return true()
    here = (known_user.c.operator == viewer.operator, known_user.c.name == viewer.users[0], ~known_user.c.left)
    not_followed = select(subscription.c.account).join(known_user, known_user.c.id == subscription.c.user_id)
    return mail.c.account.not_in(not_followed.where(*here, ~subscription.c.followed).correlate(None))


def _visible(
    viewer: Viewer,
    table: Table,
    entry_id: ColumnElement[int],
    of: Callable[[str | ColumnElement[str]], ColumnElement[bool]],
) -> ColumnElement[bool]:
    """Whether a row of ``table`` is the operator's general one, a personal one of these users, or shared with them.

    ``of`` tells whether it is of an account.
    """
    mine, owner = table.c.operator == viewer.operator, table.c.owner
    if viewer.withheld:
        return and_(mine, or_(owner.is_(None), owner.in_(viewer.users)) if viewer.users else owner.is_(None))
    seen: list[ColumnElement[bool]] = [owner.is_(None)]
    seen += [and_(owner == name, entry_id > _withheld(viewer, name)) for name in viewer.users]
    seen += [and_(owner == name, of(account), entry_id > _withheld(viewer, name)) for account, name in viewer.shared]
    if viewer.users:
        shared = exists().where(
            account_share.c.state == "agreed",
            _owner.c.id == account_share.c.owner_id,
            _user.c.id == account_share.c.user_id,
            not_(or_(_owner.c.left, _user.c.left)),
            _user.c.operator == viewer.operator,
            _user.c.name.in_(viewer.users),
            _owner.c.operator == viewer.operator,
            _owner.c.name == owner,
            entry_id > _owner.c.old,
            of(account_share.c.account),
        )
        seen.append(and_(owner.is_not(None), shared.correlate(table)))
    return and_(mine, or_(*seen))


def _withheld(viewer: Viewer, name: str) -> ColumnElement[int]:
    """The newest entry that is withheld from a user: all of them where the user has left."""
    one = select(case((known_user.c.left, _ALL), else_=known_user.c.old))
    one = one.where(known_user.c.operator == viewer.operator, known_user.c.name == name)
    return func.coalesce(one.correlate(None).scalar_subquery(), 0)
