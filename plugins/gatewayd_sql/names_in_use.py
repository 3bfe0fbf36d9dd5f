"""Keep names that change from being written: the new one until all is its own, the old one from then on.

A process may have an older config than the rename, or a newer one. So whatever enters an account, operator or user proves its name
first, in the same transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, or_, select, text

from gatewayd import TransientError
from gatewayd_sql.renaming_tables import renamed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection

__all__ = ["closed", "hold_names", "names_of_today", "prove_names", "renamed_accounts"]

_CHANGING = select(renamed.c.kind, renamed.c.old, renamed.c.new, renamed.c.done_at)


def hold_names(connection: Connection) -> None:
    """Let nobody prove a name until the end of the transaction; waits for those that have proven one."""
    # SQLite has one writer at a time.
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {renamed.name} IN ACCESS EXCLUSIVE MODE"))


def prove_names(connection: Connection, owners: Iterable[tuple[str, str | None]], account: str = "") -> None:
    """Prove that mail may be entered for these operators and users, and in this account. Raises TransientError.

    On PostgreSQL the query's own lock of the table is held until the end of the transaction.
    """
    rows = connection.execute(_CHANGING).all()
    if not rows:
        return
    names = {("account", account)}
    for operator, user in owners:
        names |= {("operator", operator)} | ({("user", f"{operator}/{user}")} if user else set())
    for kind, old, new, done_at in rows:
        if done_at is None and (kind, new) in names:
            raise TransientError(
                f"{kind} {old} is being renamed to {new}", advice=f"If it lasts: `gatewayd {kind} rename {old} {new}`."
            )
        if done_at is not None and (kind, old) in names:
            raise TransientError(f"{kind} {old} is {new} now", advice="Try again with the config as it is now.")


def names_of_today(connection: Connection, users: Mapping[str, Collection[str]]) -> Mapping[str, Collection[str]]:
    """Return a config's users, by operator, under the names by which all that is kept of them is kept now.

    The config may be newer than what is kept, or older. Where it has both names of one, they are two, and stay so.
    """
    found = {operator: set(names) for operator, names in users.items()}
    for kind, old, new, done_at in connection.execute(_CHANGING.order_by(renamed.c.asked_at)):
        kept, other = (old, new) if done_at is None else (new, old)
        if kind == "operator" and other in found and kept not in found:
            found[kept] = found.pop(other)
        if kind == "user":
            operator, kept, other = kept.partition("/")[0], kept.partition("/")[2], other.partition("/")[2]
            names = found.get(operator, set())
            if other in names and kept not in names:
                names.remove(other)
                names.add(kept)
    return found


def renamed_accounts(connection: Connection) -> Mapping[str, str]:
    """Return accounts that have other names now, each with the name of today: what goes out needs no newer config to find it."""
    rows = connection.execute(
        _CHANGING.where(renamed.c.kind == "account", renamed.c.done_at.is_not(None)).order_by(renamed.c.done_at)
    )
    found: dict[str, str] = {}
    for _, old, new, _ in rows:
        found = {before: new if now == old else now for before, now in found.items()} | {old: new}
    return found


def closed(account: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether nobody may begin to work on an account of this name."""
    waits = and_(renamed.c.new == account, renamed.c.done_at.is_(None))
    given_up = and_(renamed.c.old == account, renamed.c.done_at.is_not(None))
    return exists().where(renamed.c.kind == "account", or_(waits, given_up))
