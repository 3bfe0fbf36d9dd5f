"""Keep how much of an account's list a viewer has seen, inside the transactions of other verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import case, update

from gatewayd_sql.dialect import InsertOrIgnore
from gatewayd_sql.offering_tables import seen

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from gatewayd import Viewer

__all__ = ["confirm", "marked", "remember"]


def _whose(viewer: Viewer) -> str:
    """Return whose seen-mark it is."""
    return viewer.users[0] if len(viewer.users) == 1 else ""


def marked(viewer: Viewer, account: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions by which a viewer's row is found."""
    owner = _whose(viewer)
    return (seen.c.account == account, seen.c.operator == viewer.operator, seen.c.owner == owner)


def remember(connection: Connection, viewer: Viewer, account: str) -> None:
    """Make the viewer's row where there is none."""
    row = {"account": account, "operator": viewer.operator, "owner": _whose(viewer), "mark": 0, "shown": 0}
    connection.execute(InsertOrIgnore(seen), row)


def confirm(connection: Connection, viewer: Viewer, account: str, newest: int) -> None:
    """Let the mark come to the newest entry that was shown or chosen."""
    remember(connection, viewer, account)
    mark, shown = seen.c.mark, seen.c.shown
    last = case((shown > newest, shown), else_=newest)
    connection.execute(update(seen).where(*marked(viewer, account)).values(mark=case((mark > last, mark), else_=last)))
