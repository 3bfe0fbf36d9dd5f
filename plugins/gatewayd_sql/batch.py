"""Write how each message of a batch ended, and decide whether a mail is a duplicate: its bytes are in the account already."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sqlalchemy import and_, bindparam, insert, select, update

from gatewayd import Commit, Filed, Filing, NotAdmitted, Recognised, Retry, Tally, Vanished
from gatewayd_sql.bounced import bounced
from gatewayd_sql.database import Many, pieces
from gatewayd_sql.decisions import filed as decided
from gatewayd_sql.decisions import put_back
from gatewayd_sql.dialect import InsertOrIgnore, one_of
from gatewayd_sql.filing_digests import filed_for
from gatewayd_sql.filing_rows import add
from gatewayd_sql.provisional import doubt
from gatewayd_sql.raw import mend, put_chunks
from gatewayd_sql.refused import keep, refuse
from gatewayd_sql.tables import WAITING, content, ledger, mail
from gatewayd_sql.times import clean, seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from gatewayd import Mail, Outcome

__all__ = ["FiledBatch", "shown"]

_END = update(ledger).where(ledger.c.id == bindparam("entry"))
_FINAL = Many(_END)
_RESIZE = Many(_END.values(size=bindparam("bytes")))
_REREAD = Many(_END)
_DEFER = _END.values(tries=ledger.c.tries + 1, due=bindparam("due"), cause=bindparam("cause"))
# Of a range of accounts SQLite looks each id up. Of one value it takes an index, and walks through all that waits in the account.
_MINE = ledger.c.account.between(bindparam("account"), bindparam("account"))
_WAITS = select(ledger.c.id, ledger.c.folder, ledger.c.key, ledger.c.arrival, ledger.c.described).where(
    _MINE, ledger.c.state == WAITING, one_of(ledger.c.id, name="ids")
)
_IN = select(content.c.id).where(one_of(content.c.id, name="ids"))
_KEEP = Many(InsertOrIgnore(content))
_MAIL = Many(insert(mail))

#: What an entry has in the end, unless it is said otherwise.
_ENDED = {"cause": "", "mail_id": None, "anchor": None, "owed": None, "gone_at": None}


@dataclass(frozen=True, slots=True)
class _Kept:
    """Bytes that the database has: under which id, and as which mail of the account, if any."""

    content_id: int
    mail_id: int | None


@dataclass(slots=True)
class FiledBatch:
    """One batch that is filed, inside one transaction."""

    connection: Connection
    account: str
    time: float
    #: What rows say of the mails themselves, by entry: see ``shown``.
    columns: Mapping[int, Mapping[str, object]]
    direction: Literal["in", "out"] = "in"
    _states: list[dict[str, object]] = field(default_factory=list)

    def commit(self, outcomes: Sequence[Outcome]) -> Commit:
        """Write what became of those of the keys that still wait."""
        given = {"account": self.account, "ids": [outcome.entry_id for outcome in outcomes]}
        entries = {row.id: row for row in self.connection.execute(_WAITS, given)}
        # Only what waits: an earlier run may have filed it. And each once.
        real = {outcome.entry_id: outcome for outcome in outcomes if outcome.entry_id in entries}
        filed = self._file(came := [each for each in real.values() if isinstance(each, Filed)], entries)
        deferred = [each for each in real.values() if isinstance(each, Retry)]
        left = [each for each in real.values() if isinstance(each, NotAdmitted)]
        vanished = [each for each in real.values() if isinstance(each, Vanished)]
        same = [each for each in real.values() if isinstance(each, Recognised)]
        for one in same:
            owed = None if one.owed is None else str(one.owed)
            self._end(one.entry_id, "duplicate", cause=clean(one.cause), mail_id=one.mail_id, anchor=one.anchor or None, owed=owed)
        for out in left:
            self._end(out.entry_id, "not admitted", cause=clean(out.cause), anchor=out.anchor or None)
        for gone in vanished:
            self._end(gone.entry_id, "not admitted" if gone.refused else "vanished", cause=clean(gone.cause), gone_at=self.time)
        _FINAL.run(self.connection, self._states)
        # What is of another size than the server lists is due once more.
        odd = [(each, each.reread_after) for each in came if each.reread_after is not None]
        again = [
            {"entry": each.entry_id, "again": str(each.owed or ""), "due": self.time + after, "tries": 0} for each, after in odd
        ]
        _REREAD.run(self.connection, again)
        _RESIZE.run(self.connection, [{"entry": e.entry_id, "bytes": e.listed_size} for e in came if e.listed_size is not None])
        keep(self.connection, left, deferred)
        if deferred:
            rows = [{"entry": one.entry_id, "due": self.time + one.retry_after, "cause": clean(one.cause)} for one in deferred]
            self.connection.execute(_DEFER, rows)
        self._decide({entry_id for entry_id, row in entries.items() if row.described}, filed, came, deferred)
        ends = {"not_admitted": len(left), "vanished": len(vanished), "deferred": len(deferred)}
        tally = Tally(filed=len(filed), duplicate=len(came) + len(same) - len(filed), **ends)
        brought = [each for each in came if each.entry_id in filed]
        doubt(self.connection, [(one.entry_id, verdict) for one in brought for verdict in one.provisional], self.time)
        refuse(self.connection, self.account, brought)
        return Commit(tally=tally, filed=filed, suspended=bounced(self.connection, brought, self.time))

    def _decide(self, offered: Collection[int], new: Collection[int], came: Sequence[Filed], deferred: Sequence[Retry]) -> None:
        """Take in what became of entries that people chose. Of what is a duplicate, nothing is filed yet for who chose it."""
        if offered:
            mine = [each for each in came if each.entry_id in new and each.entry_id in offered]
            decided(self.connection, [(each.entry_id, one) for each in mine for one in each.filings])
            put_back(self.connection, {each.entry_id: each.cause for each in deferred if each.entry_id in offered})

    def _file(self, batch: Sequence[Filed], entries: dict[int, Row[int, str, str, float | None, bool]]) -> frozenset[int]:
        kept = self._keep([each for each in batch if each.grown_from is None])
        rows: list[dict[str, object]] = []
        filings: list[tuple[int, Filing]] = []
        new: set[int] = set()
        for each in batch:
            owed = None if each.owed is None or each.reread_after is not None else str(each.owed)
            filed = {"anchor": each.mail.anchor or None, "owed": owed}
            if each.grown_from is not None:
                cause = f"mail {each.grown_from}, but for fields that its server has written"
                self._end(each.entry_id, "duplicate", cause=cause, mail_id=each.grown_from, **filed)
                continue
            had = kept[each.digest]
            mail_id = each.entry_id if had.mail_id is None else had.mail_id
            if had.mail_id is None:
                kept[each.digest] = _Kept(had.content_id, mail_id)
                new.add(mail_id)
                whom = filed_for((one.operator, one.user) for one in each.filings)
                rows.append({**self._mail(each.mail, entries[mail_id], had.content_id), "filed_for": whom})
                filings.extend((mail_id, one) for one in each.filings)
                self._end(mail_id, "filed", mail_id=mail_id, **filed)
            else:
                self._end(each.entry_id, "duplicate", cause=f"the same bytes as mail {mail_id}", mail_id=mail_id, **filed)
        _MAIL.run(self.connection, rows)
        add(self.connection, filings, self.time, unread=self.direction == "in")
        return frozenset(new)

    def _keep(self, batch: Sequence[Filed]) -> dict[bytes, _Kept]:
        """Store the raw bytes that are new, and return for every digest where its bytes are."""
        first = {each.digest: each for each in reversed(batch)}
        if not first:
            return {}
        # In the order of digests: two batches then never wait for each other in a ring.
        rows: list[dict[str, object]] = [
            {"id": each.entry_id, "digest": digest, "size": each.mail.source.size} for digest, each in sorted(first.items())
        ]
        _KEEP.run(self.connection, rows)
        # An entry that waits has never brought bytes: where there are some by its id, they came in just now.
        mine = frozenset(self.connection.scalars(_IN, {"ids": [each.entry_id for each in first.values()]}).all())
        new = {digest: each for digest, each in first.items() if each.entry_id in mine}
        put_chunks(self.connection, sorted((each.entry_id, each.mail.source) for each in new.values()))
        had = self._had(first.keys() - new.keys())
        mend(self.connection, [(kept.content_id, first[digest].mail.source) for digest, kept in had.items()])
        return {digest: _Kept(each.entry_id, None) for digest, each in new.items()} | had

    def _had(self, digests: Collection[bytes]) -> dict[bytes, _Kept]:
        """Return where bytes are that were there before."""
        if not digests:
            return {}
        mine = and_(mail.c.content_id == content.c.id, mail.c.account == self.account)
        query = select(content.c.digest, content.c.id, mail.c.id).select_from(content.outerjoin(mail, mine))
        return {
            digest: _Kept(content_id, mail_id)
            for piece in pieces(digests)
            for digest, content_id, mail_id in self.connection.execute(query.where(content.c.digest.in_(piece)))
        }

    def _end(self, entry: int, state: str, **values: object) -> None:
        self._states.append({"entry": entry, "state": state, **_ENDED, **values})

    def _mail(self, view: Mail, entry: Row[int, str, str, float | None, bool], content_id: int) -> dict[str, object]:
        received = seconds(view.received_at)
        if received is None:
            received = self.time if entry.arrival is None else entry.arrival
        return {
            "id": entry.id,
            "account": self.account,
            "folder": entry.folder,
            "key": entry.key,
            "content_id": content_id,
            "received_at": received,
            "direction": self.direction,
            **self.columns[entry.id],
        }


def shown(outcomes: Sequence[Outcome]) -> dict[int, dict[str, object]]:
    """Return what rows say of the mails themselves, by entry. It needs no database, so no other writer waits for it."""
    return {each.entry_id: _columns(each.mail) for each in outcomes if isinstance(each, Filed)}


def _columns(view: Mail) -> dict[str, object]:
    sender, name = (view.from_[0].email, view.from_[0].name) if view.from_ else ("", "")
    to = [address.email for address in view.to]
    searched = "\n".join((view.subject, sender, name, *to, *(address.email for address in view.cc)))
    return {
        "message_id": clean(view.message_id),
        "sender": clean(sender),
        "sender_name": clean(name),
        # JSON in ASCII takes every character.
        "recipients": json.dumps(to),
        "attachments": _attachments(view),
        "subject": clean(view.subject),
        "search": clean(searched).casefold(),
        "sent_at": seconds(view.sent_at),
    }


def _attachments(view: Mail) -> str:
    if not view.attachments:
        return "[]"
    return json.dumps(
        [
            (
                *(each.name, each.type, each.size, each.part.offset, each.part.length, each.part.encoding, each.part.charset),
                *((each.part.within,) if each.part.within else ()),
            )
            for each in view.attachments
        ]
    )
