"""Write rows about mail that is not admitted, inside the transactions of visits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, select, update

from gatewayd_sql.admission_tables import refused, refused_filing
from gatewayd_sql.database import Many
from gatewayd_sql.dialect import InsertOrIgnore, InsertOrReplace, one_of
from gatewayd_sql.tables import ledger
from gatewayd_sql.times import clean, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from gatewayd import Filed, NotAdmitted, Retry

__all__ = ["KEEP_WAITING", "forget", "keep", "move", "refuse", "refused_row"]

_REFUSE = Many(InsertOrIgnore(refused_filing))
_KEEP = Many(InsertOrReplace(refused))
KEEP_WAITING = Many(InsertOrIgnore(refused))

_OF_KEY = (ledger.c.account == bindparam("of"), ledger.c.folder == bindparam("at"), ledger.c.key == bindparam("called"))
_MOVE = Many(
    update(refused)
    .where(refused.c.entry_id == bindparam("old"))
    .values(entry_id=select(ledger.c.id).where(*_OF_KEY).scalar_subquery())
)
_DOUBT = update(refused).where(refused.c.entry_id == bindparam("entry")).values(since=bindparam("from"))


def keep(connection: Connection, left: Sequence[NotAdmitted], deferred: Sequence[Retry]) -> None:
    """Keep who sent what is not admitted, and what waits because that could not be decided."""
    _KEEP.run(connection, [refused_row(one.entry_id, one.senders, final=True, since=seconds(one.since)) for one in left])
    waits = [one for one in deferred if one.senders is not None]
    rows = [refused_row(one.entry_id, one.senders or (), final=False, since=seconds(one.since)) for one in waits]
    KEEP_WAITING.run(connection, rows)
    if rows:
        # One that was not admitted before stays so if it is gone by then, and is not waited for in vain all the same.
        connection.execute(_DOUBT, [{"entry": row["entry_id"], "from": row["since"]} for row in rows])


def refused_row(entry_id: int, senders: Iterable[str], *, final: bool, since: float | None = None) -> dict[str, object]:
    """Return the row of an entry that is not admitted."""
    # No address has a line break in it, and one that has would be nobody's.
    lines = "\n".join(clean(one).replace("\n", " ") for one in senders)
    return {"entry_id": entry_id, "senders": lines, "final": final, "since": since, "admitted": ""}


def move(connection: Connection, account: str, folder: str, taken: Mapping[int, str]) -> None:
    """Let what is kept of entries, by id, be that of the entries of these keys, which took their states over."""
    _MOVE.run(connection, [{"old": old, "of": account, "at": folder, "called": key} for old, key in taken.items()])


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
        them = one_of(refused_filing.c.mail_id, mail_ids)
        connection.execute(delete(refused_filing).where(refused_filing.c.operator == operator, them))
