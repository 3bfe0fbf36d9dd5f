"""Enter one page of a listing into the ledger, inside one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Text, and_, bindparam, case, insert, or_, select, update

from gatewayd_sql.changes import PAST_KEY, Change, give_up, learn, recognised
from gatewayd_sql.database import Many
from gatewayd_sql.decisions import move_offers, offer_again, resettle
from gatewayd_sql.dialect import one_of
from gatewayd_sql.refused import move
from gatewayd_sql.spanning import ArrivedKeys
from gatewayd_sql.tables import folder as folders
from gatewayd_sql.tables import ledger as table
from gatewayd_sql.tables import mail
from gatewayd_sql.times import clean, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from gatewayd import Entry


__all__ = ["EnteredPage", "entry_row"]

_ADD = Many(insert(table))

_GONE = "gone from the server before it was fetched"

_HERE = and_(table.c.account == bindparam("account"), table.c.folder == bindparam("folder"))

_ENTERED = select(*table.c["id", "key", "state", "gone_at", "size", "arrival", "mail_id", "former", "spanning_id"]).where(_HERE)
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


@dataclass(frozen=True, slots=True)
class EnteredPage:
    """One page that is entered into one folder, inside one transaction."""

    connection: Connection
    account: str
    folder: str
    time: float

    def enter(self, entries: Sequence[Entry], standing: frozenset[str] | None) -> int:
        """Enter the keys, and mark those gone that no longer stand; return how many were new."""
        by_key = {entry.listed.key: entry for entry in reversed(entries)}
        arrived = ArrivedKeys(self.connection, self.account, self.folder, self.time)
        taken, arrivals = arrived.enter({key: entry for key, entry in by_key.items() if entry.by_key})
        by_key = {key: entry for key, entry in by_key.items() if key not in taken}
        change = self._compare(by_key, standing)
        new = [entry for key, entry in reversed(by_key.items()) if key not in change.known] + change.anew
        self._apply(change)
        self._add(new, change.before)
        return len(new) + arrivals

    def remember(self, cursor: str, start_at: float | None, doubt: str) -> None:
        """Keep how far the folder is listed."""
        values = {"cursor": cursor, "start_at": start_at, "doubt": doubt}
        # The lease is held, so nobody else makes the row between the two.
        if not self.connection.execute(_REMEMBER, {"of": self.account, "at": self.folder, **values}).rowcount:
            self.connection.execute(insert(folders), {"account": self.account, "folder": self.folder, **values})

    def _compare(self, entries: Mapping[str, Entry], standing: frozenset[str] | None) -> Change:
        change = Change()
        keys = list(entries if standing is None else standing.union(entries))
        values = {"account": self.account, "folder": self.folder, "keys": keys}
        # Where the whole folder stands on the page, one walk over it is cheaper than a look for each key.
        for row in self.connection.execute(_LISTED if standing is None else _STANDING, values):
            entry = entries.get(row.key)
            if entry is None and standing is not None and row.key not in standing:
                change.is_gone(row)
            else:
                change.stands(row, entry)
        return change

    def _apply(self, change: Change) -> None:
        self._set(change.gone, gone_at=self.time)
        self._set(change.lost, gone_at=self.time, state="vanished", cause=_GONE)
        give_up(self.connection, change.contradicted, self.time)
        # A past entry is gone for good: what is known again or owed is whatever stands under its key now.
        self._set(change.past, key=PAST_KEY, anchor=None, owed=None, again=None)
        self._set(change.stands_again, gone_at=None)
        self._set(change.waits_again, state="waiting", cause="listed again", due=0.0)
        if change.waits_again:
            offer_again(self.connection, change.waits_again)
        if change.wanted:
            wanted = update(table).where(table.c.id == bindparam("entry"))
            rows = [
                {"entry": entry_id, "state": entry.state, "backlog": entry.backlog, "cause": clean(entry.cause), "due": 0.0}
                for entry_id, entry in change.wanted
            ]
            self.connection.execute(wanted, rows)
            resettle(self.connection, [entry_id for entry_id, _ in change.wanted])
            # Whatever the account takes by now: what people decided about it stays.
            offer_again(self.connection, change.back)
        learn(self.connection, change.learned)

    def _set(self, entry_ids: Iterable[int], **values: object) -> None:
        if ids := list(entry_ids):
            self.connection.execute(update(table).where(one_of(table.c.id, ids)).values(**values))

    def _add(self, entries: Sequence[Entry], before: Mapping[str, int]) -> None:
        here = (table.c.account == self.account, table.c.folder == self.folder)
        named = {one for entry in entries for one in (entry.same_as, entry.like) if one is not None}
        known = recognised(self.connection, here, sorted(named))
        rows = []
        taken: dict[int, str] = {}
        refused: set[int] = set()
        offered: dict[int, str] = {}
        for entry in entries:
            like = known.get(entry.like, {}) if entry.like is not None else {}
            row = entry_row(self.account, self.folder, entry, self.time) | {
                "former": before.get(entry.listed.key, like.get("mail_id"))
            }
            same = known.pop(entry.same_as, None) if entry.same_as is not None else None
            if same is not None and entry.same_as is not None:
                taken[entry.same_as] = entry.listed.key
                refused |= {entry.same_as} if same["state"] == "not admitted" else set()
                size, backlog = same.pop("size"), same.pop("backlog")
                if described := same.pop("described"):
                    # Also of what one operator has: others may not have decided, and it is settled only once they did.
                    offered[entry.same_as] = entry.listed.key
                if described and same["mail_id"] is None:
                    row |= {"state": "offered", "anchor": same["anchor"], "backlog": backlog}
                else:
                    # What has grown is not what was filed: nothing is done to it.
                    row |= same if size == entry.listed.size else same | {"owed": None, "again": None}
            rows.append(row)
        _ADD.run(self.connection, rows)
        self._set(taken, anchor=None, owed=None, again=None)
        if taken:
            # Mails that were filed under the old keys are shown under the new ones.
            filed = select(table.c.mail_id).where(table.c.id == bindparam("entry"), table.c.state == "filed").scalar_subquery()
            moved = update(mail).where(mail.c.id == filed).values(key=bindparam("key"))
            self.connection.execute(moved, [{"entry": entry_id, "key": key} for entry_id, key in taken.items()])
        move(self.connection, self.account, self.folder, {one: key for one, key in taken.items() if one in refused})
        move_offers(self.connection, self.account, self.folder, offered)


def entry_row(account: str, folder: str, entry: Entry, time: float) -> dict[str, object]:
    """Return the row of the ledger for a key that is new in a folder."""
    return {
        "account": account,
        "folder": folder,
        "key": entry.listed.key,
        "state": entry.state,
        "cause": clean(entry.cause),
        "size": entry.listed.size,
        "arrival": seconds(entry.listed.arrival),
        "spanning_id": None if entry.listed.spanning_id is None else clean(entry.listed.spanning_id),
        "backlog": entry.backlog,
        "tries": 0,
        "due": 0.0,
        "listed_at": time,
        "anchor": None,
        "mail_id": None,
        "owed": None,
        "again": None,
        "others": entry.others,
    }
