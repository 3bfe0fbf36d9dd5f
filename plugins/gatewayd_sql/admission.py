"""Keep mail that is not admitted: by which settings it was judged, who sent it, and what lets it wait again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, case, delete, exists, insert, or_, select, true, update

from gatewayd import PROVISIONAL_SECONDS, AdmissionVerbs, Judged, Refused
from gatewayd_sql.admission_tables import REFUSED, refused_filing
from gatewayd_sql.admission_tables import judged as judged_table
from gatewayd_sql.admission_tables import refused as table
from gatewayd_sql.database import Many, pieces
from gatewayd_sql.dialect import now, one_of
from gatewayd_sql.leases import fence
from gatewayd_sql.refused import KEEP_WAITING, forget, refused_row
from gatewayd_sql.tables import WAITING, ledger, mail
from gatewayd_sql.tables import folder as folders
from gatewayd_sql.times import clean, moment, seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from gatewayd import Lease
    from gatewayd_sql.database import Database

__all__ = ["Refusals"]

_NAME = Many(update(table).where(table.c.entry_id == bindparam("entry")).values(senders=bindparam("names")))
_JUDGED = Many(insert(judged_table))

_YOUNG = table.c.since > now() - PROVISIONAL_SECONDS
_STANDS = and_(ledger.c.state == REFUSED, ledger.c.gone_at.is_(None))
_PAGE = (
    select(ledger.c.id, ledger.c.key, table.c.senders, case((_YOUNG, table.c.since)).label("since"))
    .join_from(ledger, table, table.c.entry_id == ledger.c.id, isouter=True)
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
    .join_from(table, ledger, table.c.entry_id == ledger.c.id)
    .where(~table.c.final, ledger.c.state == WAITING, one_of(ledger.c.account, name="accounts"))
    .distinct()
)
_AGAIN = (
    select(table.c.entry_id, table.c.admitted)
    .join_from(ledger, table, table.c.entry_id == ledger.c.id)
    .where(
        ledger.c.account == bindparam("account"), ledger.c.folder == bindparam("folder"), ledger.c.state == WAITING, table.c.final
    )
)
_SLEEP = and_(ledger.c.account == bindparam("of"), ledger.c.state == WAITING, ledger.c.due > now())
# Without a time all that could not be decided: what waits for an operator's file has no time.
_BEFORE = bindparam("before", type_=table.c.since.type)
_FOR_IT = select(table.c.entry_id).where(or_(table.c.since < _BEFORE, and_(_BEFORE.is_(None), ~table.c.final)))
_SLEEPS = select(ledger.c.id).where(_SLEEP, ledger.c.id.in_(_FOR_IT)).limit(1)
_HASTEN = update(ledger).where(_SLEEP, ledger.c.id.in_(_FOR_IT))

_OF_OPERATOR = (refused_filing.c.account == bindparam("account"), refused_filing.c.operator == bindparam("operator"))
_SENDERS = select(refused_filing.c.sender).distinct().where(*_OF_OPERATOR).order_by(refused_filing.c.sender)
_BEHIND = _SENDERS.where(refused_filing.c.sender > bindparam("after")).limit(bindparam("most"))
# Each of them is looked up: with the condition above, all would be walked through.
_AMONG = _SENDERS.where(one_of(refused_filing.c.sender, name="among")).limit(bindparam("most"))
_MAILS = (
    select(refused_filing.c.mail_id)
    .distinct()
    .where(*_OF_OPERATOR, refused_filing.c.mail_id > bindparam("after"))
    .order_by(refused_filing.c.mail_id)
)
_ALL_MAILS = _MAILS.limit(bindparam("most"))
_THEIR_MAILS = _ALL_MAILS.where(one_of(refused_filing.c.sender, name="senders"))
# Accounts that have mail have folders, and few; of the rows of this table one is enough.
_WITH_FILINGS = (
    select(folders.c.account)
    .distinct()
    .where(one_of(folders.c.account, name="accounts"), exists().where(refused_filing.c.account == folders.c.account))
)


class Refusals(AdmissionVerbs):
    """See ``AdmissionVerbs``."""

    _db: Database

    def refusals(
        self, account: str, folder: str, *, after: int, limit: int, keys: Collection[str] | None = None, provisional: bool = False
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

    def with_refused(self, accounts: Collection[str]) -> frozenset[str]:
        """Return those of the accounts of which something may be admitted later."""
        given = {"accounts": sorted(accounts)}
        with self._db.reading() as connection:
            return frozenset(one for query in (_WITH, _UNDECIDED, _WITH_FILINGS) for one in connection.scalars(query, given))

    def name_senders(self, lease: Lease, senders: Mapping[int, Sequence[str]]) -> None:
        """Commit who sent the mails of these entries."""
        with self._db.writing() as connection:
            fence(connection, lease)
            rows = [refused_row(entry_id, several, final=True) for entry_id, several in sorted(senders.items())]
            # A person may have admitted them while the server was asked for them: that stands.
            KEEP_WAITING.run(connection, rows)
            _NAME.run(connection, [{"entry": row["entry_id"], "names": row["senders"]} for row in rows])

    def rejudge(self, lease: Lease, *, admitted: Collection[int], refused: Collection[int]) -> int:
        """Commit what was said anew; return how many wait now."""
        doubted = ledger.c.id.in_(select(table.c.entry_id).where(_YOUNG))
        backlog = case((doubted, ledger.c.backlog), else_=true())
        waits = update(ledger).values(state="waiting", due=0.0, cause="admitted now", backlog=backlog)
        change = waits.where(ledger.c.account == lease.account, _STANDS)
        count = 0
        with self._db.writing() as connection:
            fence(connection, lease)
            for piece in pieces(admitted):
                count += connection.execute(change.where(ledger.c.id.in_(piece))).rowcount
            for piece in pieces([*admitted, *refused]):
                connection.execute(update(table).where(table.c.entry_id.in_(piece)).values(since=None))
        return count

    def judged(self, account: str) -> Mapping[str, Judged]:
        """Return by what all of it was judged last, by operator."""
        rows = self._db.rows(select(judged_table).where(judged_table.c.account == account))
        return {row.operator: Judged(settings=row.settings, version=row.version) for row in rows}

    def remember_judged(self, lease: Lease, judged: Mapping[str, Judged]) -> None:
        """Remember it."""
        rows = [
            {"account": lease.account, "operator": operator, "settings": one.settings, "version": clean(one.version)}
            for operator, one in sorted(judged.items())
        ]
        with self._db.writing() as connection:
            fence(connection, lease)
            connection.execute(delete(judged_table).where(judged_table.c.account == lease.account))
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
                KEEP_WAITING.run(connection, [refused_row(one, (), final=True) for one in ids])
                connection.execute(update(table).where(table.c.entry_id.in_(ids)).values(admitted=named))
                connection.execute(waits.where(ledger.c.id.in_(ids)))
        return count

    def readmitted(self, account: str, folder: str) -> Mapping[int, Sequence[str]]:
        """Return what waits again, with the operators for which a person admitted it."""
        rows = self._db.rows(_AGAIN, {"account": account, "folder": folder})
        return {entry_id: tuple(filter(None, admitted.split("\n"))) for entry_id, admitted in rows}

    def hasten(self, lease: Lease, *, before: datetime | None) -> int:
        """Let what waits since before a time for a directory be due now, or all that could not be decided; return how many."""
        given = {"of": lease.account, "before": seconds(before)}
        with self._db.reading() as connection:
            if connection.execute(_SLEEPS, given).first() is None:
                return 0
        with self._db.writing() as connection:
            fence(connection, lease)
            return connection.execute(_HASTEN.values(due=0.0), given).rowcount

    def refused_senders(
        self, account: str, operator: str, *, after: str = "", limit: int, among: Collection[str] | None = None
    ) -> Sequence[str]:
        """Return who sent them, each once and in the database's order."""
        given = {"account": account, "operator": operator, "most": limit}
        if among is None:
            return self._db.column(_BEHIND, given | {"after": clean(after)})
        return self._db.column(_AMONG, given | {"among": [clean(one) for one in among if one]})

    def refused_mails(
        self, account: str, operator: str, *, senders: Collection[str] | None, after: int, limit: int
    ) -> Sequence[int]:
        """Return ids of mails of these senders."""
        given = {"account": account, "operator": operator, "after": after, "most": limit}
        if senders is None:
            return self._db.column(_ALL_MAILS, given)
        return self._db.column(_THEIR_MAILS, given | {"senders": [clean(one) for one in senders]})

    def forget_refused(self, lease: Lease, operator: str, mail_ids: Collection[int]) -> None:
        """Commit that the operator never gets these mails."""
        mine = select(mail.c.id).where(mail.c.account == lease.account)
        with self._db.writing() as connection:
            fence(connection, lease)
            for piece in pieces(sorted(mail_ids)):
                forget(connection, [(operator, one) for one in connection.scalars(mine.where(mail.c.id.in_(piece)))])
