"""Keys that are not admitted: who sent them, and how they come to wait again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, case, delete, exists, insert, or_, select, true, update

from gatewayd import PROVISIONAL_SECONDS, Judged, Refused
from gatewayd_sql.admission_tables import REFUSED, judged, refused
from gatewayd_sql.database import Many, pieces
from gatewayd_sql.dialect import InsertOrIgnore, InsertOrReplace, now, one_of
from gatewayd_sql.leases import fence
from gatewayd_sql.tables import WAITING, ledger
from gatewayd_sql.tables import folder as folders
from gatewayd_sql.times import clean, moment, seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from gatewayd import Lease, NotAdmitted, Retry
    from gatewayd_sql.database import Database

__all__ = ["Refusals", "keep", "move"]

_KEEP = Many(InsertOrReplace(refused))
_WAIT = Many(InsertOrIgnore(refused))
_NAME = Many(update(refused).where(refused.c.entry_id == bindparam("entry")).values(senders=bindparam("names")))
_JUDGED = Many(insert(judged))

_YOUNG = refused.c.since > now() - PROVISIONAL_SECONDS
_STANDS = and_(ledger.c.state == REFUSED, ledger.c.gone_at.is_(None))
_PAGE = (
    select(ledger.c.id, ledger.c.key, refused.c.senders, case((_YOUNG, refused.c.since)).label("since"))
    .join_from(ledger, refused, refused.c.entry_id == ledger.c.id, isouter=True)
    .where(
        ledger.c.account == bindparam("account"), ledger.c.folder == bindparam("folder"), _STANDS, ledger.c.id > bindparam("after")
    )
    .order_by(ledger.c.id)
    .limit(bindparam("most"))
)
# Of what is refused in a folder one key is enough, however many there are.
_REFUSES = exists().where(ledger.c.account == folders.c.account, ledger.c.folder == folders.c.folder, _STANDS)
_WITH = select(folders.c.account).distinct().where(one_of(folders.c.account, name="accounts"), _REFUSES)
_UNDECIDED = (
    select(ledger.c.account)
    .join_from(refused, ledger, refused.c.entry_id == ledger.c.id)
    .where(~refused.c.final, ledger.c.state == WAITING, one_of(ledger.c.account, name="accounts"))
    .distinct()
)
_AGAIN = (
    select(refused.c.entry_id, refused.c.admitted)
    .join_from(ledger, refused, refused.c.entry_id == ledger.c.id)
    .where(
        ledger.c.account == bindparam("account"), ledger.c.folder == bindparam("folder"), ledger.c.state == WAITING, refused.c.final
    )
)
_SLEEP = and_(ledger.c.account == bindparam("of"), ledger.c.state == WAITING, ledger.c.due > now())
# Without a time all that could not be decided: what waits for an operator's file has no time.
_BEFORE = bindparam("before", type_=refused.c.since.type)
_FOR_IT = select(refused.c.entry_id).where(or_(refused.c.since < _BEFORE, and_(_BEFORE.is_(None), ~refused.c.final)))
_SLEEPS = select(ledger.c.id).where(_SLEEP, ledger.c.id.in_(_FOR_IT)).limit(1)
_HASTEN = update(ledger).where(_SLEEP, ledger.c.id.in_(_FOR_IT))
_DOUBT = update(refused).where(refused.c.entry_id == bindparam("entry")).values(since=bindparam("from"))


def keep(connection: Connection, left: Sequence[NotAdmitted], deferred: Sequence[Retry]) -> None:
    """Keep who sent what is not admitted, and what waits because that could not be decided."""
    _KEEP.run(connection, [_row(one.entry_id, one.senders, final=True, since=seconds(one.since)) for one in left])
    waits = [one for one in deferred if one.senders is not None]
    rows = [_row(one.entry_id, one.senders or (), final=False, since=seconds(one.since)) for one in waits]
    _WAIT.run(connection, rows)
    if rows:
        # One that was not admitted before stays so if it is gone by then, and is not waited for in vain all the same.
        connection.execute(_DOUBT, [{"entry": row["entry_id"], "from": row["since"]} for row in rows])


def _row(entry_id: int, senders: Iterable[str], *, final: bool, since: float | None = None) -> dict[str, object]:
    # No address has a line break in it, and one that has would be nobody's.
    lines = "\n".join(clean(one).replace("\n", " ") for one in senders)
    return {"entry_id": entry_id, "senders": lines, "final": final, "since": since, "admitted": ""}


def move(connection: Connection, account: str, folder: str, taken: Mapping[int, str]) -> None:
    """Let what is kept of entries, by id, be that of the entries of these keys, which took their states over."""
    for old, key in taken.items():
        new = select(ledger.c.id).where(ledger.c.account == account, ledger.c.folder == folder, ledger.c.key == key)
        connection.execute(update(refused).where(refused.c.entry_id == old).values(entry_id=new.scalar_subquery()))


class Refusals:
    """Read and change what is not admitted."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of(
        self, account: str, folder: str, *, after: int, limit: int, keys: Collection[str] | None, provisional: bool
    ) -> Sequence[Refused]:
        """Return the folder's keys that are not admitted and not gone."""
        query = _PAGE.where(_YOUNG) if provisional else _PAGE
        queries = [query] if keys is None else [query.where(ledger.c.key.in_(piece)) for piece in pieces(sorted(set(keys)))]
        values = {"account": account, "folder": folder, "after": after, "most": limit}
        with self._db.reading() as connection:
            rows = sorted((row for each in queries for row in connection.execute(each, values)), key=lambda row: int(row.id))[
                :limit
            ]
        return [
            Refused(
                entry_id=row.id,
                key=row.key,
                senders=None if row.senders is None else tuple(filter(None, row.senders.split("\n"))),
                since=moment(row.since),
            )
            for row in rows
        ]

    def accounts(self, accounts: Collection[str]) -> frozenset[str]:
        """Return those of the accounts that have some."""
        with self._db.reading() as connection:
            given = {"accounts": sorted(accounts)}
            return frozenset(connection.scalars(_WITH, given)) | frozenset(connection.scalars(_UNDECIDED, given))

    def name(self, lease: Lease, senders: Mapping[int, Sequence[str]]) -> None:
        """Commit who sent the mails of these entries."""
        with self._db.writing() as connection:
            fence(connection, lease)
            rows = [_row(entry_id, several, final=True) for entry_id, several in sorted(senders.items())]
            # A person may have admitted them while the server was asked for them: that stands.
            _WAIT.run(connection, rows)
            _NAME.run(connection, [{"entry": row["entry_id"], "names": row["senders"]} for row in rows])

    def rejudge(self, lease: Lease, *, admitted: Collection[int], refused_: Collection[int]) -> int:
        """Commit what was said anew; return how many wait now."""
        doubted = ledger.c.id.in_(select(refused.c.entry_id).where(_YOUNG))
        backlog = case((doubted, ledger.c.backlog), else_=true())
        waits = update(ledger).values(state="waiting", due=0.0, cause="admitted now", backlog=backlog)
        change = waits.where(ledger.c.account == lease.account, _STANDS)
        count = 0
        with self._db.writing() as connection:
            fence(connection, lease)
            for piece in pieces(admitted):
                count += connection.execute(change.where(ledger.c.id.in_(piece))).rowcount
            for piece in pieces([*admitted, *refused_]):
                connection.execute(update(refused).where(refused.c.entry_id.in_(piece)).values(since=None))
        return count

    def judged(self, account: str) -> Mapping[str, Judged]:
        """Return by what all of it was judged last, by operator."""
        with self._db.reading() as connection:
            rows = connection.execute(select(judged).where(judged.c.account == account)).all()
        return {row.operator: Judged(settings=row.settings, version=row.version) for row in rows}

    def remember(self, lease: Lease, found: Mapping[str, Judged]) -> None:
        """Remember it."""
        rows = [
            {"account": lease.account, "operator": operator, "settings": one.settings, "version": clean(one.version)}
            for operator, one in sorted(found.items())
        ]
        with self._db.writing() as connection:
            fence(connection, lease)
            connection.execute(delete(judged).where(judged.c.account == lease.account))
            _JUDGED.run(connection, rows)

    def admit(self, account: str, entry_ids: Collection[int], operators: Collection[str]) -> int:
        """Commit that a person admits them; return how many wait now."""
        named = "\n".join(sorted(operators))
        mine = select(ledger.c.id).where(ledger.c.account == account, _STANDS).order_by(ledger.c.id).with_for_update()
        waits = update(ledger).values(state="waiting", backlog=True, due=0.0, cause="admitted by a person")
        count = 0
        with self._db.writing() as connection:
            for piece in pieces(sorted(set(entry_ids))):
                ids = list(connection.scalars(mine.where(ledger.c.id.in_(piece))))
                count += len(ids)
                _WAIT.run(connection, [_row(one, (), final=True) for one in ids])
                connection.execute(update(refused).where(refused.c.entry_id.in_(ids)).values(admitted=named))
                connection.execute(waits.where(ledger.c.id.in_(ids)))
        return count

    def readmitted(self, account: str, folder: str) -> Mapping[int, Sequence[str]]:
        """Return what waits again, with the operators for which a person admitted it."""
        with self._db.reading() as connection:
            rows = connection.execute(_AGAIN, {"account": account, "folder": folder}).all()
        return {entry_id: tuple(filter(None, admitted.split("\n"))) for entry_id, admitted in rows}

    def hasten(self, lease: Lease, before: datetime | None) -> int:
        """Let what waits since before a time for a directory be due now, or all that could not be decided; return how many."""
        given = {"of": lease.account, "before": seconds(before)}
        with self._db.reading() as connection:
            if connection.execute(_SLEEPS, given).first() is None:
                return 0
        with self._db.writing() as connection:
            fence(connection, lease)
            return connection.execute(_HASTEN.values(due=0.0), given).rowcount
