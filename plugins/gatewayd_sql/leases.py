"""Leases: who works on an account. Their time is the database's, and their epoch fences every write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select, update

from gatewayd import LEASE_SECONDS, Held, Lease, LeaseLost, TransientError
from gatewayd_sql.dialect import InsertOrIgnore, now
from gatewayd_sql.tables import lease as table
from gatewayd_sql.times import moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Row

    from gatewayd_sql.database import Database

__all__ = ["Leases", "fence"]

#: How often a lease is tried for that others snatch away: each time somebody else had it first.
_TRIES = 10


def fence(connection: Connection, lease: Lease) -> float:
    """Prove that the lease stands, renew it, and return the database's time; the first statement of a fenced write.

    A lease whose time has passed still stands while nobody took it. Raises LeaseLost.
    """
    held = and_(table.c.account == lease.account, table.c.owner == lease.owner, table.c.epoch == lease.epoch)
    until = connection.scalar(update(table).where(held).values(until=now() + LEASE_SECONDS).returning(table.c.until))
    if until is None:
        raise LeaseLost(
            f"the lease of account {lease.account} is lost: another process has it by now",
            advice="Nothing of this visit is written any more; the other process goes on.",
        )
    return float(until) - LEASE_SECONDS


class Leases:
    """Take, renew and release leases."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def take(self, account: str, owner: str, *, dead: Callable[[str], bool]) -> Lease | Held:
        """Take the lease if it is free, ended, or its owner is dead."""
        for _ in range(_TRIES):
            found = self._read(account)
            free = found.owner is None or found.until <= found.now
            if not (free or dead(found.owner)):
                return Held(account=account, owner=found.owner, until=moment(found.until))
            if self._snatch(account, owner, found):
                return Lease(account=account, owner=owner, epoch=found.epoch + 1)
        raise TransientError(f"the lease of account {account} changes hands all the time", advice="It is tried again.")

    def _read(self, account: str) -> Row[tuple[str | None, int, float, float]]:
        query = select(table.c.owner, table.c.epoch, table.c.until, now().label("now")).where(table.c.account == account)
        with self._db.reading() as connection:
            found = connection.execute(query).one_or_none()
        if found is not None:
            return found
        with self._db.writing() as connection:
            connection.execute(InsertOrIgnore(table), {"account": account, "owner": None, "epoch": 0, "until": 0.0})
            return connection.execute(query).one()

    def _snatch(self, account: str, owner: str, found: Row[tuple[str | None, int, float, float]]) -> bool:
        # Whoever took it since has raised the epoch; whoever renewed it since is alive, unless it is known to be dead.
        free = or_(table.c.owner.is_(None), table.c.until <= now())
        dead = table.c.owner == found.owner if found.until > found.now else free
        taken = (
            update(table)
            .where(table.c.account == account, table.c.epoch == found.epoch, or_(free, dead))
            .values(owner=owner, epoch=table.c.epoch + 1, until=now() + LEASE_SECONDS)
        )
        with self._db.writing() as connection:
            return connection.execute(taken).rowcount == 1

    def renew(self, lease: Lease) -> None:
        """Renew the lease; raises LeaseLost."""
        with self._db.writing() as connection:
            fence(connection, lease)

    def release(self, lease: Lease) -> None:
        """Give the lease back, so that even its late writes are refused."""
        held = and_(table.c.account == lease.account, table.c.owner == lease.owner, table.c.epoch == lease.epoch)
        with self._db.writing() as connection:
            connection.execute(update(table).where(held).values(owner=None, until=0.0))
