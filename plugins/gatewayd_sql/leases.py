"""Take, renew and release leases of accounts. Times are the database's; a lease's epoch fences every write."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import bindparam, or_, select, update

from gatewayd import LEASE_SECONDS, Held, Lease, LeaseLost, LeaseVerbs, TransientError
from gatewayd_sql.catalog import prove_table
from gatewayd_sql.database import Many
from gatewayd_sql.dialect import InsertOrIgnore, now, one_of, table_number
from gatewayd_sql.names_in_use import closed, prove_names
from gatewayd_sql.tables import lease as table
from gatewayd_sql.times import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import Connection, Row

    from gatewayd_sql.database import Database

__all__ = ["Leases", "fence"]

#: How often a lease is tried for that others snatch away: each time somebody else had it first.
_TRIES = 10

_NEW = Many(InsertOrIgnore(table))
_RELEASE = Many(
    update(table).where(
        table.c.account == bindparam("of"), table.c.owner == bindparam("holder"), table.c.epoch == bindparam("taken")
    )
)
#: Renews a lease that stands, and tells until when it does.
_FENCE = (
    update(table)
    .where(table.c.account == bindparam("of"), table.c.owner == bindparam("holder"), table.c.epoch == bindparam("taken"))
    .values(until=now() + LEASE_SECONDS)
    .returning(table.c.until, table_number())
)


def fence(connection: Connection, lease: Lease) -> float:
    """Prove that the lease stands, renew it, and return the database's time; the first statement of a fenced write.

    A lease whose time has passed still stands while nobody took it. Raises LeaseLost, and StoreReplaced where it stands in a table
    that was made anew.
    """
    row = connection.execute(_FENCE, {"of": lease.account, "holder": lease.holder, "taken": lease.epoch}).one_or_none()
    if row is None:
        raise LeaseLost(
            f"the lease of account {lease.account} is lost: another process has it by now",
            advice="Nothing of this visit is written any more; the other process goes on.",
        )
    until, number = row
    prove_table(connection, number)
    return float(until) - LEASE_SECONDS


_Found: TypeAlias = "Row[tuple[str | None, int, float, float, bool]]"


class Leases(LeaseVerbs):
    """See ``LeaseVerbs``."""

    _db: Database

    def take_lease(self, account: str, holder: str, *, dead: Callable[[str], bool]) -> Lease | Held:
        """Take the lease if it is free, ended, or its holder is dead."""
        for _ in range(_TRIES):
            found = self._read(account)
            if found.closed:
                with self._db.reading() as connection:
                    prove_names(connection, [], account)
            free = found.owner is None or found.until <= found.now
            if not (free or dead(found.owner)):
                return Held(account=account, holder=found.owner, until=moment(found.until))
            if self._snatch(account, holder, found):
                return Lease(account=account, holder=holder, epoch=found.epoch + 1)
        raise TransientError(
            f"the lease of account {account} changes hands all the time",
            advice="If it lasts, stop all but one of those who work on it.",
        )

    def _read(self, account: str) -> _Found:
        query = select(table.c.owner, table.c.epoch, table.c.until, now().label("now"), closed(table.c.account).label("closed"))
        query = query.where(table.c.account == account)
        with self._db.reading() as connection:
            found = connection.execute(query).one_or_none()
        if found is not None:
            return found
        with self._db.writing() as connection:
            connection.execute(InsertOrIgnore(table), {"account": account, "owner": None, "epoch": 0, "until": 0.0})
            return connection.execute(query).one()

    def _snatch(self, account: str, holder: str, found: _Found) -> bool:
        # Whoever took it since has raised the epoch; whoever renewed it since is alive, unless it is known to be dead.
        free = or_(table.c.owner.is_(None), table.c.until <= now())
        dead = table.c.owner == found.owner if found.until > found.now else free
        taken = (
            update(table)
            .where(table.c.account == account, table.c.epoch == found.epoch, or_(free, dead), ~closed(table.c.account))
            .values(owner=holder, epoch=table.c.epoch + 1, until=now() + LEASE_SECONDS)
        )
        with self._db.writing() as connection:
            return connection.execute(taken).rowcount == 1

    def renew(self, lease: Lease) -> None:
        """Renew the lease; raises LeaseLost."""
        with self._db.writing() as connection:
            fence(connection, lease)

    def release(self, lease: Lease) -> None:
        """Give the lease back, so that even its late writes are refused."""
        self.release_leases([lease])

    # --- many at once -------------------------------------------------------------------------------------------------
    #
    # Rows are locked in the order of accounts, and those that somebody else has locked are left out: a visit that commits a
    # large batch locks its lease's row for as long, and no other account may wait for that (promise P4).

    def take_leases(self, accounts: Collection[str], holder: str, *, dead: Callable[[str], bool]) -> Sequence[Lease]:
        """Take those leases that are free, ended or of a dead holder; one read where there are none."""
        holders = self._holders(accounts)
        gone = [one for one in {holder for holder in holders.values() if holder is not None} if dead(one)]
        wanted = sorted(account for account in set(accounts) if holders.get(account) is None or holders[account] in gone)
        if not wanted:
            return []
        free = or_(table.c.owner.is_(None), table.c.until <= now(), table.c.owner.in_(gone))
        new = [{"account": account, "owner": None, "epoch": 0, "until": 0.0} for account in wanted if account not in holders]
        open_ = (
            select(table.c.account).where(one_of(table.c.account, wanted), free, ~closed(table.c.account)).order_by(table.c.account)
        )
        take = update(table).where(table.c.account.in_(open_.with_for_update(skip_locked=True)))
        take = take.values(owner=holder, epoch=table.c.epoch + 1, until=now() + LEASE_SECONDS)
        with self._db.writing() as connection:
            _NEW.run(connection, new)
            rows = connection.execute(take.returning(table.c.account, table.c.epoch)).all()
        return [Lease(account=account, holder=holder, epoch=epoch) for account, epoch in sorted(rows)]

    def _holders(self, accounts: Collection[str]) -> dict[str, str | None]:
        """Return who holds each account's lease now; None where nobody does. Accounts without a lease yet are left out."""
        query = select(table.c.account, table.c.owner, (table.c.until > now()).label("stands"))
        rows = self._db.rows(query.where(one_of(table.c.account, accounts)))
        return {account: holder if stands else None for account, holder, stands in rows}

    def renew_leases(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Renew them, and return those that still stand."""
        if not leases:
            return []
        held = {(lease.account, lease.holder, lease.epoch) for lease in leases}
        accounts = {lease.account for lease in leases}
        query = select(table.c.account, table.c.owner, table.c.epoch).where(one_of(table.c.account, accounts))
        with self._db.writing() as connection:
            told = query.add_columns(table_number()).order_by(table.c.account).with_for_update(skip_locked=True)
            locked = connection.execute(told).all()
            for row in locked:
                prove_table(connection, row[-1])
            standing = held.intersection(tuple(row[:-1]) for row in locked)
            mine = one_of(table.c.account, [account for account, _, _ in standing])
            connection.execute(update(table).where(mine).values(until=now() + LEASE_SECONDS))
            if len(locked) < len(accounts):
                # What is left out is being renewed by a fenced write this moment, or taken: the next renewal will see that.
                standing |= held.intersection(map(tuple, connection.execute(query)))
        return [lease for lease in leases if (lease.account, lease.holder, lease.epoch) in standing]

    def release_leases(self, leases: Sequence[Lease]) -> None:
        """Give them back."""
        rows = [
            {"of": lease.account, "holder": lease.holder, "taken": lease.epoch, "owner": None, "until": 0.0}
            for lease in sorted(leases, key=lambda lease: lease.account)
        ]
        if rows:
            with self._db.writing() as connection:
                _RELEASE.run(connection, rows)
