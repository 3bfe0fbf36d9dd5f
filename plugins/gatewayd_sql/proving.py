"""What listings prove of a folder, and what they are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, func, select, update

from gatewayd import Sizes
from gatewayd_sql.leases import fence
from gatewayd_sql.tables import content, folder, ledger, mail
from gatewayd_sql.times import clean, seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gatewayd import Lease, State
    from gatewayd_sql.database import Database

__all__ = ["Proving"]

#: How many of the last messages say whether a server's sizes are exact.
_LAST = 100

_HERE = and_(ledger.c.account == bindparam("account"), ledger.c.folder == bindparam("folder"))
_STANDING = (
    select(ledger.c.state, func.count())
    .where(_HERE, ledger.c.gone_at.is_(None), ledger.c.state != "vanished")
    .group_by(ledger.c.state)
)
_SIZES = (
    select((ledger.c.size == content.c.size).label("exact"))
    .join_from(ledger, mail, mail.c.id == ledger.c.mail_id)
    .join(content, content.c.id == mail.c.content_id)
    .where(_HERE, ledger.c.state == "filed", ledger.c.size.is_not(None))
    .order_by(ledger.c.id.desc())
    .limit(_LAST)
)


class Proving:
    """What visits ask and say of a folder as a whole."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def standing(self, account: str, folder: str) -> Mapping[State, int]:
        """Return how many keys the server still had when it was last listed, by state."""
        with self._db.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(_STANDING, {"account": account, "folder": folder})}

    def sizes(self, account: str, folder: str) -> Sizes:
        """Return how many of the last messages had the length that the server lists."""
        with self._db.reading() as connection:
            said = [bool(exact) for exact in connection.scalars(_SIZES, {"account": account, "folder": folder})]
        return Sizes(exact=sum(said), other=len(said) - sum(said))

    def prove(self, lease: Lease, name: str, *, checked_at: datetime | None, compared_at: datetime | None, doubt: str) -> None:
        """Commit what a listing has proven."""
        times = {"checked_at": seconds(checked_at), "compared_at": seconds(compared_at)}
        wanted = {"compared_at"} if doubt else set()
        known = {column: time for column, time in times.items() if time is not None or column in wanted}
        here = update(folder).where(folder.c.account == lease.account, folder.c.folder == name)
        with self._db.writing() as connection:
            fence(connection, lease)
            connection.execute(here.values(doubt=clean(doubt), **known))
