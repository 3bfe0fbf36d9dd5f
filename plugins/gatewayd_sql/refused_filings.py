"""Mail that is filed for some operators of its account and was refused by others: found again by its senders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, exists, select

from gatewayd_sql.admission_tables import refused_filing as table
from gatewayd_sql.database import Many, pieces
from gatewayd_sql.dialect import InsertOrIgnore, one_of
from gatewayd_sql.leases import fence
from gatewayd_sql.tables import folder, mail
from gatewayd_sql.times import clean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import Connection

    from gatewayd import Filed, Lease
    from gatewayd_sql.database import Database

__all__ = ["RefusedFilings", "forget", "refuse"]

_REFUSE = Many(InsertOrIgnore(table))
_OF = (table.c.account == bindparam("account"), table.c.operator == bindparam("operator"))
_SENDERS = select(table.c.sender).distinct().where(*_OF).order_by(table.c.sender)
_BEHIND = _SENDERS.where(table.c.sender > bindparam("after")).limit(bindparam("most"))
# Each of them is looked up: with the condition above, all would be walked through.
_AMONG = _SENDERS.where(one_of(table.c.sender, name="among")).limit(bindparam("most"))
_MAILS = select(table.c.mail_id).distinct().where(*_OF, table.c.mail_id > bindparam("after")).order_by(table.c.mail_id)
_ALL_MAILS = _MAILS.limit(bindparam("most"))
_THEIR_MAILS = _ALL_MAILS.where(one_of(table.c.sender, name="senders"))
# Accounts that have mail have folders, and few; of the rows of this table one is enough.
_WITH = (
    select(folder.c.account)
    .distinct()
    .where(one_of(folder.c.account, name="accounts"), exists().where(table.c.account == folder.c.account))
)


def refuse(connection: Connection, account: str, filed: Iterable[Filed]) -> None:
    """Keep which operators refused mails that are new, and who sent them."""
    rows: list[dict[str, object]] = [
        {"account": account, "operator": operator, "sender": clean(sender), "mail_id": one.entry_id}
        for one in filed
        for operator in one.refused_by
        for sender in one.senders or ("",)
    ]
    _REFUSE.run(connection, rows)


def forget(connection: Connection, filings: Iterable[tuple[str, int]]) -> None:
    """Forget that operators refused mails, as (operator, mail id): they have a filing now, or never get one."""
    several: dict[str, list[int]] = {}
    for operator, mail_id in filings:
        several.setdefault(operator, []).append(mail_id)
    for operator, mail_ids in several.items():
        for piece in pieces(sorted(mail_ids)):
            connection.execute(delete(table).where(table.c.operator == operator, table.c.mail_id.in_(piece)))


class RefusedFilings:
    """Read and forget them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def accounts(self, accounts: Collection[str]) -> frozenset[str]:
        """Return those of the accounts that have some."""
        with self._db.reading() as connection:
            return frozenset(connection.scalars(_WITH, {"accounts": sorted(accounts)}))

    def senders(self, account: str, operator: str, *, after: str, limit: int, among: Collection[str] | None) -> Sequence[str]:
        """Return who sent them, each once and in the database's order."""
        given = {"account": account, "operator": operator, "most": limit}
        with self._db.reading() as connection:
            if among is None:
                return list(connection.scalars(_BEHIND, given | {"after": clean(after)}))
            return list(connection.scalars(_AMONG, given | {"among": [clean(one) for one in among if one]}))

    def mails(self, account: str, operator: str, *, senders: Collection[str] | None, after: int, limit: int) -> Sequence[int]:
        """Return ids of mails of these senders."""
        given = {"account": account, "operator": operator, "after": after, "most": limit}
        with self._db.reading() as connection:
            if senders is None:
                return list(connection.scalars(_ALL_MAILS, given))
            return list(connection.scalars(_THEIR_MAILS, given | {"senders": [clean(one) for one in senders]}))

    def forget(self, lease: Lease, operator: str, mail_ids: Collection[int]) -> None:
        """Commit that the operator never gets these mails."""
        mine = select(mail.c.id).where(mail.c.account == lease.account)
        with self._db.writing() as connection:
            fence(connection, lease)
            for piece in pieces(sorted(mail_ids)):
                forget(connection, [(operator, one) for one in connection.scalars(mine.where(mail.c.id.in_(piece)))])
