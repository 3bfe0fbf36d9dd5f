"""What is owed to servers: actions on messages that are filed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, case, select, update

from gatewayd import Action, Lease, Listed, Owed
from gatewayd_sql.database import pieces
from gatewayd_sql.dialect import now
from gatewayd_sql.leases import fence
from gatewayd_sql.tables import content, ledger, mail
from gatewayd_sql.times import moment

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gatewayd_sql.database import Database

__all__ = ["Owing"]

_OWED = (
    select(
        ledger.c.id, ledger.c.folder, ledger.c.key, ledger.c.size, ledger.c.arrival, ledger.c.owed, content.c.size.label("length")
    )
    .join_from(ledger, mail, mail.c.id == ledger.c.mail_id)
    .join(content, content.c.id == mail.c.content_id)
    .where(ledger.c.account == bindparam("account"), ledger.c.owed.is_not(None), ledger.c.gone_at.is_(None))
    .order_by(ledger.c.id)
    .limit(bindparam("most"))
)


class Owing:
    """What visits ask of owed actions, and what became of these."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def owed(self, account: str, *, limit: int) -> Sequence[Owed]:
        """Return actions that are owed for keys that still stand, oldest first."""
        with self._db.reading() as connection:
            rows = connection.execute(_OWED, {"account": account, "most": limit}).all()
        return [
            Owed(
                entry_id=row.id,
                folder=row.folder,
                listed=Listed(row.key, row.size, moment(row.arrival)),
                action=Action.parse(row.owed),
                size=row.length,
            )
            for row in rows
        ]

    def settled(self, lease: Lease, entry_ids: Collection[int], *, undone: bool) -> None:
        """Commit that these actions are done, or left undone."""
        # What we took away ourselves can't come back under another key: mail that looks like it is other mail. Under the same
        # key it is other mail, too; or the server ignores us, and then a duplicate is not fetched once more at every visit.
        stays = ledger.c.owed == str(Action(do="seen"))
        gone = case((and_(~stays, ledger.c.state == "filed"), now()), else_=ledger.c.gone_at)
        values = {"owed": None, "anchor": case((stays, ledger.c.anchor), else_=None), "gone_at": gone}
        done = update(ledger).where(ledger.c.account == lease.account).values({"owed": None} if undone else values)
        with self._db.writing() as connection:
            fence(connection, lease)
            for piece in pieces(entry_ids):
                connection.execute(done.where(ledger.c.id.in_(piece)))
