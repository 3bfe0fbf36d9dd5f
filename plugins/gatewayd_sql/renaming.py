"""Rename accounts, operators and users: in every table, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, func, insert, literal, or_, select, update

from gatewayd import PermanentError, Rename, RenameVerbs, TransientError
from gatewayd_sql.admission_tables import directory, fingerprint, judged, refused
from gatewayd_sql.dialect import clock, now
from gatewayd_sql.names_in_use import hold_names
from gatewayd_sql.outbox_tables import delivery
from gatewayd_sql.renaming_tables import metadata, renamed
from gatewayd_sql.search_tables import operator_number
from gatewayd_sql.tables import filing, lease, mail, mailbox, request
from gatewayd_sql.tables import health as health_table
from gatewayd_sql.times import clean, moment
from gatewayd_sql.user_tables import known_user

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Select

    from gatewayd import Named
    from gatewayd_sql.database import Database

__all__ = ["HOLDERS", "PLACES", "Renaming", "columns"]

#: The columns that have a name, in whichever table they are; a user is named beside its operator.
PLACES: Mapping[Named, str] = {"account": "account", "operator": "operator", "user": "owner"}
#: Here an owner is the process that says how things are.
HOLDERS = frozenset({"lease", "daemon", "health", "directory"})
#: What is told of a name without anything being kept of it: by a process that read the config before the rename was finished.
_TOLD = frozenset({lease, mailbox, health_table, request, delivery, judged, directory, fingerprint, operator_number})
#: Where mails or filings of one are counted.
_OF_MAIL: Mapping[Named, Column[Any]] = {"account": mail.c.account, "operator": filing.c.operator, "user": filing.c.owner}


class Renaming(RenameVerbs):
    """See ``RenameVerbs``."""

    _db: Database

    def intend_rename(self, kind: Named, old: str, new: str, *, who: str, needed: bool = True) -> Rename:
        """Commit the intent, or return the one that is there."""
        with self._db.writing() as connection:
            hold_names(connection)
            for one in _all(connection):
                if (one.kind, one.old, one.new) == (kind, old, new) and one.done_at is None:
                    return one
                _refuse(one, kind, new, old)
            if needed and not _is_kept(connection, kind, old, told=True):
                raise PermanentError(f"nothing is kept of {kind} {old!r}", advice="Name it as its file was named.")
            if _is_kept(connection, kind, new, told=False):
                raise PermanentError(
                    f"{kind} {new!r} has mail or a ledger of its own", advice=f"Choose a new name: two {kind}s can't become one."
                )
            time = clock(connection)
            again = {"new": new, "who": clean(who), "asked_at": time, "done_at": None}
            connection.execute(delete(renamed).where(renamed.c.kind == kind, renamed.c.old == old))
            connection.execute(insert(renamed).values(kind=kind, old=old, **again))
            if kind == "account":
                # Who has the lease of the new name, whose file may be there, writes nothing any more.
                ended = {"owner": None, "until": 0.0, "epoch": lease.c.epoch + 1}
                connection.execute(update(lease).where(lease.c.account == new).values(ended))
        return Rename(kind=kind, old=old, new=new, who=who, asked_at=moment(time))

    def finish_rename(self, rename: Rename, *, dead: Callable[[str], bool]) -> int:
        """Let all that is kept of the old name be the new one's."""
        kind, old, new = rename.kind, rename.old, rename.new
        with self._db.reading() as connection:
            holder = connection.scalar(_held(old)) if kind == "account" else None
        gone = holder if holder is not None and dead(holder) else None
        mine = renamed.c.kind == kind, renamed.c.old == old, renamed.c.new == new
        with self._db.writing() as connection:
            if kind == "account":
                _free(connection, old, gone)
            hold_names(connection)
            open_ = exists().where(*mine, renamed.c.done_at.is_(None))
            if connection.scalar(select(open_)):
                _move(connection, kind, old, new)
                # The name is in use again that this one took back.
                connection.execute(delete(renamed).where(renamed.c.kind == kind, renamed.c.old == new))
                connection.execute(update(renamed).where(*mine).values(done_at=now()))
            return _mails(connection, kind, new)

    def renames(self) -> Sequence[Rename]:
        """Return all renames, the oldest first."""
        with self._db.reading() as connection:
            return _all(connection)

    def free_name(self, kind: Named, old: str) -> None:
        """Let a name be used again that was given up."""
        with self._db.writing() as connection:
            hold_names(connection)
            gone = renamed.c.kind == kind, renamed.c.old == old, renamed.c.done_at.is_not(None)
            connection.execute(delete(renamed).where(*gone))


def _all(connection: Connection) -> Sequence[Rename]:
    rows = connection.execute(select(renamed).order_by(renamed.c.asked_at, renamed.c.kind, renamed.c.old))
    return [
        Rename(kind=row.kind, old=row.old, new=row.new, who=row.who, asked_at=moment(row.asked_at), done_at=moment(row.done_at))
        for row in rows
    ]


def _refuse(one: Rename, kind: Named, new: str, old: str) -> None:
    """Raise where a rename that is there does not let another one begin."""
    if one.done_at is None:
        raise PermanentError(
            f"{one.kind} {one.old} is still being renamed to {one.new}", advice=f"Finish that first: `{one.command}`."
        )
    if (one.kind, one.old) == (kind, new) and one.new != old:
        raise PermanentError(f"{kind} {new!r} was given up for {one.new}", advice="Choose a name that nothing had before.")


def _held(account: str) -> Select[str | None]:
    return select(lease.c.owner).where(lease.c.account == account, lease.c.until > now())


def _free(connection: Connection, account: str, gone: str | None) -> None:
    """Raise where somebody works on the account."""
    holder = connection.scalar(_held(account).with_for_update())
    if holder is not None and holder != gone:
        raise TransientError(f"account {account} is being worked on", advice="Wait until it is let go of.")


def columns(kind: Named) -> Sequence[Column[Any]]:
    """Return the columns that have such names, one a table."""
    place = PLACES[kind]
    found: list[Column[Any]] = [table.c[place] for table in metadata.sorted_tables if place in table.c]
    if kind != "user":
        return found
    return [known_user.c.name, *(one for one in found if "operator" in one.table.c and str(one.table) not in HOLDERS)]


def _at(column: Column[Any], kind: Named, name: str) -> ColumnElement[bool]:
    """Whether a row is one of this account, operator or user."""
    if kind != "user":
        return column == name
    operator, _, user = name.partition("/")
    return and_(column.table.c.operator == operator, column == user)


def _is_kept(connection: Connection, kind: Named, name: str, *, told: bool) -> bool:
    asked = [one for one in columns(kind) if one.table is not lease and (told or one.table not in _TOLD)]
    return bool(connection.scalar(select(or_(*(exists().where(_at(one, kind, name)) for one in asked)))))


def _move(connection: Connection, kind: Named, old: str, new: str) -> None:
    """Change the name in every table."""
    word = new.rpartition("/")[2]
    for column in columns(kind):
        table = column.table
        if table is lease:
            # A late write of whoever had it finds no lease.
            connection.execute(delete(lease).where(lease.c.account == old))
        elif table is filing and kind == "operator":
            # Others refer to its rows: they are copied before these, and deleted at last.
            copied = [literal(new) if one is column else one for one in table.c]
            connection.execute(insert(table).from_select(table.c.keys(), select(*copied).where(_at(column, kind, old))))
        else:
            if column.primary_key and table in _TOLD:
                connection.execute(delete(table).where(_at(column, kind, new)))
            connection.execute(update(table).where(_at(column, kind, old)).values({column.name: word}))
    if kind == "operator":
        connection.execute(delete(filing).where(filing.c.operator == old))
    _move_texts(connection, kind, old, new)


def _move_texts(connection: Connection, kind: Named, old: str, new: str) -> None:
    """Change the name where it stands within a text."""
    if kind == "account":
        moved = update(delivery).where(delivery.c.lane == f"account {old}")
        connection.execute(moved.values(lane=f"account {new}"))
        return
    if kind == "operator":
        here = delivery.c.operator == new, delivery.c.account == ""
        connection.execute(update(delivery).where(*here).values(lane=literal(f"target {new}/") + delivery.c.target))
        was, is_ = f'["{old}", ', f'["{new}", '
    else:
        (operator, _, was), (_, _, is_) = old.partition("/"), new.partition("/")
        was, is_ = f'["{operator}", "{was}"]', f'["{operator}", "{is_}"]'
    if kind == "operator":
        _move_admitted(connection, old, new)
    theirs = select(filing.c.mail_id).where(_at(_OF_MAIL[kind], kind, new))
    replaced = func.replace(mail.c.filed_for, was, is_)
    connection.execute(update(mail).where(mail.c.id.in_(theirs)).values(filed_for=replaced))


def _mails(connection: Connection, kind: Named, name: str) -> int:
    return connection.execute(select(func.count()).where(_at(_OF_MAIL[kind], kind, name))).scalar_one()


def _move_admitted(connection: Connection, old: str, new: str) -> None:
    """Change the name among those for which a person admitted mail that still waits."""
    found = select(refused.c.entry_id, refused.c.admitted).where(refused.c.admitted.contains(old, autoescape=True))
    for entry_id, admitted in connection.execute(found).all():
        names = "\n".join(new if one == old else one for one in admitted.split("\n"))
        connection.execute(update(refused).where(refused.c.entry_id == entry_id).values(admitted=names))
