"""Keep web sessions by the digests of their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, insert, select, update

from gatewayd import MOST_WEB_SESSIONS, TOUCH_SECONDS, WebSession, WebSessionVerbs
from gatewayd_sql.access_tables import web_session as table
from gatewayd_sql.dialect import clock, now
from gatewayd_sql.times import clean, moment
from gatewayd_sql.user_tables import known_user
from gatewayd_sql.users import hold_user

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from gatewayd_sql.database import Database

__all__ = ["WebSessions"]

#: So many characters of what a browser says of itself are kept.
_AGENT, _ADDRESS = 300, 100
_ALL = (
    select(known_user.c.operator, known_user.c.name.label("user"), *table.c)
    .join(known_user, known_user.c.id == table.c.user_id)
    .where(~known_user.c.left)
)


class WebSessions(WebSessionVerbs):
    """See ``WebSessionVerbs``."""

    _db: Database

    def add_web_session(self, user_id: int, digest: bytes, *, address: str, agent: str, idle: float, longest: float) -> WebSession:
        """Commit a new web session, without those that have ended, and those that are too many."""
        row = {"digest": digest, "user_id": user_id, "address": clean(address)[:_ADDRESS], "agent": clean(agent)[:_AGENT]}
        with self._db.writing() as connection:
            hold_user(connection, user_id)
            connection.execute(delete(table).where(~_lasts(idle, longest)))
            _end_surplus(connection, user_id)
            time = clock(connection)
            connection.execute(insert(table).values(row | {"created_at": time, "last_at": time}))
            made = connection.execute(_ALL.where(table.c.digest == digest)).one()
        return _session(made, idle, longest)

    def web_session(self, digest: bytes, *, idle: float, longest: float) -> WebSession | None:
        """Return the web session of a token, if it lasts."""
        rows = self._db.rows(_ALL.where(table.c.digest == digest, _lasts(idle, longest)))
        return _session(rows[0], idle, longest) if rows else None

    def web_sessions(self, operator: str, user: str | None = None, *, idle: float, longest: float) -> Sequence[WebSession]:
        """Return those of a user or an operator that last."""
        mine = [known_user.c.operator == operator, *([known_user.c.name == user] if user is not None else [])]
        query = _ALL.where(*mine, _lasts(idle, longest)).order_by(table.c.last_at.desc(), table.c.id.desc())
        return [_session(row, idle, longest) for row in self._db.rows(query)]

    def touch_web_session(self, digest: bytes) -> None:
        """Commit that a web session is used, if that is due."""
        due = and_(table.c.digest == digest, table.c.last_at <= now() - TOUCH_SECONDS)
        if self._db.rows(select(table.c.id).where(due)):
            with self._db.writing() as connection:
                connection.execute(update(table).where(due).values(last_at=now()))

    def end_web_session(self, operator: str, number: int, *, user: str | None = None) -> bool:
        """End one."""
        with self._db.writing() as connection:
            return bool(connection.execute(delete(table).where(table.c.id == number, _of(operator, user))).rowcount)

    def end_web_sessions(self, operator: str, user: str, *, but: int | None = None) -> int:
        """End all of a user, or all but one."""
        others = [table.c.id != but] if but is not None else []
        with self._db.writing() as connection:
            return connection.execute(delete(table).where(_of(operator, user), *others)).rowcount


def _lasts(idle: float, longest: float) -> ColumnElement[bool]:
    return and_(table.c.last_at > now() - idle, table.c.created_at > now() - longest)


def _of(operator: str, user: str | None) -> ColumnElement[bool]:
    mine = [known_user.c.operator == operator, *([known_user.c.name == user] if user is not None else [])]
    return table.c.user_id.in_(select(known_user.c.id).where(*mine))


def _end_surplus(connection: Connection, user_id: int) -> None:
    """Make room for one more."""
    newest = select(table.c.id).where(table.c.user_id == user_id).order_by(table.c.last_at.desc(), table.c.id.desc())
    if surplus := connection.scalars(newest.offset(MOST_WEB_SESSIONS - 1)).all():
        connection.execute(delete(table).where(table.c.id.in_(surplus)))


def _session(row: Row[*tuple[Any, ...]], idle: float, longest: float) -> WebSession:
    return WebSession(
        number=row.id,
        user_id=row.user_id,
        operator=row.operator,
        user=row.user,
        created_at=moment(row.created_at),
        last_at=moment(row.last_at),
        expires_at=moment(min(row.created_at + longest, row.last_at + idle)),
        address=row.address,
        agent=row.agent,
    )
