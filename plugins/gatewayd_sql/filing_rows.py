"""Write filings with their links, rivals, faults and deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import insert

from gatewayd_sql.database import Many
from gatewayd_sql.dialect import InsertOrIgnore
from gatewayd_sql.entering import enter
from gatewayd_sql.filing_digests import UNSAID, first_digests
from gatewayd_sql.inherited import inherited, link_row, record_row
from gatewayd_sql.search import await_index
from gatewayd_sql.tables import fault, filing, link, rival
from gatewayd_sql.times import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from gatewayd import Filing

__all__ = ["add", "queue_of", "say"]

_FILE = Many(insert(filing))
_LINK = Many(InsertOrIgnore(link))
_RIVAL = Many(insert(rival))
_FAULT = Many(insert(fault))


#: Rows of links, rivals and faults.
_Rows: TypeAlias = tuple[list[dict[str, object]], list[dict[str, object]], list[dict[str, object]]]


def _rows(connection: Connection, filings: Sequence[tuple[int, Filing]]) -> _Rows:
    links = [
        link_row(each.operator, mail_id, said.record, by=by, because=said.because)
        for mail_id, each in filings
        for by, said in each.links
    ]
    links += [
        link_row(operator, mail_id, record, by=by, because=because)
        for mail_id, operator, record, by, because in inherited(connection, filings)
    ]
    rivals: list[dict[str, object]] = []
    faults: list[dict[str, object]] = []
    for mail_id, each in filings:
        fit = [(by, record, one.because) for by, one in each.rivals for record in one.records]
        rivals += [
            {**record_row(each.operator, mail_id, record, by=by, because=because), "number": number}
            for number, (by, record, because) in enumerate(fit)
        ]
        faults += [
            {"operator": each.operator, "mail_id": mail_id, "number": number, "by": clean(one.by), "error": clean(one.error)}
            for number, one in enumerate(each.faults)
        ]
    return links, rivals, faults


def _insert(connection: Connection, filings: Sequence[tuple[int, Filing]], rows: _Rows, time: float) -> None:
    for many, new in zip((_LINK, _RIVAL, _FAULT), rows, strict=True):
        many.run(connection, new)
    enter(connection, [(each.operator, mail_id, one) for mail_id, each in filings for one in each.deliveries], time)


def add(connection: Connection, filings: Sequence[tuple[int, Filing]], time: float, *, unread: bool = True) -> None:
    """Insert filings that are not there yet, as (mail id, filing), with all that was said of them and their deliveries."""
    rows = _rows(connection, filings)
    digests = first_digests(*rows)
    new = [
        {
            "operator": each.operator,
            "mail_id": mail_id,
            "owner": each.user,
            "unread": unread,
            "queue": queue_of(each),
            "filed_at": time,
            "seal": digests.get((each.operator, mail_id), UNSAID),
        }
        for mail_id, each in filings
    ]
    _FILE.run(connection, new)
    await_index(connection, [mail_id for mail_id, _ in filings])
    _insert(connection, filings, rows, time)


def say(connection: Connection, filings: Sequence[tuple[int, Filing]], time: float) -> None:
    """Insert links, rivals, faults and deliveries of filings that are there and locked. Whoever calls it writes their digests.

    A link that is there, or was taken away, stays as it is.
    """
    _insert(connection, filings, _rows(connection, filings), time)


def queue_of(each: Filing) -> str | None:
    """Return the error queue that a filing stands in: one without faults stands in none."""
    return clean(each.queue) if each.faults else None
