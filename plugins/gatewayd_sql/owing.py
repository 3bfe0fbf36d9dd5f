"""Keep the actions owed to servers, and the messages that are fetched once more before anything is owed for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, case, func, literal_column, select, update

from gatewayd import Action, Lease, Listed, Owed, OwedVerbs, Reread
from gatewayd_sql.database import Many, pieces
from gatewayd_sql.decisions import OPEN
from gatewayd_sql.dialect import now
from gatewayd_sql.leases import fence
from gatewayd_sql.rows import value_of
from gatewayd_sql.tables import content, ledger, mail
from gatewayd_sql.times import moment

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gatewayd_sql.database import Database

__all__ = ["Owing"]

_OWED = (
    select(
        *ledger.c["id", "folder", "key", "size", "arrival", "owed", "anchor", "others"],
        content.c.size.label("length"),
        mail.c.message_id,
    )
    .join_from(ledger, mail, mail.c.id == ledger.c.mail_id)
    .join(content, content.c.id == mail.c.content_id)
    .where(ledger.c.account == bindparam("account"), ledger.c.owed.is_not(None), ledger.c.gone_at.is_(None))
    .where(ledger.c.id > bindparam("after"), ~OPEN)
    .order_by(ledger.c.id)
    .limit(bindparam("most"))
)
_REREADS = (
    select(
        *ledger.c["id", "key", "size", "arrival", "tries", "others"],
        (ledger.c.due - now()).label("due_in"),
        content.c.digest,
    )
    .join_from(ledger, mail, mail.c.id == ledger.c.mail_id)
    .join(content, content.c.id == mail.c.content_id)
    .where(ledger.c.account == bindparam("account"), ledger.c.folder == bindparam("folder"))
    .where(ledger.c.again.is_not(None), ledger.c.gone_at.is_(None))
    .order_by(ledger.c.due, ledger.c.id)
    .limit(bindparam("most"))
)
_AGAIN = (
    update(ledger)
    .where(ledger.c.account == bindparam("of"), ledger.c.id == bindparam("entry"), ledger.c.again.is_not(None))
    .values(again=literal_column("NULL"))
)
_PROVEN = Many(_AGAIN.values(owed=func.nullif(ledger.c.again, literal_column("''")), size=bindparam("bytes")))
_LATER = Many(_AGAIN.values(again=ledger.c.again, tries=ledger.c.tries + literal_column("1"), due=bindparam("at")))
_UNDONE = Many(_AGAIN)


class Owing(OwedVerbs):
    """See ``OwedVerbs``."""

    _db: Database

    def owed(self, account: str, *, after: int = 0, limit: int) -> Sequence[Owed]:
        """Return actions that are owed for keys that still stand, oldest first."""
        rows = self._db.rows(_OWED, {"account": account, "after": after, "most": limit})
        return [
            Owed(
                entry_id=row.id,
                folder=row.folder,
                listed=Listed(row.key, row.size, moment(row.arrival)),
                action=Action.parse(row.owed),
                size=row.length,
                anchor=row.anchor or "",
                message_id=row.message_id,
                others=row.others,
            )
            for row in rows
        ]

    def settled(self, lease: Lease, entry_ids: Collection[int], *, undone: bool = False) -> None:
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

    def missing(self, lease: Lease, entry_ids: Collection[int]) -> None:
        """Commit that these keys are gone from their folders; what is owed to them stays."""
        gone = update(ledger).where(ledger.c.account == lease.account, ledger.c.gone_at.is_(None)).values(gone_at=now())
        with self._db.writing() as connection:
            fence(connection, lease)
            for piece in pieces(entry_ids):
                connection.execute(gone.where(ledger.c.id.in_(piece)))

    def rereads(self, account: str, folder: str, *, limit: int) -> Sequence[Reread]:
        """Return what is filed and stands, and whose bytes must come again, soonest due first."""
        rows = self._db.rows(_REREADS, {"account": account, "folder": folder, "most": limit})
        return [
            value_of(
                Reread,
                row,
                entry_id=row.id,
                listed=Listed(row.key, row.size, moment(row.arrival)),
            )
            for row in rows
        ]

    def reread(
        self, lease: Lease, *, proven: Mapping[int, int | None], later: Mapping[int, float], undone: Collection[int]
    ) -> None:
        """Commit what came of entries whose bytes had to come again."""
        with self._db.writing() as connection:
            time = fence(connection, lease)
            _PROVEN.run(connection, [{"of": lease.account, "entry": one, "bytes": size} for one, size in proven.items()])
            _LATER.run(connection, [{"of": lease.account, "entry": one, "at": time + wait} for one, wait in later.items()])
            _UNDONE.run(connection, [{"of": lease.account, "entry": one} for one in undone])
