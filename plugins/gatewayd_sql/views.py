"""Rows of filings as the values that people are shown. Three further queries a page, however many filings it has."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from gatewayd import Attachment, Container, FilingFault, FilingView, LinkView, Part, RivalView
from gatewayd_sql.dialect import one_of
from gatewayd_sql.rows import value_of
from gatewayd_sql.tables import content, fault, filing, link, mail, rival
from gatewayd_sql.times import moment
from gatewayd_sql.visibility import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Table

    from gatewayd import Viewer

__all__ = ["locked", "views"]

_SHOWN = (
    select(
        *filing.c["mail_id", "operator", "unread", "queue"],
        filing.c.owner.label("user"),
        *mail.c["account", "folder", "key", "message_id", "sender", "sender_name", "recipients", "attachments", "subject"],
        *mail.c["sent_at", "received_at", "direction"],
        *content.c["size", "digest"],
    )
    .join_from(filing, mail, mail.c.id == filing.c.mail_id)
    .join(content, content.c.id == mail.c.content_id)
    .order_by(filing.c.mail_id.desc())
)


def views(connection: Connection, operator: str, conditions: Sequence[ColumnElement[bool]], limit: int) -> list[FilingView]:
    """Return the filings of one operator that fit the conditions, newest first."""
    rows = connection.execute(_SHOWN.where(*conditions).limit(limit)).all()
    ids = [row.mail_id for row in rows]
    links: dict[int, list[LinkView]] = defaultdict(list)
    unlinked: dict[int, list[LinkView]] = defaultdict(list)
    rivals: dict[int, list[RivalView]] = defaultdict(list)
    faults: dict[int, list[FilingFault]] = defaultdict(list)
    for row in _rows(connection, link, operator, ids):
        (links if row.removed_by is None else unlinked)[row.mail_id].append(
            value_of(LinkView, row, id=row.record_id, removed_by=row.removed_by or "")
        )
    for row in _rows(connection, rival, operator, ids):
        rivals[row.mail_id].append(value_of(RivalView, row, id=row.record_id))
    for row in _rows(connection, fault, operator, ids):
        faults[row.mail_id].append(FilingFault(row.by, row.error))
    return [
        value_of(
            FilingView,
            row,
            id=row.mail_id,
            to=tuple(json.loads(row.recipients)),
            sent_at=moment(row.sent_at),
            received_at=moment(row.received_at),
            attachments=_attachments(row.attachments),
            links=tuple(links[row.mail_id]),
            unlinked=tuple(unlinked[row.mail_id]),
            rivals=tuple(rivals[row.mail_id]),
            faults=tuple(faults[row.mail_id]),
        )
        for row in rows
    ]


def _rows(connection: Connection, table: Table, operator: str, mail_ids: Sequence[int]) -> Sequence[Row[*tuple[Any, ...]]]:
    query = select(table).where(table.c.operator == operator).order_by(*table.primary_key)
    return connection.execute(query.where(one_of(table.c.mail_id, mail_ids))).all()


def _attachments(text: str) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(
            name=name,
            type=type_,
            size=size,
            part=Part(
                offset=offset,
                length=length,
                type=type_,
                encoding=encoding,
                charset=charset,
                within=tuple(Container(*one) for one in within[0]) if within else (),
            ),
        )
        for name, type_, size, offset, length, encoding, charset, *within in json.loads(text)
    )


def locked(connection: Connection, viewer: Viewer, mail_ids: Collection[int]) -> list[int]:
    """Return those of the ids that the viewer has filings of; until the end of the transaction nobody else changes them."""
    query = select(filing.c.mail_id).where(visible(viewer)).order_by(filing.c.mail_id).with_for_update()
    return list(connection.scalars(query.where(one_of(filing.c.mail_id, mail_ids))))
