"""Keep who is in the config. What belonged to a user who has left is void from the same commit on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, func, insert, or_, select, update

from gatewayd import KnownUser, PermanentError, UserVerbs
from gatewayd_sql.dialect import InsertOrIgnore, each
from gatewayd_sql.names_in_use import hold_names, names_of_today, prove_names
from gatewayd_sql.offering_tables import offered_to, seen
from gatewayd_sql.renaming_tables import metadata
from gatewayd_sql.tables import filing, ledger
from gatewayd_sql.user_tables import OF_USERS, known_user

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from gatewayd_sql.database import Database

__all__ = ["Users", "hold_user", "user_id"]

#: Whether anything is there that is withheld from a user.
_WITHHELD = or_(
    *(
        exists().where(table.c.operator == known_user.c.operator, table.c.owner == known_user.c.name, entry <= known_user.c.old)
        for table, entry in ((filing, filing.c.mail_id), (offered_to, offered_to.c.entry_id))
    )
).self_group()
_KNOWN = select(
    *known_user.c["id", "operator", "name", "left", "old"],
    and_(~known_user.c.left, known_user.c.old > 0, _WITHHELD).label("withheld"),
).order_by(*known_user.c["operator", "name"])
_NEWEST = select(func.coalesce(func.max(ledger.c.id), 0))


class Users(UserVerbs):
    """See ``UserVerbs``."""

    _db: Database

    def keep_users(self, users: Mapping[str, Collection[str]], *, unknown: Collection[str] = ()) -> Sequence[KnownUser]:
        """Commit who is in the config; return who has left. Only one read where nobody came or left."""
        with self._db.reading() as connection:
            if _is_kept(_all(connection), names_of_today(connection, users), unknown):
                return []
        with self._db.writing() as connection:
            hold_names(connection)
            users, known = names_of_today(connection, users), _all(connection)
            gone = [
                one
                for one in known.values()
                if not one.left and one.operator not in unknown and one.name not in users.get(one.operator, ())
            ]
            _end(connection, gone)
            for operator, names in users.items():
                if operator not in unknown:
                    _begin(connection, operator, names, known)
        return [KnownUser(id=one.id, operator=one.operator, name=one.name, left=True) for one in gone]

    def known_users(self) -> Sequence[KnownUser]:
        """Return all users who are here or have left."""
        return [_user(row) for row in self._db.rows(_KNOWN)]

    def know_user(self, operator: str, name: str) -> KnownUser:
        """Return a user, entered where nobody of that name was ever known."""
        with self._db.reading() as connection:
            row = _one(connection, operator, name)
        if row is None:
            with self._db.writing() as connection:
                user_id(connection, operator, name)
                row = _one(connection, operator, name)
        return _user(_present(row, operator, name))

    def give_old_mail(self, operator: str, name: str) -> bool:
        """Commit that nothing is withheld from a user any more; return whether anything was."""
        mine = (known_user.c.operator == operator, known_user.c.name == name, ~known_user.c.left, known_user.c.old > 0)
        with self._db.writing() as connection:
            return bool(connection.execute(update(known_user).where(*mine).values(old=0)).rowcount)


def user_id(connection: Connection, operator: str, name: str, account: str = "") -> int:
    """Return the id of a user, inside the transaction of a verb on that account: see ``UserVerbs.know_user``."""
    prove_names(connection, [(operator, name)], account)
    connection.execute(InsertOrIgnore(known_user).inline(), _row(operator, name))
    found: int = _present(_one(connection, operator, name), operator, name).id
    return found


def hold_user(connection: Connection, user_id: int) -> Row[str, str]:
    """Return operator and name of a user. Who lets this one leave waits for the transaction, and takes along what it writes.

    Raises PermanentError where the user has left.
    """
    whose = select(known_user.c.operator, known_user.c.name).where(known_user.c.id == user_id, ~known_user.c.left)
    # SQLite has one writer at a time; on PostgreSQL it is the user's row that is held.
    user = connection.execute(whose.with_for_update()).one_or_none()
    if user is None:
        raise PermanentError("the user has left meanwhile", advice="See `users` in the operator's file.")
    return user


def _present(row: Row[*tuple[Any, ...]] | None, operator: str, name: str) -> Row[*tuple[Any, ...]]:
    if row is None or row.left:
        advice = "Start the daemon, or let it load the config again."
        raise PermanentError(f"user {name} of operator {operator} had left, and no daemon has seen that user since", advice=advice)
    return row


def _all(connection: Connection) -> Mapping[tuple[str, str], Row[*tuple[Any, ...]]]:
    return {(row.operator, row.name): row for row in connection.execute(_KNOWN)}


def _one(connection: Connection, operator: str, name: str) -> Row[*tuple[Any, ...]] | None:
    return connection.execute(_KNOWN.where(known_user.c.operator == operator, known_user.c.name == name)).one_or_none()


def _user(row: Row[*tuple[Any, ...]]) -> KnownUser:
    return KnownUser(id=row.id, operator=row.operator, name=row.name, left=row.left, withheld=bool(row.withheld))


def _row(operator: str, name: str, *, left: bool = False, old: int = 0) -> dict[str, object]:
    return {"operator": operator, "name": name, "left": left, "old": old}


def _is_kept(
    known: Mapping[tuple[str, str], Row[*tuple[Any, ...]]],
    users: Mapping[str, Collection[str]],
    unknown: Collection[str],
) -> bool:
    here = {who for who, row in known.items() if not row.left and row.operator not in unknown}
    return here == {(operator, name) for operator, names in users.items() if operator not in unknown for name in names}


def _end(connection: Connection, gone: Sequence[Row[*tuple[Any, ...]]]) -> None:
    """Let users have left, and delete whatever refers to them."""
    ids = [one.id for one in gone]
    if not ids:
        return
    connection.execute(update(known_user).where(known_user.c.id.in_(ids)).values(left=True))
    for table in metadata.tables.values():
        theirs = [table.c[name].in_(ids) for name in OF_USERS if name in table.c]
        if theirs:
            connection.execute(delete(table).where(or_(*theirs)))
    marks = [and_(seen.c.operator == one.operator, seen.c.owner == one.name) for one in gone]
    connection.execute(delete(seen).where(or_(*marks)))


def _begin(
    connection: Connection,
    operator: str,
    names: Collection[str],
    known: Mapping[tuple[str, str], Row[*tuple[Any, ...]]],
) -> None:
    """Enter users who have come, and those who have mail and were never here: they left before that was kept."""
    back = [one.id for one in known.values() if one.operator == operator and one.left and one.name in names]
    rows = [_row(operator, name) for name in sorted(names) if (operator, name) not in known]
    if back:
        newest = connection.execute(_NEWEST).scalar_one()
        rows += [_row(operator, one.name, old=newest) for one in known.values() if one.id in back]
        # Ids of rows that are gone are not used again.
        connection.execute(delete(known_user).where(known_user.c.id.in_(back)))
    personal = and_(filing.c.operator == operator, filing.c.owner.is_not(None))
    having = {name for name in connection.scalars(each(filing.c.owner, personal)) if name is not None}
    rows += [_row(operator, name, left=True) for name in sorted(having - {*names}) if (operator, name) not in known]
    if rows:
        connection.execute(insert(known_user), rows)
