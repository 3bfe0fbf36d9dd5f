"""Enter, list, repeat and cancel deliveries for people, and keep which targets are suspended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, or_, select, update

from gatewayd import DeliveryVerbs, Origin, PermanentError, Record, Suspension
from gatewayd_sql.database import pieces
from gatewayd_sql.deliveries import OF_FILING, shown
from gatewayd_sql.dialect import clock, now, one_of
from gatewayd_sql.entering import enter, suspended
from gatewayd_sql.inherited import Heir, links_to_inherit
from gatewayd_sql.outbox_tables import OPEN, delivery, recipient, server_id, suspension
from gatewayd_sql.rows import value_of
from gatewayd_sql.tables import WAITING, filing
from gatewayd_sql.times import clean, moment
from gatewayd_sql.views import locked
from gatewayd_sql.visibility import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from gatewayd import Delivery, DeliveryQuery, DeliveryView, Viewer
    from gatewayd_sql.database import Database

__all__ = ["Sending"]

#: What nobody tries just now.
_IDLE = or_(delivery.c.taker.is_(None), delivery.c.due <= now())
_AGAIN = ("waiting", "parked", "withheld", "bounced", "cancelled")
_CANCELS = ("waiting", "parked", "withheld")
#: Not in the index of what is open.
_ENDED = frozenset({"delivered", "cancelled"})
_UNTAKEN = {"taker": None, "was_due": None}
_SENT = (
    select(delivery.c.message_id, delivery.c.operator, filing.c.owner.label("user"))
    .join_from(delivery, filing, OF_FILING)
    .where(one_of(delivery.c.message_id, name="message_ids"))
    .order_by(delivery.c.id)
)
_TAKEN_OVER = (
    select(delivery.c.message_id, delivery.c.operator, filing.c.owner.label("user"), server_id.c.id.label("server_id"))
    .join_from(server_id, delivery, delivery.c.id == server_id.c.delivery_id)
    .join(filing, OF_FILING)
    .where(one_of(server_id.c.id, name="server_ids"))
    .order_by(delivery.c.id)
)


class Sending(DeliveryVerbs):
    """See ``DeliveryVerbs``."""

    _db: Database

    def deliver(self, viewer: Viewer, mail_id: int, deliveries: Sequence[Delivery]) -> Sequence[int]:
        """Enter deliveries of a filing; return their ids."""
        with self._db.writing() as connection:
            if not locked(connection, viewer, [mail_id]):
                raise PermanentError(f"operator {viewer.operator} has no mail {mail_id}")
            return enter(connection, [(viewer.operator, mail_id, each) for each in deliveries], clock(connection))

    def deliveries(self, viewer: Viewer, query: DeliveryQuery) -> Sequence[DeliveryView]:
        """Return deliveries of the viewer's filings that fit, newest first."""
        conditions = [visible(viewer), delivery.c.operator == viewer.operator, *_fits(viewer, query)]
        with self._db.reading() as connection:
            return shown(connection, conditions, query.limit)

    def redeliver(self, viewer: Viewer, delivery_ids: Collection[int]) -> int:
        """Let deliveries be due at once, with their age counted anew; return how many are."""
        with self._db.writing() as connection:
            found = _found(connection, viewer, delivery_ids, _AGAIN)
            held = suspended(connection, [viewer.operator])
            due = [row.id for row in found if (viewer.operator, row.target) not in held]
            ids = [row.id for row in found]
            lost = one_of(recipient.c.delivery_id, ids), recipient.c.state.in_(("refused", "bounced"))
            connection.execute(update(recipient).where(*lost).values(state="waiting"))
            anew = {"state": "waiting", "words": "", "entered_at": now(), "ended_at": None, "warned_at": None, "due": None}
            connection.execute(update(delivery).where(one_of(delivery.c.id, ids)).values(anew | _UNTAKEN))
            connection.execute(update(delivery).where(one_of(delivery.c.id, due)).values(due=delivery.c.entered_at))
        return len(due)

    def cancel(self, viewer: Viewer, delivery_ids: Collection[int], *, who: str) -> int:
        """Cancel deliveries; return how many were."""
        with self._db.writing() as connection:
            ids = [row.id for row in _found(connection, viewer, delivery_ids, _CANCELS)]
            end = {"state": "cancelled", "words": clean(f"cancelled by {who}"), "ended_at": now(), "due": None}
            connection.execute(update(delivery).where(one_of(delivery.c.id, ids)).values(end | _UNTAKEN))
        return len(ids)

    def suspensions(self) -> Sequence[Suspension]:
        """Return the targets that get nothing, by operator and name."""
        rows = self._db.rows(select(suspension))
        found = [value_of(Suspension, row, since=moment(row.since)) for row in rows]
        # Databases differ in how they order text.
        return sorted(found, key=lambda one: (one.operator, one.target))

    def resume(self, operator: str, target: str) -> bool:
        """Let a target get deliveries again; return whether it was suspended."""
        with self._db.writing() as connection:
            # First, so that what is just being entered for it is in the table.
            gone = delete(suspension).where(suspension.c.operator == operator, suspension.c.target == target)
            if not connection.execute(gone).rowcount:
                return False
            held = (OPEN, delivery.c.operator == operator, delivery.c.target == target, delivery.c.state == WAITING)
            connection.execute(update(delivery).where(*held, delivery.c.due.is_(None)).values(due=now()))
        return True

    def inheritable(self, wanted: Collection[Heir]) -> dict[Heir, list[Record]]:
        """Return the records that filings would inherit, by (operator, user, Message-ID that they follow)."""
        with self._db.reading() as connection:
            found = links_to_inherit(connection, wanted)
        return {heir: [Record(kind=row.kind, id=row.record_id, label=row.label) for row in rows] for heir, rows in found.items()}

    def origins(self, message_ids: Collection[str], server_ids: Collection[str]) -> list[Origin]:
        """Return the deliveries of these Message-IDs, or that went out under these ids of servers."""
        found: list[Origin] = []
        with self._db.reading() as connection:
            if message_ids:
                rows = connection.execute(_SENT, {"message_ids": sorted(map(clean, message_ids))})
                found += [value_of(Origin, row, server_id="") for row in rows]
            if server_ids:
                rows = connection.execute(_TAKEN_OVER, {"server_ids": sorted(map(clean, server_ids))})
                found += [value_of(Origin, row) for row in rows]
        return found


def _fits(viewer: Viewer, query: DeliveryQuery) -> list[ColumnElement[bool]]:
    fits: list[ColumnElement[bool]] = []
    if query.ids is not None:
        fits.append(one_of(delivery.c.id, query.ids))
    if query.mail_id is not None:
        fits.append(_among(viewer, delivery.c.mail_id == query.mail_id))
    if query.states is not None:
        states = one_of(delivery.c.state, query.states)
        fits.append(_among(viewer, OPEN, states) if _ENDED.isdisjoint(query.states) else states)
    if query.target is not None:
        fits.append(delivery.c.target == query.target)
    if query.before is not None:
        fits.append(delivery.c.id < query.before)
    return fits


def _among(viewer: Viewer, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return a condition that is found by an index of its own: going through all of an operator's deliveries takes long."""
    return delivery.c.id.in_(select(delivery.c.id).where(delivery.c.operator == viewer.operator, *conditions).correlate(None))


def _found(connection: Connection, viewer: Viewer, ids: Collection[int], states: Sequence[str]) -> list[Row[int, str]]:
    """Return those of the viewer's deliveries that are in such a state and not being tried; nobody else changes them now."""
    query = select(delivery.c.id, delivery.c.target).join_from(delivery, filing, OF_FILING).where(visible(viewer), _IDLE)
    query = query.where(delivery.c.state.in_(states)).order_by(delivery.c.id).with_for_update(of=delivery)
    found: list[Row[int, str]] = []
    for piece in pieces(sorted(set(ids))):
        found += connection.execute(query.where(delivery.c.id.in_(piece)))
    return found
