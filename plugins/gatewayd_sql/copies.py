"""Offer a message once that its server shows in several folders, and let a decision about one of them be about all.

They have one ``Listed.spanning_id``, and size and arrival alike; what differs in one of these is another message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, case, exists, func, or_, select

from gatewayd_sql.database import pieces
from gatewayd_sql.offering_tables import offered_to
from gatewayd_sql.tables import ledger

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection, FromClause

__all__ = ["SHOWN_BY_A_COPY", "copies_of"]

#: Seconds below which two arrivals are the same, as for ``gatewayd.difference``.
_SAME = 1.0
_copy, _of_copy = ledger.alias("copy"), offered_to.alias("of_copy")

_COPIES = and_(
    _copy.c.account == ledger.c.account,
    _copy.c.spanning_id == ledger.c.spanning_id,
    _copy.c.id != ledger.c.id,
    _copy.c.size == ledger.c.size,
    func.abs(_copy.c.arrival - ledger.c.arrival) < _SAME,
)


def _rank(of: FromClause) -> ColumnElement[int]:
    """Which of several copies is shown: the one about which most was decided."""
    return case({"filed": 0, "chosen": 1, "dismissed": 2}, value=of.c.decision, else_=3)


#: Whether an offer is a copy of another one that the same people are shown in its place.
SHOWN_BY_A_COPY = and_(
    ledger.c.spanning_id.is_not(None),
    exists()
    .where(
        _COPIES,
        _of_copy.c.entry_id == _copy.c.id,
        _of_copy.c.operator == offered_to.c.operator,
        func.coalesce(_of_copy.c.owner, "") == func.coalesce(offered_to.c.owner, ""),
        _of_copy.c.decision.not_in(("refused", "undecided")),
        or_(and_(_copy.c.gone_at.is_(None), _copy.c.state != "vanished"), _of_copy.c.decision == "filed"),
        or_(
            _rank(_of_copy) < _rank(offered_to),
            and_(_rank(_of_copy) == _rank(offered_to), _copy.c.id < ledger.c.id),
        ),
    )
    .correlate(ledger, offered_to),
)


def copies_of(connection: Connection, account: str, entry_ids: Collection[int]) -> frozenset[int]:
    """Return the other entries of the account whose messages are those of these entries."""
    query = (
        select(_copy.c.id).join_from(ledger, _copy, _COPIES).where(ledger.c.account == account, ledger.c.spanning_id.is_not(None))
    )
    found = {one for piece in pieces(sorted(set(entry_ids))) for one in connection.scalars(query.where(ledger.c.id.in_(piece)))}
    return frozenset(found) - set(entry_ids)
