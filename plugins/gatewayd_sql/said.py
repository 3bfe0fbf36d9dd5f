"""Filings and what matchers said of them: links, rivals and faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert

from gatewayd_sql.database import Many
from gatewayd_sql.dialect import InsertOrIgnore
from gatewayd_sql.entering import enter
from gatewayd_sql.inherited import inherited
from gatewayd_sql.sealing import UNSAID, sealed_as
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


@dataclass(frozen=True, slots=True)
class _Said:
    """The rows of what matchers said of filings."""

    links: list[dict[str, object]]
    rivals: list[dict[str, object]]
    faults: list[dict[str, object]]

    @classmethod
    def of(cls, connection: Connection, filings: Sequence[tuple[int, Filing]]) -> _Said:
        links = [
            link_row(each.operator, mail_id, said.record, by=by, because=said.because)
            for mail_id, each in filings
            for by, said in each.links
        ]
        rivals = [row for mail_id, each in filings if each.rivals for row in _rivals(mail_id, each)]
        faults: list[dict[str, object]] = [
            {"operator": each.operator, "mail_id": mail_id, "number": number, "by": clean(one.by), "error": clean(one.error)}
            for mail_id, each in filings
            for number, one in enumerate(each.faults)
        ]
        return cls(links + inherited(connection, filings), rivals, faults)

    def insert(self, connection: Connection) -> None:
        _LINK.run(connection, self.links)
        _RIVAL.run(connection, self.rivals)
        _FAULT.run(connection, self.faults)


def add(connection: Connection, filings: Sequence[tuple[int, Filing]], time: float, *, unread: bool = True) -> None:
    """Insert filings that are not there yet, as (mail id, filing), with all that was said of them and their deliveries."""
    said = _Said.of(connection, filings)
    sealed = sealed_as(said.links, said.rivals, said.faults)
    rows = [
        {
            "operator": each.operator,
            "mail_id": mail_id,
            "owner": each.owner,
            "unread": unread,
            "queue": queue_of(each),
            "filed_at": time,
            "seal": sealed.get((each.operator, mail_id), UNSAID),
        }
        for mail_id, each in filings
    ]
    _FILE.run(connection, rows)
    said.insert(connection)
    _deliver(connection, filings, time)


def say(connection: Connection, filings: Sequence[tuple[int, Filing]], time: float) -> None:
    """Insert links, rivals, faults and deliveries of filings that are there and locked. Whoever calls it seals them.

    A link that is there, or was taken away, stays as it is.
    """
    _Said.of(connection, filings).insert(connection)
    _deliver(connection, filings, time)


def _deliver(connection: Connection, filings: Sequence[tuple[int, Filing]], time: float) -> None:
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
