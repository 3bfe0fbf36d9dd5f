"""Let the state of a key follow from what operators decided about it, inside the transactions of other verbs.

An operator's decision stands in ``offered_to``, and nowhere else. Of a key whose bytes are not here, the state is written anew by
``resettle`` whenever a decision changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, case, exists, false, select, true, update

from gatewayd_sql.database import Many
from gatewayd_sql.dialect import one_of
from gatewayd_sql.offering_tables import CHOSEN, OFFERED, offer, offered_to
from gatewayd_sql.tables import ledger
from gatewayd_sql.times import clean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from gatewayd import Filing

__all__ = ["OPEN", "filed", "move_offers", "offer_again", "put_back", "resettle"]

_OF = offered_to.c.entry_id == ledger.c.id


def _some(*decisions: str) -> ColumnElement[bool]:
    return exists().where(_OF, offered_to.c.decision.in_(decisions))


#: Whether an operator that an entry of the ledger is offered to has not decided, or has not got what it chose.
OPEN = _some("offered", "undecided", "chosen")

_STATE = case(
    (_some("chosen"), "waiting"),
    (and_(_some("dismissed"), ~_some("offered", "undecided", "filed")), "dismissed"),
    else_="offered",
)


#: Each is run for all rows, with the ids of the entry before and after.
_MOVES = tuple(
    Many(update(table).where(table.c.entry_id == bindparam("old")).values(entry_id=bindparam("new")))
    for table in (offer, offered_to)
)
_PUT_BACK = Many(
    update(offered_to)
    .where(offered_to.c.entry_id == bindparam("entry"), offered_to.c.decision == CHOSEN)
    .values(decision=OFFERED, cause=bindparam("why"))
)


def resettle(connection: Connection, entry_ids: Collection[int]) -> None:
    """Write the states of entries whose decisions changed. What is here, vanished or under way stays as it is."""
    here = (one_of(ledger.c.id, entry_ids), ledger.c.described, ledger.c.state.in_(("offered", "dismissed")))
    connection.execute(update(ledger).where(*here, ledger.c.state != _STATE).values(state=_STATE, due=0.0))


def offer_again(connection: Connection, entry_ids: Collection[int]) -> None:
    """Let entries that waited or vanished be offered again, or wait for those who chose them."""
    given = (one_of(ledger.c.id, entry_ids), ledger.c.described, ledger.c.state == "waiting")
    connection.execute(update(ledger).where(*given).values(state="offered", cause=""))
    resettle(connection, entry_ids)


def put_back(connection: Connection, causes: Mapping[int, str]) -> None:
    """Let what was chosen and could not be had be offered again, each with its cause."""
    chosen = select(offered_to.c.entry_id).distinct().where(one_of(offered_to.c.entry_id, causes), offered_to.c.decision == CHOSEN)
    if ids := connection.scalars(chosen).all():
        # First the rows that others wait for.
        connection.execute(update(ledger).where(one_of(ledger.c.id, ids)).values(state="offered"))
        _PUT_BACK.run(connection, [{"entry": one, "why": clean(causes[one])} for one in ids])


def filed(connection: Connection, filings: Sequence[tuple[int, Filing]]) -> None:
    """Take in that mails, which were offered before, are filed, as (entry, filing)."""
    several: dict[str, list[int]] = {}
    for entry_id, one in filings:
        several.setdefault(one.operator, []).append(entry_id)
    for operator, ids in several.items():
        these = (offered_to.c.operator == operator, one_of(offered_to.c.entry_id, ids))
        connection.execute(update(offered_to).where(*these).values(decision="filed", cause=""))


def move_offers(connection: Connection, account: str, folder: str, taken: Mapping[int, str]) -> None:
    """Let what was decided about entries, by id, be decided about the entries of these keys, which are their messages."""
    if not taken:
        return
    here = select(ledger.c.key, ledger.c.id).where(ledger.c.account == account, ledger.c.folder == folder)
    new = {row.key: row.id for row in connection.execute(here.where(one_of(ledger.c.key, taken.values())))}
    for many in _MOVES:
        many.run(connection, [{"old": old, "new": new[key]} for old, key in taken.items()])
    for ids, described in ((list(new.values()), true()), (list(taken), false())):
        connection.execute(update(ledger).where(one_of(ledger.c.id, ids)).values(described=described))
    resettle(connection, list(new.values()))
