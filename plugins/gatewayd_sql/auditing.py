"""Audit an account: compare the ledger with the server, and what is stored with what was written when it was filed."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import bindparam, select

from gatewayd import Audit, DatabaseCheck, GatewaydError, Length, Listed, Listing, ProofVerbs, TransientError, difference
from gatewayd_sql.changes import shown_key
from gatewayd_sql.checking import checked
from gatewayd_sql.dialect import one_of
from gatewayd_sql.filing_digests import UNSAID, digests, is_filed_for, of_mails, operators
from gatewayd_sql.tables import chunk, content, filing, ledger, mail
from gatewayd_sql.times import clean, moment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from gatewayd_sql.database import Database

__all__ = ["Auditor"]

#: Entries that are proven in one transaction: a long one would keep the write-ahead log from being emptied.
_PAGE = 200

_Entry: TypeAlias = "Row[int, str, str, str, int | None, float | None, float | None, int | None, str | None, int | None]"

_ENTRIES = (
    select(*ledger.c["id", "folder", "key", "state", "size", "arrival", "gone_at", "mail_id", "again", "former"])
    .where(one_of(ledger.c.id, name="ids"))
    .order_by(ledger.c.id)
)
_IDS = select(ledger.c.id).where(ledger.c.account == bindparam("account")).order_by(ledger.c.id)
_MAILS = (
    select(mail.c.id, mail.c.content_id, mail.c.filed_for, mail.c.message_id, content.c.digest, content.c.size)
    .join(content, content.c.id == mail.c.content_id)
    .where(one_of(mail.c.id, name="ids"))
)
_FILINGS = select(filing.c.mail_id, filing.c.operator, filing.c.owner, filing.c.seal)
_CHUNKS = (
    select(chunk.c.content_id, chunk.c.data)
    .where(one_of(chunk.c.content_id, name="ids"))
    .order_by(chunk.c.content_id, chunk.c.number)
)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is stored of a mail."""

    #: The bytes are there, and have their digest.
    whole: bool
    #: It is filed for everyone that it was filed for, and what was said of it is what was written.
    filed: bool
    length: Length
    digest: bytes
    message_id: str


class Auditor(ProofVerbs):
    """See ``ProofVerbs``."""

    _db: Database

    def audit(self, account: str, listings: Mapping[str, Listing]) -> Sequence[Audit]:
        """Compare folder by folder, those of the ledger that the server did not list included."""
        folders = {folder: _Folder(listing) for folder, listing in listings.items()}
        for entries, stored in self._pages(account):
            for entry in entries:
                folder = folders.setdefault(entry.folder, _Folder(None))
                folder.count(entry, None if entry.mail_id is None else stored.get(entry.mail_id))
        return [found.audit(folder) for folder, found in folders.items()]

    def check(self) -> DatabaseCheck:
        """Let the database check itself; raises TransientError where it is away."""
        try:
            with self._db.reading() as connection:
                return checked(connection)
        except TransientError:
            raise
        except GatewaydError as error:
            return DatabaseCheck(faults=(error.message,))

    def _pages(self, account: str) -> Iterator[tuple[Sequence[_Entry], Mapping[int, _Stored]]]:
        """Yield all entries, and what is stored of their mails; a mail of which nothing is stored is left out."""
        # No index has an account's entries in this order: to look for each page of them takes longer the more there are.
        with self._db.reading() as connection:
            ids = array("q", connection.scalars(_IDS, {"account": account}))
        for start in range(0, len(ids), _PAGE):
            with self._db.reading() as connection:
                entries = connection.execute(_ENTRIES, {"ids": ids[start : start + _PAGE].tolist()}).all()
                stored = _stored(connection, {entry.mail_id for entry in entries if entry.mail_id is not None})
            yield entries, stored


def _stored(connection: Connection, mail_ids: Collection[int]) -> Mapping[int, _Stored]:
    rows = connection.execute(_MAILS, {"ids": list(mail_ids)}).all()
    whom: dict[int, list[tuple[str, str | None]]] = defaultdict(list)
    written = {}
    known = operators(connection)
    for mail_id, operator, owner, digest in connection.execute(_FILINGS.where(of_mails(filing, mail_ids, known))):
        whom[mail_id].append((operator, owner))
        written[operator, mail_id] = digest
    now = digests(connection, mail_ids, known)
    # Also what was said of a filing that is not there any more.
    altered = {key[1] for key in written.keys() | now.keys() if written.get(key) != now.get(key, UNSAID)}
    bytes_of = _read(connection, {row.content_id for row in rows})
    found = {}
    for row in rows:
        digest, length = bytes_of[row.content_id]
        filed = bool(whom[row.id]) and is_filed_for(row.filed_for, whom[row.id]) and row.id not in altered
        found[row.id] = _Stored(whole=digest == row.digest, filed=filed, length=length, digest=digest, message_id=row.message_id)
    return found


def _read(connection: Connection, content_ids: Collection[int]) -> dict[int, tuple[bytes, Length]]:
    """Return digest and length of the bytes that are stored now; at most a few chunks are in memory at a time."""
    # A message of no bytes has no chunk.
    found = {content_id: (hashlib.sha256(), Length()) for content_id in content_ids}
    rows = connection.execution_options(yield_per=4).execute(_CHUNKS, {"ids": list(content_ids)})
    for content_id, data in rows:
        digest, length = found[content_id]
        digest.update(data)
        length.update(data)
    return {content_id: (digest.digest(), length) for content_id, (digest, length) in found.items()}


@dataclass(slots=True)
class _Folder:
    """What is counted of one folder."""

    #: What the server lists; None where it did not list the folder.
    listing: Listing | None
    states: Counter[str] = field(default_factory=Counter)
    gone: int = 0
    changed: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    unlike: dict[str, bytes] = field(default_factory=dict)
    doubtful: list[str] = field(default_factory=list)
    grown: list[str] = field(default_factory=list)
    unfiled: list[str] = field(default_factory=list)
    rereads: list[str] = field(default_factory=list)
    unsized: int = 0
    #: Messages that the server lists and the ledger has not shown yet, by key.
    _left: dict[str, list[Listed]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.listing.keys if self.listing else ():
            self._left.setdefault(one.key, []).append(one)

    def count(self, entry: _Entry, stored: _Stored | None) -> None:
        """Count an entry of the ledger, and what is stored of its mail."""
        self.states[entry.state] += 1
        name = shown_key(entry.key, entry.id)
        several = self._left.get(entry.key, [])
        if several and entry.again is not None:
            self.rereads.append(name)
        if entry.state in {"filed", "duplicate"}:
            self._count_filed(entry, name, stored, listed=bool(several))
        if not several:
            self.gone += 1 if self.listing is not None else entry.gone_at is not None
        elif entry.state != "vanished":
            # What was given up as vanished and is there is not custody: nothing of it is kept.
            self._count_listed(entry, several, stored)

    def _count_filed(self, entry: _Entry, name: str, stored: _Stored | None, *, listed: bool) -> None:
        if stored is None or not stored.whole:
            self.damaged.append(name)
            return
        if not stored.filed:
            self.unfiled.append(name)
        if stored.length.fits(entry.size):
            return
        if (entry.state == "filed" and entry.id != entry.mail_id) or entry.former == entry.mail_id:
            # What another entry brought was held against that one's size.
            self.grown.append(name)
        elif listed:
            self.unlike[name] = stored.digest
        else:
            self.doubtful.append(name)

    def _count_listed(self, entry: _Entry, several: list[Listed], stored: _Stored | None) -> None:
        was = Listed(entry.key, entry.size, moment(entry.arrival))
        name = None if stored is None else stored.message_id
        same = next((one for one in several if not difference(was, one) and _is_named(one, name)), None)
        if same is None:
            self.changed.append(entry.key)
        elif entry.state == "waiting":
            self.waiting.append(entry.key)
        elif same.size is None and stored is not None:
            self.unsized += 1
        # One entry is one message, however many the server lists under its key.
        several.remove(same or several[0])

    def audit(self, folder: str) -> Audit:
        """Return what was counted."""
        listing = self.listing
        return Audit(
            folder=folder,
            states=dict(self.states),
            listed=None if listing is None else len(listing.keys),
            exists=None if listing is None else listing.exists,
            doubts=() if listing is None else listing.doubts,
            unknown=tuple(sorted(key for key, several in self._left.items() for _ in several)),
            changed=tuple(self.changed),
            waiting=tuple(self.waiting),
            gone=self.gone,
            damaged=tuple(self.damaged),
            unlike=tuple(self.unlike),
            digests=self.unlike,
            doubtful=tuple(self.doubtful),
            grown=tuple(self.grown),
            unfiled=tuple(self.unfiled),
            rereads=tuple(self.rereads),
            unsized=self.unsized,
        )


def _is_named(listed: Listed, name: str | None) -> bool:
    """Whether a message has the Message-ID of what is filed, as far as both are known."""
    return name is None or listed.message_id is None or clean(listed.message_id) == name
