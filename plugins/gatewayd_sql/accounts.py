"""Keep which account imports which mailbox, and count mail of operators and users that are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, exists, func, select, true

from gatewayd import AccountVerbs
from gatewayd_sql.dialect import InsertOrIgnore, each
from gatewayd_sql.leases import fence
from gatewayd_sql.tables import filing, folder, mailbox

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection

    from gatewayd import Lease
    from gatewayd_sql.database import Database

__all__ = ["Accounts"]

_ORDER = (mailbox.c.second, mailbox.c.since, mailbox.c.account)
# Asked by each visit.
_HAVING = select(mailbox.c.account, mailbox.c.second).where(mailbox.c.mailbox == bindparam("name")).order_by(*_ORDER)


class Accounts(AccountVerbs):
    """See ``AccountVerbs``."""

    _db: Database

    def claim(self, lease: Lease, name: str, *, second: bool, enter: bool) -> Sequence[str]:
        """Return who has or had a mailbox, this account among them if it may. One read where it had it before."""
        with self._db.reading() as connection:
            found = _having(connection, name)
            accounts, taken = [account for account, _ in found], any(not later for _, later in found)
            if lease.account in accounts:
                return accounts
            given = second or _older(connection, lease.account)
        if taken and not given:
            return accounts
        if not enter:
            return [*accounts, lease.account]
        with self._db.writing() as connection:
            row = {"mailbox": name, "account": lease.account, "second": second, "since": fence(connection, lease)}
            # Whoever is the first stays it, also where it came to be only now.
            connection.execute(InsertOrIgnore(mailbox), row)
            if given:
                connection.execute(InsertOrIgnore(mailbox), row | {"second": True})
            return [account for account, _ in _having(connection, name)]

    def mailboxes(self) -> Mapping[str, Sequence[tuple[str, bool]]]:
        """Return for each mailbox who has or had it, the first one first, each with whether it is a second one."""
        found: dict[str, list[tuple[str, bool]]] = {}
        query = select(mailbox.c.mailbox, mailbox.c.account, mailbox.c.second).order_by(*_ORDER)
        for name, account, second in self._db.rows(query):
            found.setdefault(name, []).append((account, second))
        return found

    # --- whose mail there is ------------------------------------------------------------------------------------------

    def former(self, known: Collection[tuple[str, str | None]]) -> Mapping[tuple[str, str | None], int]:
        """Return whose filings there are besides those of ``known``, with their number. The indexes alone tell."""
        personal = filing.c.owner.is_not(None)
        with self._db.reading() as connection:
            operators = list(connection.scalars(each(filing.c.operator, true())))
            found: list[tuple[str, str | None]] = [(one, None) for one in operators if (one, None) not in known]
            for one in operators:
                owners = connection.scalars(each(filing.c.owner, and_(filing.c.operator == one, personal)))
                found += [(one, user) for user in owners if (one, user) not in known]
            counted = select(func.count()).select_from(filing)
            numbers = {
                (one, user): connection.execute(
                    counted.where(filing.c.operator == one, filing.c.owner.is_(None) if user is None else filing.c.owner == user)
                ).scalar_one()
                for one, user in found
            }
        return {who: number for who, number in numbers.items() if number}


def _having(connection: Connection, name: str) -> list[tuple[str, bool]]:
    return [(account, second) for account, second in connection.execute(_HAVING, {"name": name})]


def _older(connection: Connection, account: str) -> bool:
    """Whether an account was listed before any mailbox was entered for it: by a version that knew of none."""
    listed = exists().where(folder.c.account == account)
    entered = exists().where(mailbox.c.account == account)
    return bool(connection.scalar(select(listed & ~entered)))
