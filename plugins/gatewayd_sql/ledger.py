"""The ledger: every key that was ever listed, in exactly one state (promise P1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVarTuple

from sqlalchemy import Select, Text, and_, bindparam, case, insert, or_, select, update

from gatewayd import Anchor, Entry, EntryView, FolderState, Known, Lease, Listed, State, Waiting
from gatewayd_sql.changes import OWES, PAST_KEY, Change, give_up, learn, recognised, shown_key
from gatewayd_sql.database import Many, pieces
from gatewayd_sql.dialect import now, one_of
from gatewayd_sql.leases import fence
from gatewayd_sql.refused import move
from gatewayd_sql.tables import WAITING, mail
from gatewayd_sql.tables import folder as folders
from gatewayd_sql.tables import ledger as table
from gatewayd_sql.times import clean, moment, seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from gatewayd_sql.database import Database

__all__ = ["Ledger"]

_Columns = TypeVarTuple("_Columns")

_ADD = Many(insert(table))

_GONE = "gone from the server before it was fetched"

_HERE = and_(table.c.account == bindparam("account"), table.c.folder == bindparam("folder"))

_STATE = select(folders).where(folders.c.account == bindparam("account"), folders.c.folder == bindparam("folder"))
_WAITING = (
    select(table.c.id, table.c.key, table.c.size, table.c.arrival, table.c.backlog, table.c.tries, table.c.others, table.c.former)
    .where(_HERE, table.c.state == WAITING, table.c.id > bindparam("after"))
    .order_by(table.c.id)
    .limit(bindparam("most"))
)
_KNOWN = select(
    table.c.key, table.c.state, table.c.size, table.c.arrival, table.c.backlog, table.c.gone_at, OWES.label("owes")
).where(_HERE, one_of(table.c.key, name="keys"))
_ENTERED = select(
    table.c.id, table.c.key, table.c.state, table.c.gone_at, table.c.size, table.c.arrival, table.c.mail_id, table.c.former
).where(_HERE)
_LISTED = _ENTERED.where(one_of(table.c.key, name="keys"))
# A folder's past is longer than the folder: it is left to the database, since no other writer of SQLite gets on meanwhile (P4).
_STANDING = _ENTERED.where(or_(table.c.gone_at.is_(None), one_of(table.c.key, name="keys")))
_DOUBT = bindparam("doubt", type_=Text)
_REMEMBER = (
    update(folders)
    .where(folders.c.account == bindparam("of"), folders.c.folder == bindparam("at"))
    .values(
        cursor=bindparam("cursor"),
        start_at=bindparam("start_at"),
        doubt=case((_DOUBT != "", _DOUBT), else_=folders.c.doubt),
        # The whole is to be compared at once.
        compared_at=case((_DOUBT != "", None), else_=folders.c.compared_at),
    )
)
_DUE = _WAITING.where(table.c.due <= now())


class Ledger:
    """What visits ask the ledger and enter into it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def folder(self, account: str, folder: str) -> FolderState | None:
        """Return how far the folder was listed."""
        with self._db.reading() as connection:
            found = connection.execute(_STATE, {"account": account, "folder": folder}).one_or_none()
        if found is None:
            return None
        return FolderState(
            cursor=found.cursor,
            start_at=moment(found.start_at),
            checked_at=moment(found.checked_at),
            compared_at=moment(found.compared_at),
            doubt=found.doubt,
        )

    def known(self, account: str, folder: str, keys: Collection[str]) -> Mapping[str, Known]:
        """Return what the ledger has under those of ``keys`` that it knows."""
        values = {"account": account, "folder": folder, "keys": list(keys)}
        with self._db.reading() as connection:
            rows = connection.execute(_KNOWN, values).all()
        return {
            key: Known(
                state=state, listed=Listed(key, size, moment(arrival)), backlog=backlog, gone=gone_at is not None, owes=bool(owes)
            )
            for key, state, size, arrival, backlog, gone_at, owes in rows
        }

    def anchors(self, account: str, folder: str, *, standing: Collection[str] | None) -> Sequence[Anchor]:
        """Return what entries can be recognised by that are gone, or will be."""
        columns = select(
            table.c.id, table.c.key, table.c.anchor, table.c.arrival, table.c.size, table.c.gone_at, OWES.label("owes")
        )
        query = _of(account, folder, columns).where(table.c.anchor.is_not(None)).order_by(table.c.id)
        stands = frozenset(standing or ())
        if standing is None:
            query = query.where(table.c.gone_at.is_not(None))
        with self._db.reading() as connection:
            return [
                Anchor(entry_id=entry_id, anchor=mark, arrival=moment(arrival), size=size, gone_at=moment(gone_at), owes=bool(owes))
                for entry_id, key, mark, arrival, size, gone_at, owes in connection.execute(query)
                if gone_at is not None or key not in stands
            ]

    def waiting(
        self, account: str, folder: str, *, after: int, limit: int, keys: Collection[str] | None = None
    ) -> Sequence[Waiting]:
        """Return waiting keys that are due, or those of ``keys``, due or not."""
        queries = [_DUE] if keys is None else [_WAITING.where(table.c.key.in_(piece)) for piece in pieces(keys)]
        values = {"account": account, "folder": folder, "after": after, "most": limit}
        with self._db.reading() as connection:
            rows = [row for each in queries for row in connection.execute(each, values)]
        found = [
            Waiting(
                entry_id=row.id,
                listed=Listed(row.key, row.size, moment(row.arrival)),
                backlog=row.backlog,
                tries=row.tries,
                others=row.others,
                before=row.former,
            )
            for row in rows
        ]
        return sorted(found, key=lambda each: each.entry_id)[:limit]

    def entries(self, account: str, state: State, *, after: int, limit: int) -> Sequence[EntryView]:
        """Return the account's keys in that state."""
        query = select(table).where(table.c.account == account, table.c.state == state, table.c.id > after)
        with self._db.reading() as connection:
            rows = connection.execute(query.order_by(table.c.id).limit(limit)).all()
        return [
            EntryView(
                id=row.id,
                folder=row.folder,
                key=shown_key(row.key, row.id),
                state=row.state,
                cause=row.cause,
                tries=row.tries,
                size=row.size,
                arrival=moment(row.arrival),
                mail_id=row.mail_id,
                gone=row.gone_at is not None,
            )
            for row in rows
        ]

    def enter(
        self,
        lease: Lease,
        folder: str,
        entries: Sequence[Entry],
        *,
        cursor: str,
        start_at: datetime | None,
        standing: Collection[str] | None,
        doubt: str = "",
    ) -> int:
        """Commit new keys together with the cursor; return how many were new."""
        with self._db.writing() as connection:
            page = _Entering(connection, lease.account, folder, fence(connection, lease))
            added = page.enter(entries, None if standing is None else frozenset(standing))
            page.remember(cursor, seconds(start_at), clean(doubt))
        return added


def _of(account: str, folder: str, query: Select[*_Columns]) -> Select[*_Columns]:
    return query.where(table.c.account == account, table.c.folder == folder)


class _Entering:
    """One page that is entered into one folder, inside one transaction."""

    def __init__(self, connection: Connection, account: str, folder: str, time: float) -> None:
        self._connection = connection
        self._account = account
        self._folder = folder
        self._time = time

    def enter(self, entries: Sequence[Entry], standing: frozenset[str] | None) -> int:
        by_key = {entry.listed.key: entry for entry in reversed(entries)}
        change = self._compare(by_key, standing)
        new = [entry for key, entry in reversed(by_key.items()) if key not in change.known] + change.anew
        self._apply(change)
        self._add(new, change.before)
        return len(new)

    def remember(self, cursor: str, start_at: float | None, doubt: str) -> None:
        values = {"cursor": cursor, "start_at": start_at, "doubt": doubt}
        # The lease is held, so nobody else makes the row between the two.
        if not self._connection.execute(_REMEMBER, {"of": self._account, "at": self._folder, **values}).rowcount:
            self._connection.execute(insert(folders), {"account": self._account, "folder": self._folder, **values})

    def _compare(self, entries: Mapping[str, Entry], standing: frozenset[str] | None) -> Change:
        change = Change()
        keys = list(entries if standing is None else standing.union(entries))
        values = {"account": self._account, "folder": self._folder, "keys": keys}
        # Where the whole folder stands on the page, one walk over it is cheaper than a look for each key.
        for row in self._connection.execute(_LISTED if standing is None else _STANDING, values):
            entry = entries.get(row.key)
            if entry is None and standing is not None and row.key not in standing:
                change.is_gone(row)
            else:
                change.stands(row, entry)
        return change

    def _apply(self, change: Change) -> None:
        self._set(change.gone, gone_at=self._time)
        self._set(change.lost, gone_at=self._time, state="vanished", cause=_GONE)
        give_up(self._connection, change.contradicted, self._time)
        # A past entry is gone for good: what is known again or owed is whatever stands under its key now.
        self._set(change.past, key=PAST_KEY, anchor=None, owed=None, again=None)
        self._set(change.stands_again, gone_at=None)
        self._set(change.waits_again, state="waiting", cause="listed again", due=0.0)
        if change.wanted:
            wanted = update(table).where(table.c.id == bindparam("entry"))
            rows = [
                {"entry": entry_id, "state": entry.state, "backlog": entry.backlog, "cause": clean(entry.cause), "due": 0.0}
                for entry_id, entry in change.wanted
            ]
            self._connection.execute(wanted, rows)
        learn(self._connection, change.learned)

    def _set(self, entry_ids: Iterable[int], **values: object) -> None:
        for piece in pieces(entry_ids):
            self._connection.execute(update(table).where(table.c.id.in_(piece)).values(**values))

    def _add(self, entries: Sequence[Entry], before: Mapping[str, int]) -> None:
        here = (table.c.account == self._account, table.c.folder == self._folder)
        named = {one for entry in entries for one in (entry.same_as, entry.like) if one is not None}
        known = recognised(self._connection, here, sorted(named))
        rows = []
        taken: dict[int, str] = {}
        refused: set[int] = set()
        for entry in entries:
            like = known.get(entry.like, {}) if entry.like is not None else {}
            row = self._row(entry) | {"former": before.get(entry.listed.key, like.get("mail_id"))}
            same = known.pop(entry.same_as, None) if entry.same_as is not None else None
            if same is not None and entry.same_as is not None:
                taken[entry.same_as] = entry.listed.key
                refused |= {entry.same_as} if same["state"] == "not admitted" else set()
                size = same.pop("size")
                # What has grown is not what was filed: nothing is done to it.
                row |= same if size == entry.listed.size else same | {"owed": None, "again": None}
            rows.append(row)
        _ADD.run(self._connection, rows)
        self._set(taken, anchor=None, owed=None, again=None)
        self._move_mails([{"entry": entry_id, "key": key} for entry_id, key in taken.items()])
        move(self._connection, self._account, self._folder, {one: key for one, key in taken.items() if one in refused})

    def _row(self, entry: Entry) -> dict[str, object]:
        return {
            "account": self._account,
            "folder": self._folder,
            "key": entry.listed.key,
            "state": entry.state,
            "cause": clean(entry.cause),
            "size": entry.listed.size,
            "arrival": seconds(entry.listed.arrival),
            "backlog": entry.backlog,
            "tries": 0,
            "due": 0.0,
            "listed_at": self._time,
            "anchor": None,
            "mail_id": None,
            "owed": None,
            "again": None,
            "others": entry.others,
        }

    def _move_mails(self, taken: Sequence[dict[str, object]]) -> None:
        """Let mails that were filed under the old keys be shown under the new ones."""
        if taken:
            filed = select(table.c.mail_id).where(table.c.id == bindparam("entry"), table.c.state == "filed").scalar_subquery()
            moved = update(mail).where(mail.c.id == filed).values(key=bindparam("key"))
            self._connection.execute(moved, list(taken))
