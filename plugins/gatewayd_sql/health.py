"""How daemons, accounts and operators' directories are (promise P10), and how much waits. Times are the database's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from gatewayd import LEASE_SECONDS, AccountHealth, DaemonHealth, DirectoryHealth, HealthVerbs, Lengths
from gatewayd_sql.admission_tables import directory
from gatewayd_sql.database import Many
from gatewayd_sql.dialect import InsertOrReplace, now
from gatewayd_sql.outbox_tables import OPEN, delivery
from gatewayd_sql.rows import row_of, value_of
from gatewayd_sql.search_tables import unindexed
from gatewayd_sql.tables import WAITING, daemon, filing, health, ledger
from gatewayd_sql.times import moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from gatewayd_sql.database import Database

__all__ = ["Daemons"]

#: Seconds after which a daemon that ended without a word is forgotten.
_FORGOTTEN = 86400.0

_TELL = Many(InsertOrReplace(health))
_TELL_DIRECTORIES = Many(InsertOrReplace(directory))

_LIVES = daemon.c.beat_at > now() - LEASE_SECONDS


class Daemons(HealthVerbs):
    """See ``HealthVerbs``."""

    _db: Database

    def beat(self, one: DaemonHealth) -> int:
        """Say that a daemon lives; return how many do."""
        row = _row(one) | {"beat_at": now()}
        with self._db.writing() as connection:
            connection.execute(InsertOrReplace(daemon).values(row))
            connection.execute(delete(daemon).where(daemon.c.beat_at < now() - _FORGOTTEN))
            return connection.execute(select(func.count()).select_from(daemon).where(_LIVES)).scalar_one()

    def retire(self, holder: str) -> None:
        """Say that a daemon ends."""
        with self._db.writing() as connection:
            connection.execute(delete(daemon).where(daemon.c.owner == holder))

    def daemons(self) -> Sequence[DaemonHealth]:
        """Return the daemons that live, longest first."""
        query = select(daemon).where(_LIVES).order_by(daemon.c.started_at, daemon.c.owner)
        rows = self._db.rows(query)
        return [
            value_of(
                DaemonHealth,
                row,
                holder=row.owner,
                started_at=moment(row.started_at),
                open_breakers=tuple(json.loads(row.open_breakers)),
                config_faults=tuple(json.loads(row.config_faults)),
                open_targets=tuple(json.loads(row.open_targets)),
            )
            for row in rows
        ]

    def tell(self, healths: Sequence[AccountHealth]) -> None:
        """Keep how accounts are; of several for one account the last."""
        self._tell(_TELL, {one.account: one for one in healths})

    def _tell(self, told: Many, healths: Mapping[str, AccountHealth | DirectoryHealth]) -> None:
        if healths:
            # In the order of accounts or operators: two daemons then never wait for each other in a ring.
            rows = [_row(one) for _, one in sorted(healths.items())]
            with self._db.writing() as connection:
                told.run(connection, rows)

    def healths(self) -> Sequence[AccountHealth]:
        """Return how every account is, by name."""
        rows = self._db.rows(select(health))
        found = [
            value_of(
                AccountHealth,
                row,
                holder=row.owner,
                checked_at=moment(row.checked_at),
                mail_at=moment(row.mail_at),
                due_at=moment(row.due_at),
                working_since=moment(row.working_since),
                compared_at=moment(row.compared_at),
            )
            for row in rows
        ]
        # Databases differ in how they order text.
        return sorted(found, key=lambda one: one.account)

    def tell_directories(self, healths: Sequence[DirectoryHealth]) -> None:
        """Keep how directories are; of several for one operator the last."""
        self._tell(_TELL_DIRECTORIES, {one.operator: one for one in healths})

    def directories(self) -> Sequence[DirectoryHealth]:
        """Return how every directory is, by operator."""
        rows = self._db.rows(select(directory))
        found = [
            value_of(
                DirectoryHealth,
                row,
                holder=row.owner,
                loaded_at=moment(row.loaded_at),
                looked_at=moment(row.looked_at),
                rows=tuple((name, count) for name, count in json.loads(row.rows)),
                faults=tuple(json.loads(row.faults)),
                warnings=tuple(json.loads(row.warnings)),
            )
            for row in rows
        ]
        # Databases differ in how they order text.
        return sorted(found, key=lambda one: one.operator)

    def lengths(self) -> Lengths:
        """Return how much waits."""
        # Ids grow as keys are listed, so the index alone tells count and oldest of each account.
        waits = select(ledger.c.account, func.count().label("number"), func.min(ledger.c.id).label("oldest"))
        grouped = waits.where(ledger.c.state == WAITING).group_by(ledger.c.account).subquery()
        oldest = select(ledger.c.account, grouped.c.number, ledger.c.listed_at).join(grouped, ledger.c.id == grouped.c.oldest)
        queued = (
            select(filing.c.operator, func.count().label("number")).where(filing.c.queue.is_not(None)).group_by(filing.c.operator)
        )
        rereads = (
            select(ledger.c.account, func.count())
            .where(ledger.c.again.is_not(None), ledger.c.gone_at.is_(None))
            .group_by(ledger.c.account)
        )
        with self._db.reading() as connection:
            undelivered, stuck = _open(connection)
            return Lengths(
                waiting={account: (number, moment(listed_at)) for account, number, listed_at in connection.execute(oldest)},
                queued={row.operator: row.number for row in connection.execute(queued)},
                undelivered=undelivered,
                stuck=stuck,
                rereads={row[0]: row[1] for row in connection.execute(rereads)},
                unindexed=connection.execute(select(func.count()).select_from(unindexed)).scalar_one(),
            )


def _open(connection: Connection) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many deliveries wait and how many need a person, by operator; the index alone tells. What is withheld does not."""
    counts = select(delivery.c.operator, delivery.c.state, func.count()).where(OPEN, delivery.c.state != "withheld")
    undelivered: dict[str, int] = {}
    stuck: dict[str, int] = {}
    for operator, state, number in connection.execute(counts.group_by(delivery.c.operator, delivery.c.state)):
        wait = undelivered if state == "waiting" else stuck
        wait[operator] = wait.get(operator, 0) + number
    return undelivered, stuck


def _row(one: DaemonHealth | AccountHealth | DirectoryHealth) -> dict[str, object]:
    row = row_of(one)
    row["owner"] = row.pop("holder")
    return row
