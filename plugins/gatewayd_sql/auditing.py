"""Custody proven: the ledger against the server, and every mail's raw bytes against their digest."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select

from gatewayd import Audit
from gatewayd_sql.changes import shown_key
from gatewayd_sql.tables import chunk, content, ledger, mail

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection

    from gatewayd_sql.database import Database

__all__ = ["Auditor"]

#: Mails that are proven in one transaction: a long one would keep the write-ahead log from being emptied.
_PAGE = 200


class Auditor:
    """Audit an account."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def audit(self, account: str, listings: Mapping[str, Collection[str]]) -> Sequence[Audit]:
        """Compare folder by folder, those of the ledger that the server did not list included."""
        damaged = self._damaged(account)
        folders = {folder: _Folder(set(keys)) for folder, keys in listings.items()}
        columns = (ledger.c.id, ledger.c.folder, ledger.c.key, ledger.c.state, ledger.c.gone_at, ledger.c.mail_id, mail.c.id)
        query = select(*columns).join_from(ledger, mail, mail.c.id == ledger.c.mail_id, isouter=True)
        query = query.where(ledger.c.account == account).order_by(ledger.c.folder, ledger.c.id)
        with self._db.reading() as connection:
            rows = connection.execution_options(yield_per=1000).execute(query)
            for entry_id, folder, key, state, gone_at, mail_id, there in rows:
                kept = state in {"filed", "duplicate"}
                whole = not kept or (there is not None and mail_id not in damaged)
                folders.setdefault(folder, _Folder(None)).count(entry_id, key, state, gone=gone_at is not None, whole=whole)
        return [found.audit(folder) for folder, found in folders.items()]

    def _damaged(self, account: str) -> set[int]:
        """Return the ids of the account's mails whose raw bytes are missing or have another digest."""
        query = select(mail.c.id, mail.c.content_id, content.c.digest).join(content, content.c.id == mail.c.content_id)
        query = query.where(mail.c.account == account).order_by(mail.c.id).limit(_PAGE)
        damaged: set[int] = set()
        after = 0
        while True:
            with self._db.reading() as connection:
                rows = connection.execute(query.where(mail.c.id > after)).all()
                if not rows:
                    return damaged
                found = _digests(connection, [row.content_id for row in rows])
            damaged |= {row.id for row in rows if found.get(row.content_id) != row.digest}
            after = rows[-1].id


def _digests(connection: Connection, content_ids: Sequence[int]) -> dict[int, bytes]:
    """Return the digests that the stored bytes have now; at most a few chunks are in memory at a time."""
    found: dict[int, hashlib._Hash] = {}
    query = select(chunk.c.content_id, chunk.c.data).where(chunk.c.content_id.in_(content_ids))
    query = query.order_by(chunk.c.content_id, chunk.c.number)
    rows = connection.execution_options(yield_per=4).execute(query)
    for content_id, data in rows:
        found.setdefault(content_id, hashlib.sha256()).update(data)
    return {content_id: digest.digest() for content_id, digest in found.items()}


@dataclass(slots=True)
class _Folder:
    """What is counted of one folder."""

    #: Keys that the server lists and the ledger has not shown yet; None where the server did not list the folder.
    listed: set[str] | None
    states: Counter[str] = field(default_factory=Counter)
    gone: int = 0
    damaged: list[str] = field(default_factory=list)

    def count(self, entry_id: int, key: str, state: str, *, gone: bool, whole: bool) -> None:
        self.states[state] += 1
        if not whole:
            self.damaged.append(shown_key(key, entry_id))
        if self.listed is None:
            self.gone += gone
        elif key in self.listed:
            # It was given up as vanished and is there: nothing of it is kept, so custody of it is not proven.
            if state != "vanished":
                self.listed.discard(key)
        else:
            self.gone += 1

    def audit(self, folder: str) -> Audit:
        return Audit(
            folder=folder,
            states=dict(self.states),
            unknown=tuple(sorted(self.listed or ())),
            gone=self.gone,
            damaged=tuple(self.damaged),
        )
