"""Filings and what matchers said of them: links, rivals and faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert

from gatewayd_sql.database import Many
from gatewayd_sql.dialect import InsertOrIgnore
from gatewayd_sql.entering import enter
from gatewayd_sql.inherited import inherited
from gatewayd_sql.tables import fault, filing, link, rival
from gatewayd_sql.times import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from gatewayd import Filing, Record

__all__ = ["add", "link_row", "queue_of", "say"]

_FILE = Many(insert(filing))
_LINK = Many(InsertOrIgnore(link))
_RIVAL = Many(insert(rival))
_FAULT = Many(insert(fault))


def add(connection: Connection, filings: Sequence[tuple[int, Filing]], time: float, *, unread: bool = True) -> None:
    """Insert filings that are not there yet, as (mail id, filing), with all that was said of them and their deliveries."""
    rows = [
        {
            "operator": each.operator,
            "mail_id": mail_id,
            "owner": each.owner,
            "unread": unread,
            "queue": queue_of(each),
            "filed_at": time,
        }
        for mail_id, each in filings
    ]
    _FILE.run(connection, rows)
    say(connection, filings, time)


def say(connection: Connection, filings: Sequence[tuple[int, Filing]], time: float) -> None:
    """Insert links, rivals, faults and deliveries of filings that are there and locked.

    A link that is there, or was taken away, stays as it is.
    """
    links = [
        link_row(each.operator, mail_id, said.record, by=by, because=said.because)
        for mail_id, each in filings
        for by, said in each.links
    ]
    _LINK.run(connection, links)
    _LINK.run(connection, inherited(connection, filings))
    rivals = [row for mail_id, each in filings if each.rivals for row in _rivals(mail_id, each)]
    _RIVAL.run(connection, rivals)
    faults = [
        {"operator": each.operator, "mail_id": mail_id, "number": number, "by": clean(one.by), "error": clean(one.error)}
        for mail_id, each in filings
        for number, one in enumerate(each.faults)
    ]
    _FAULT.run(connection, faults)
    enter(connection, [(each.operator, mail_id, one) for mail_id, each in filings for one in each.deliveries], time)


def queue_of(each: Filing) -> str | None:
    """Return the error queue that a filing stands in: one without faults stands in none."""
    return clean(each.queue) if each.faults else None


def link_row(operator: str, mail_id: int, record: Record, *, by: str, because: str, by_hand: bool = False) -> dict[str, object]:
    """Return the row of one link."""
    return {
        "operator": operator,
        "mail_id": mail_id,
        "kind": record.kind,
        "record_id": clean(record.id),
        "label": clean(record.label),
        "by": clean(by),
        "because": clean(because),
        "by_hand": by_hand,
        "removed_by": None,
    }


def _rivals(mail_id: int, each: Filing) -> list[dict[str, object]]:
    said = [(by, record, rivals.because) for by, rivals in each.rivals for record in rivals.records]
    return [
        {
            "operator": each.operator,
            "mail_id": mail_id,
            "number": number,
            "kind": record.kind,
            "record_id": clean(record.id),
            "label": clean(record.label),
            "by": clean(by),
            "because": clean(because),
        }
        for number, (by, record, because) in enumerate(said)
    ]
