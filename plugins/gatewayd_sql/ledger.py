"""The ledger: every key that was ever listed, in exactly one state (promise P1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, func, select, update

from gatewayd import Anchor, Copy, Entry, EntryView, FolderState, Known, Lease, LedgerVerbs, Listed, Sizes, State, Waiting
from gatewayd_sql.changes import OWES, shown_key
from gatewayd_sql.database import pieces
from gatewayd_sql.dialect import now, one_of
from gatewayd_sql.leases import fence
from gatewayd_sql.pages import EnteredPage
from gatewayd_sql.resting import at_rest
from gatewayd_sql.rows import value_of
from gatewayd_sql.spanning import entries_of, told_most
from gatewayd_sql.tables import WAITING, content, mail
from gatewayd_sql.tables import folder as folders
from gatewayd_sql.tables import ledger as table
from gatewayd_sql.times import clean, moment, seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from gatewayd_sql.database import Database

__all__ = ["Ledger"]

_HERE = and_(table.c.account == bindparam("account"), table.c.folder == bindparam("folder"))

_STATE = select(folders).where(folders.c.account == bindparam("account"), folders.c.folder == bindparam("folder"))
_WAITING = (
    select(*table.c["id", "key", "size", "arrival", "spanning_id", "backlog", "tries", "others", "former"])
    .where(_HERE, table.c.state == WAITING, table.c.id > bindparam("after"))
    .order_by(table.c.id)
    .limit(bindparam("most"))
)
_KNOWN = select(*table.c["key", "state", "size", "arrival", "spanning_id", "backlog", "gone_at"], OWES.label("owes")).where(
    _HERE, one_of(table.c.key, name="keys")
)
_COPIES = (
    select(*table.c["folder", "key", "size", "arrival", "spanning_id", "mail_id"])
    .add_columns(content.c.size.label("stored"), mail.c.message_id)
    .join_from(table, mail, mail.c.id == table.c.mail_id)
    .join(content, content.c.id == mail.c.content_id)
    .where(table.c.account == bindparam("account"), table.c.spanning_id.is_not(None), one_of(table.c.spanning_id, name="ids"))
)
_DUE = _WAITING.where(table.c.due <= now())

#: How many of the last messages say whether a server's sizes are exact.
_LAST = 100

_STANDS = (
    select(table.c.state, func.count()).where(_HERE, table.c.gone_at.is_(None), table.c.state != "vanished").group_by(table.c.state)
)
_SIZES = (
    select((table.c.size == content.c.size).label("exact"))
    .join_from(table, mail, mail.c.id == table.c.mail_id)
    .join(content, content.c.id == mail.c.content_id)
    .where(_HERE, table.c.state == "filed", table.c.size.is_not(None))
    .order_by(table.c.id.desc())
    .limit(_LAST)
)


class Ledger(LedgerVerbs):
    """See ``LedgerVerbs``."""

    _db: Database

    def folder(self, account: str, folder: str) -> FolderState | None:
        """Return how far the folder was listed."""
        with self._db.reading() as connection:
            found = connection.execute(_STATE, {"account": account, "folder": folder}).one_or_none()
        if found is None:
            return None
        times = {name: moment(getattr(found, name)) for name in ("start_at", "checked_at", "compared_at")}
        return value_of(FolderState, found, **times)

    def known(self, account: str, folder: str, keys: Collection[str]) -> Mapping[str, Known]:
        """Return what the ledger has under those of ``keys`` that it knows."""
        values = {"account": account, "folder": folder, "keys": list(keys)}
        rows = self._db.rows(_KNOWN, values) if keys else ()
        return {row.key: _known(row) for row in rows}

    def elsewhere(self, account: str, folder: str, keys: Collection[str]) -> Mapping[str, Known]:
        """Return what the ledger has under those of ``keys`` that it knows in other folders."""
        with self._db.reading() as connection:
            found = entries_of(connection, account, keys)
        most = {key: told_most(row for row in rows if row.folder != folder) for key, rows in found.items()}
        return {key: _known(row) for key, row in most.items() if row is not None}

    def copies(self, account: str, spanning_ids: Collection[str]) -> Sequence[Copy]:
        """Return the account's entries with one of these ids whose messages are filed."""
        rows = self._db.rows(_COPIES, {"account": account, "ids": [clean(one) for one in spanning_ids]})
        return [value_of(Copy, row, listed=_listed(row), size=row.stored) for row in rows]

    def anchors(self, account: str, folder: str, *, standing: Collection[str] | None) -> Sequence[Anchor]:
        """Return what entries can be recognised by that are gone, or will be."""
        columns = select(
            table.c.id, table.c.key, table.c.anchor, table.c.arrival, table.c.size, table.c.gone_at, OWES.label("owes")
        )
        query = columns.where(table.c.account == account, table.c.folder == folder, table.c.anchor.is_not(None)).order_by(
            table.c.id
        )
        stands = frozenset(standing or ())
        if standing is None:
            query = query.where(table.c.gone_at.is_not(None))
        return [
            Anchor(entry_id=entry_id, anchor=mark, arrival=moment(arrival), size=size, gone_at=moment(gone_at), owes=bool(owes))
            for entry_id, key, mark, arrival, size, gone_at, owes in self._db.rows(query)
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
                listed=_listed(row),
                backlog=row.backlog,
                tries=row.tries,
                others=row.others,
                before=row.former,
            )
            for row in rows
        ]
        return sorted(found, key=lambda each: each.entry_id)[:limit]

    def at_rest(self, account: str) -> bool:
        """Whether a visit has nothing to do but to look at the server."""
        with self._db.reading() as connection:
            return at_rest(connection, account)

    def entries(self, account: str, state: State, *, after: int, limit: int) -> Sequence[EntryView]:
        """Return the account's keys in that state."""
        query = select(table).where(table.c.account == account, table.c.state == state, table.c.id > after)
        rows = self._db.rows(query.order_by(table.c.id).limit(limit))
        return [
            value_of(
                EntryView,
                row,
                key=shown_key(row.key, row.id),
                arrival=moment(row.arrival),
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
        standing: Collection[str] | None = None,
        doubt: str = "",
    ) -> int:
        """Commit new keys together with the cursor; return how many were new."""
        with self._db.writing() as connection:
            page = EnteredPage(connection, lease.account, folder, fence(connection, lease))
            added = page.enter(entries, None if standing is None else frozenset(standing))
            page.remember(cursor, seconds(start_at), clean(doubt))
        return added

    def standing(self, account: str, folder: str) -> Mapping[State, int]:
        """Return how many keys the server still had when it was last listed, by state."""
        return {row[0]: row[1] for row in self._db.rows(_STANDS, {"account": account, "folder": folder})}

    def sizes(self, account: str, folder: str) -> Sizes:
        """Return how many of the last messages had the length that the server lists."""
        said = [bool(exact) for exact in self._db.column(_SIZES, {"account": account, "folder": folder})]
        return Sizes(exact=sum(said), other=len(said) - sum(said))

    def prove(self, lease: Lease, folder: str, *, checked_at: datetime | None, compared_at: datetime | None, doubt: str) -> None:
        """Commit what a listing has proven."""
        times = {"checked_at": seconds(checked_at), "compared_at": seconds(compared_at)}
        wanted = {"compared_at"} if doubt else set()
        known = {column: time for column, time in times.items() if time is not None or column in wanted}
        here = update(folders).where(folders.c.account == lease.account, folders.c.folder == folder)
        with self._db.writing() as connection:
            fence(connection, lease)
            connection.execute(here.values(doubt=clean(doubt), **known))


def _known(row: Row[*tuple[object, ...]]) -> Known:
    """Return what an entry says of its key."""
    return Known(state=row.state, listed=_listed(row), backlog=row.backlog, gone=row.gone_at is not None, owes=bool(row.owes))


def _listed(row: Row[*tuple[object, ...]]) -> Listed:
    """Return an entry as the server listed it."""
    return Listed(row.key, row.size, moment(row.arrival), spanning_id=row.spanning_id)
