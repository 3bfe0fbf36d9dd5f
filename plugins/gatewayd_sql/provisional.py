"""Keep provisional verdicts, and replace them by verdicts on newer records."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, insert, or_, select

from gatewayd import PROVISIONAL_SECONDS, Doubted, Provisional, ProvisionalVerbs, Viewer
from gatewayd_sql.admission_tables import provisional as table
from gatewayd_sql.database import Many
from gatewayd_sql.desk import refiled
from gatewayd_sql.dialect import clock, now, one_of
from gatewayd_sql.filing_digests import hold, remember
from gatewayd_sql.filing_rows import add
from gatewayd_sql.outbox_tables import delivery
from gatewayd_sql.refused import forget
from gatewayd_sql.rows import value_of
from gatewayd_sql.tables import filing, mail
from gatewayd_sql.times import clean, moment, seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Table

    from gatewayd import Filing
    from gatewayd_sql.database import Database

__all__ = ["Provisionals", "doubt"]

_ADD = Many(insert(table))


def doubt(connection: Connection, verdicts: Iterable[tuple[int, Provisional]], time: float) -> None:
    """Keep provisional verdicts, as (mail id, verdict), on mails that are new."""
    rows: list[dict[str, object]] = [
        {
            "operator": one.operator,
            "mail_id": mail_id,
            "since": seconds(one.since),
            "until": None if one.undecided else time + PROVISIONAL_SECONDS,
            "version": clean(one.version),
            "fire": one.fire,
        }
        for mail_id, one in verdicts
    ]
    _ADD.run(connection, rows)


class Provisionals(ProvisionalVerbs):
    """See ``ProvisionalVerbs``."""

    _db: Database

    def provisional(self, operator: str, *, before: datetime, after: int, limit: int) -> Sequence[Doubted]:
        """Return stored mails with a verdict that was provisional since before a time."""
        mine = and_(filing.c.operator == table.c.operator, filing.c.mail_id == table.c.mail_id)
        query = (
            select(table, mail.c.account, mail.c.received_at, filing.c.operator.label("filed"), filing.c.owner.label("user"))
            .join_from(table, mail, mail.c.id == table.c.mail_id)
            .join(filing, mine, isouter=True)
            .where(table.c.operator == operator, table.c.since < seconds(before), table.c.mail_id > after)
            .order_by(table.c.mail_id)
            .limit(limit)
        )
        old = and_(table.c.operator == operator, table.c.until < now())
        with self._db.reading() as connection:
            rows = connection.execute(query).all()
            # Hardly ever is there one, and every look at a directory asks.
            has_old = connection.execute(select(table.c.mail_id).where(old).limit(1)).first() is not None
        if has_old:
            with self._db.writing() as connection:
                connection.execute(delete(table).where(old))
            return self.provisional(operator, before=before, after=after, limit=limit)
        return [
            value_of(
                Doubted,
                row,
                received_at=moment(row.received_at),
                filed=row.filed is not None,
                verdict=value_of(Provisional, row, since=moment(row.since), undecided=row.until is None),
            )
            for row in rows
        ]

    def doubted(self, operator: str, mail_ids: Collection[int]) -> frozenset[int]:
        """Return those of the mails on which the operator's verdict is provisional."""
        stands = or_(table.c.until.is_(None), table.c.until > now())
        query = select(table.c.mail_id).where(table.c.operator == operator, stands)
        return frozenset(self._db.column(query.where(one_of(table.c.mail_id, mail_ids))))

    def confirm(self, operator: str, mail_ids: Collection[int]) -> None:
        """Commit that these are no longer provisional."""
        with self._db.writing() as connection:
            connection.execute(delete(table).where(table.c.operator == operator, one_of(table.c.mail_id, mail_ids)))

    def correct(self, operator: str, filings: Sequence[tuple[int, Filing]]) -> int:
        """Commit verdicts given anew; return how many."""
        new = {mail_id: each for mail_id, each in filings if each.operator == operator}
        with self._db.writing() as connection:
            time = clock(connection)
            open_ = _locked(connection, table, operator, new)
            hold(connection, open_)
            there = set(_locked(connection, filing, operator, open_))
            right = {mail_id: new[mail_id] for mail_id in open_}
            for mail_id, targets in _sent(connection, operator, open_).items():
                unsent = tuple(one for one in new[mail_id].deliveries if one.target not in targets)
                right[mail_id] = replace(new[mail_id], deliveries=unsent)
            refiled(connection, Viewer(operator=operator), {mail_id: right[mail_id] for mail_id in open_ if mail_id in there})
            add(connection, [(mail_id, right[mail_id]) for mail_id in open_ if mail_id not in there], time)
            remember(connection, [mail_id for mail_id in open_ if mail_id not in there])
            forget(connection, [(operator, mail_id) for mail_id in open_])
            connection.execute(delete(table).where(table.c.operator == operator, one_of(table.c.mail_id, open_)))
        return len(open_)


def _locked(connection: Connection, of: Table, operator: str, mail_ids: Collection[int]) -> list[int]:
    """Return those that the operator has rows of in a table; until the end of the transaction nobody else changes these."""
    query = select(of.c.mail_id).where(of.c.operator == operator).order_by(of.c.mail_id).with_for_update()
    return list(connection.scalars(query.where(one_of(of.c.mail_id, mail_ids))))


def _sent(connection: Connection, operator: str, mail_ids: Collection[int]) -> Mapping[int, set[str]]:
    """Return the targets that each mail went to by a rule already."""
    by_rule = (delivery.c.operator == operator, delivery.c.cause.startswith("rule "))
    query = select(delivery.c.mail_id, delivery.c.target).where(*by_rule)
    found: dict[int, set[str]] = defaultdict(set)
    for mail_id, target in connection.execute(query.where(one_of(delivery.c.mail_id, mail_ids))):
        found[mail_id].add(target)
    return found
