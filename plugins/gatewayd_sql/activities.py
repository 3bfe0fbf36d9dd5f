"""Keep what people did, and remove what is old or too much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, select

from gatewayd import ACTIVITY_DAYS, MOST_ACTIVITIES, Activity, ActivityVerbs
from gatewayd_sql.access_tables import activity as table
from gatewayd_sql.dialect import clock
from gatewayd_sql.times import clean, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row

    from gatewayd_sql.database import Database

__all__ = ["Activities"]

#: After so many rows it is looked for what is to be removed.
_ROUND = 500
_WHO, _DETAIL, _ADDRESS = 200, 1000, 100


class Activities(ActivityVerbs):
    """See ``ActivityVerbs``."""

    _db: Database

    def note_activities(self, activities: Sequence[Activity]) -> None:
        """Commit what people did."""
        if not activities:
            return
        with self._db.writing() as connection:
            time = clock(connection)
            connection.execute(insert(table), [_row(one, time) for one in activities])
            last = connection.execute(select(func.max(table.c.id))).scalar_one()
            if last % _ROUND < len(activities):
                _trim(connection, {one.operator for one in activities}, time)

    def activities(
        self, operator: str, *, who: str | None = None, mail_id: int | None = None, before: int | None = None, limit: int = 50
    ) -> Sequence[Activity]:
        """Return what people of an operator did, the newest first."""
        asked = [table.c.operator == operator]
        asked += [table.c.who == who] if who is not None else []
        asked += [table.c.mail_id == mail_id] if mail_id is not None else []
        asked += [table.c.id < before] if before is not None else []
        rows = self._db.rows(select(table).where(*asked).order_by(table.c.id.desc()).limit(limit))
        return [_activity(row) for row in rows]


def _trim(connection: Connection, operators: Iterable[str], time: float) -> None:
    connection.execute(delete(table).where(table.c.at < time - ACTIVITY_DAYS * 86400.0))
    for operator in operators:
        mine = table.c.operator == operator
        newest = select(table.c.id).where(mine).order_by(table.c.id.desc()).offset(MOST_ACTIVITIES).limit(1)
        surplus = connection.scalar(newest)
        if surplus is not None:
            connection.execute(delete(table).where(and_(mine, table.c.id <= surplus)))


def _row(one: Activity, time: float) -> dict[str, object]:
    return {
        "at": time,
        "operator": one.operator,
        "who": clean(one.who)[:_WHO],
        "what": one.what,
        "mail_id": one.mail_id,
        "detail": clean(one.detail)[:_DETAIL],
        "address": clean(one.address)[:_ADDRESS],
    }


def _activity(row: Row[*tuple[Any, ...]]) -> Activity:
    return Activity(
        id=row.id,
        at=moment(row.at),
        operator=row.operator,
        who=row.who,
        what=row.what,
        mail_id=row.mail_id,
        detail=row.detail,
        address=row.address,
    )
