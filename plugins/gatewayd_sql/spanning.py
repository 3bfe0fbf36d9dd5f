"""Let a key take over what became of its message in another folder, where a transport's keys span folders.

Such a key names one message of the mailbox, which lies in one folder at a time. Of all folders' entries for it, one has what became
of it, and at most one is not gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import bindparam, insert, select, update

from gatewayd import Action, Listed, difference
from gatewayd_sql.changes import OWES
from gatewayd_sql.database import Many
from gatewayd_sql.decisions import move_offers
from gatewayd_sql.dialect import one_of
from gatewayd_sql.refused import move
from gatewayd_sql.tables import folder as folders
from gatewayd_sql.tables import ledger, mail
from gatewayd_sql.times import clean, moment, seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from gatewayd import Entry

__all__ = ["ArrivedKeys", "entries_of", "told_most"]

_Row: TypeAlias = "Row[*tuple[object, ...]]"

#: Which entry of a key says most of its message, if none has a mail.
_ORDER = ("waiting", "not admitted", "offered", "dismissed", "vanished")

# Folder by folder, so that the index of keys is used.
_ENTRIES = (
    select(ledger, OWES.label("owes"))
    .where(ledger.c.account == bindparam("account"), one_of(ledger.c.key, name="keys"))
    .where(ledger.c.folder.in_(select(folders.c.folder).where(folders.c.account == bindparam("account"))))
)
_THIS = Many(update(ledger).where(ledger.c.id == bindparam("entry")))
_NEW = Many(insert(ledger).inline())
_SHOWN = Many(update(mail).where(mail.c.id == bindparam("of")))


def entries_of(connection: Connection, account: str, keys: Collection[str]) -> Mapping[str, Sequence[_Row]]:
    """Return the entries of all folders for these keys, by key."""
    found: dict[str, list[_Row]] = {}
    for row in connection.execute(_ENTRIES, {"account": account, "keys": list(keys)}):
        found.setdefault(row.key, []).append(row)
    return found


def told_most(rows: Iterable[_Row]) -> _Row | None:
    """Return the entry that says most of a key's message: see ``LedgerVerbs.elsewhere``."""

    def rank(row: _Row) -> tuple[int, float]:
        found = -1 if row.mail_id is not None else _ORDER.index(row.state)
        return found, float("-inf") if row.gone_at is None else -row.gone_at

    return min(rows, key=rank, default=None)


@dataclass(frozen=True, slots=True)
class ArrivedKeys:
    """Keys that are listed in a folder, and whose messages the ledger has by their keys; entered inside one transaction."""

    connection: Connection
    account: str
    folder: str
    time: float
    #: Rows that are written when all keys are decided: of entries that others take over, of the folder's own, and of mails.
    _left: list[dict[str, object]] = field(default_factory=list)
    _new: list[dict[str, object]] = field(default_factory=list)
    _own: list[dict[str, object]] = field(default_factory=list)
    _shown: list[dict[str, object]] = field(default_factory=list)
    #: Entries that are gone and come back as they were.
    _back: list[int] = field(default_factory=list)
    #: The keys of entries whose senders and admissions, or whose offers, the folder's own entries take over.
    _judged: dict[int, str] = field(default_factory=dict)
    _offered: dict[int, str] = field(default_factory=dict)

    def enter(self, entries: Mapping[str, Entry]) -> tuple[set[str], int]:
        """Enter those of the keys that the ledger has; return them, and how many are new in the folder."""
        known = entries_of(self.connection, self.account, entries) if entries else {}
        entered, new = set(), 0
        for key, rows in known.items():
            entry = entries[key]
            same = [row for row in rows if not _differs(row, entry.listed)]
            source = told_most(same)
            other = any(row.folder == self.folder and row not in same for row in rows)
            own = any(row.folder == self.folder for row in rows)
            if source is None or other or (source.mail_id is None and source.state == "vanished" and (own or not source.described)):
                continue
            entered.add(key)
            new += self._take_over(entry, same, source)
        for many, written in ((_THIS, self._left), (_NEW, self._new), (_THIS, self._own), (_SHOWN, self._shown)):
            many.run_mixed(self.connection, written)
        if self._back:
            self.connection.execute(update(ledger).where(one_of(ledger.c.id, self._back)).values(gone_at=None))
        move(self.connection, self.account, self.folder, self._judged)
        move_offers(self.connection, self.account, self.folder, self._offered)
        return entered, new

    def _take_over(self, entry: Entry, rows: Sequence[_Row], source: _Row) -> bool:
        """Let the folder's own entry of a key say what the source says; return whether it is new."""
        own = next((row for row in rows if row.folder == self.folder), None)
        others = [row for row in rows if row.folder != self.folder and _is_there(row)]
        if own is not None and own.id == source.id and not others:
            self._back.append(own.id)
            return False
        here = str(Action(do="move", folder=self.folder))
        values: dict[str, object] = {
            "gone_at": None,
            "anchor": _first(row.anchor for row in (source, *rows)),
            "owed": _first(row.owed for row in rows if row.owed != here),
            "again": _first(row.again for row in rows),
        }
        if own is None or own.mail_id is None:
            values |= self._state(entry, source)
        for row in others:
            self._leave(row)
        if own is None:
            self._new.append(self._listed(entry) | values)
        else:
            self._own.append({"entry": own.id, **values})
        if source.mail_id is not None:
            self._shown.append({"of": source.mail_id, "folder": self.folder})
        elif own is None or own.id != source.id:
            # Who sent it, and for whom a person admitted it.
            self._judged[source.id] = source.key
        if source.described and not (own is not None and own.described):
            # What was decided about it, too.
            self._offered[source.id] = source.key
        return own is None

    def _state(self, entry: Entry, source: _Row) -> dict[str, object]:
        """Return what an entry without a mail of its own takes over."""
        if source.mail_id is not None:
            cause = f"mail {source.mail_id} by its key, which was in {source.folder} before"
            return {"state": "duplicate", "cause": clean(cause), "mail_id": source.mail_id, "backlog": source.backlog}
        # Of what was offered and gone from its folder for a while, the state follows from what people decided about it.
        state = "offered" if source.state == "vanished" else source.state
        values = {"state": state, "cause": source.cause, "backlog": source.backlog}
        if source.state == "vanished":
            values["cause"] = clean(entry.cause)
        elif source.state in {"waiting", "offered"}:
            values = {"state": entry.state, "cause": clean(entry.cause) or source.cause, "backlog": entry.backlog}
        return values | {"tries": source.tries, "due": source.due, "others": source.others, "former": source.former}

    def _listed(self, entry: Entry) -> dict[str, object]:
        where = {"account": self.account, "folder": self.folder, "key": entry.listed.key}
        return where | {
            "size": entry.listed.size,
            "arrival": seconds(entry.listed.arrival),
            "listed_at": self.time,
            "tries": 0,
            "due": 0.0,
        }

    def _leave(self, row: _Row) -> None:
        """Let an entry of another folder be gone from there."""
        values: dict[str, object] = {"gone_at": row.gone_at or self.time, "anchor": None, "owed": None, "again": None}
        if row.state in {"waiting", "offered", "dismissed"}:
            values |= {"state": "vanished", "cause": clean(f"its message is in {self.folder} by now")}
        self._left.append({"entry": row.id, **values})


def _differs(row: _Row, listed: Listed) -> bool:
    """Whether an entry is another message's: they arrived at other times."""
    return bool(difference(Listed(row.key, None, moment(row.arrival)), Listed(row.key, None, listed.arrival)))


def _is_there(row: _Row) -> bool:
    """Whether an entry counts as there, or has something that the folder's own entry takes over."""
    return row.gone_at is None or any(one is not None for one in (row.anchor, row.owed, row.again))


def _first(values: Iterable[object]) -> object:
    return next((one for one in values if one is not None), None)
