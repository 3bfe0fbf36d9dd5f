"""Read deliveries, with their recipients in one further query: as they are taken, and as they are shown."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, select

from gatewayd import Delivery, DeliveryView, Recipient, Taken
from gatewayd_sql.dialect import one_of
from gatewayd_sql.outbox_tables import delivery, recipient, suspension
from gatewayd_sql.raw import stored
from gatewayd_sql.rows import value_of
from gatewayd_sql.tables import WAITING, content, filing, mail
from gatewayd_sql.times import moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from gatewayd_sql.database import Database

__all__ = ["OF_FILING", "shown", "taken"]

_COLUMNS = (
    *delivery.c["id", "operator", "mail_id", "forwarder", "account", "target", "mode", "cause", "message_id"],
    *delivery.c["state", "words", "tries", "entered_at"],
    filing.c.owner.label("user"),
)
#: To which filing a delivery belongs.
OF_FILING = (delivery.c.operator == filing.c.operator) & (delivery.c.mail_id == filing.c.mail_id)
_TAKEN = (
    select(*_COLUMNS, delivery.c.note, mail.c.content_id, content.c.size)
    .join_from(delivery, filing, OF_FILING)
    .join(mail, mail.c.id == delivery.c.mail_id)
    .join(content, content.c.id == mail.c.content_id)
    .where(one_of(delivery.c.id, name="ids"))
)
_SUSPENDED = (suspension.c.operator == delivery.c.operator) & (suspension.c.target == delivery.c.target)
_SHOWN = (
    select(
        *_COLUMNS,
        mail.c.subject,
        # While somebody tries it, when it was due for him.
        case((delivery.c.taker.is_(None), delivery.c.due), else_=delivery.c.was_due).label("due"),
        delivery.c.ended_at,
        suspension.c.cause.label("suspended"),
    )
    .join_from(delivery, filing, OF_FILING)
    .join(mail, mail.c.id == delivery.c.mail_id)
    .outerjoin(suspension, _SUSPENDED & (delivery.c.state == WAITING))
    .order_by(delivery.c.id.desc())
)
_TO = select(recipient).where(one_of(recipient.c.delivery_id, name="ids")).order_by(recipient.c.delivery_id, recipient.c.number)


def taken(connection: Connection, db: Database, ids: Sequence[int]) -> list[Taken]:
    """Return deliveries in the order of ``ids`` as whoever tries them needs them."""
    rows = {row.id: row for row in connection.execute(_TAKEN, {"ids": list(ids)})}
    to = _recipients(connection, ids)
    sources = stored(connection, db, {row.content_id: row.size for row in rows.values()})
    return [
        value_of(
            Taken,
            row,
            delivery=_delivery(row, to[row.id]),
            recipients=to[row.id],
            source=sources[row.content_id],
            entered_at=moment(row.entered_at),
        )
        for row in (rows[one] for one in ids)
    ]


def shown(connection: Connection, conditions: Sequence[ColumnElement[bool]], limit: int) -> list[DeliveryView]:
    """Return the deliveries that fit the conditions, newest first."""
    rows = connection.execute(_SHOWN.where(*conditions).limit(limit)).all()
    to = _recipients(connection, [row.id for row in rows])
    return [
        value_of(
            DeliveryView,
            row,
            delivery=_delivery(row, to[row.id]),
            recipients=to[row.id],
            entered_at=moment(row.entered_at),
            due_at=moment(row.due),
            ended_at=moment(row.ended_at),
            suspended=row.suspended or "",
        )
        for row in rows
    ]


def _recipients(connection: Connection, ids: Sequence[int]) -> Mapping[int, tuple[Recipient, ...]]:
    found: dict[int, list[Recipient]] = defaultdict(list)
    for row in connection.execute(_TO, {"ids": list(ids)}):
        found[row.delivery_id].append(Recipient(address=row.address, state=row.state, words=row.words))
    return {one: tuple(found[one]) for one in ids}


def _delivery(row: Row[*tuple[Any, ...]], to: Sequence[Recipient]) -> Delivery:
    withheld = row.words if row.state == "withheld" else ""
    return value_of(Delivery, row, to=tuple(one.address for one in to), withheld=withheld)
