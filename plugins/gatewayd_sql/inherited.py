"""Make the rows of links; an answer to our own mail gets the links of that mail."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import select

from gatewayd import Record
from gatewayd_sql.database import Many
from gatewayd_sql.dialect import InsertOrIgnore, one_of
from gatewayd_sql.tables import OUT, filing, link, mail
from gatewayd_sql.times import clean
from gatewayd_sql.visibility import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from gatewayd import Filing, Kind, Outgoing, Viewer

__all__ = ["Heir", "answer", "inherited", "link_row", "links_to_inherit", "record_row"]

#: Who inherits: operator, owner, and the Message-ID of the mail of ours that is answered.
Heir: TypeAlias = tuple[str, str | None, str]
_Row: TypeAlias = "Row[int, str | None, str, Kind, str, str]"

_LINK = Many(InsertOrIgnore(link))

# In two steps: SQLite, which has no statistics, would else go through all links of an operator.
_SENT = select(mail.c.id, mail.c.message_id).where(mail.c.direction == OUT, one_of(mail.c.message_id, name="message_ids"))
_LINKS = (
    select(filing.c.mail_id, filing.c.owner, link.c.operator, link.c.kind, link.c.record_id, link.c.label)
    .join_from(filing, link, (link.c.operator == filing.c.operator) & (link.c.mail_id == filing.c.mail_id))
    .where(
        one_of(filing.c.operator, name="operators"),
        one_of(filing.c.mail_id, name="mails"),
        link.c.removed_by.is_(None),
    )
    .order_by(filing.c.mail_id, link.c.kind, link.c.record_id)
)


def record_row(operator: str, mail_id: int, record: Record, *, by: str, because: str) -> dict[str, object]:
    """Return what the rows of a link and of a rival have in common."""
    return {
        "operator": operator,
        "mail_id": mail_id,
        "kind": record.kind,
        "record_id": clean(record.id),
        "label": clean(record.label),
        "by": clean(by),
        "because": clean(because),
    }


def link_row(operator: str, mail_id: int, record: Record, *, by: str, because: str, by_hand: bool = False) -> dict[str, object]:
    """Return the row of one link."""
    return record_row(operator, mail_id, record, by=by, because=because) | {"by_hand": by_hand, "removed_by": None}


def inherited(connection: Connection, filings: Sequence[tuple[int, Filing]]) -> list[tuple[int, str, Record, str, str]]:
    """Return the links that filings inherit, as (mail id, operator, record, by whom, because); two queries for all.

    The filings are given as (mail id, filing).
    """
    following = [
        (mail_id, (each.operator, each.user, said.message_id), by, said.because)
        for mail_id, each in filings
        for by, said in each.follows
    ]
    found = links_to_inherit(connection, {heir for _, heir, _, _ in following})
    return [
        (mail_id, row.operator, Record(kind=row.kind, id=row.record_id, label=row.label), by, because)
        for mail_id, heir, by, because in following
        for row in found.get(heir, ())
    ]


def links_to_inherit(connection: Connection, wanted: Collection[Heir]) -> Mapping[Heir, Sequence[_Row]]:
    """Return the links that each of them inherits, in the order of mails and records; who inherits nothing is left out."""
    if not wanted:
        return {}
    message_ids = sorted({clean(message_id) for _, _, message_id in wanted})
    sent = {row.id: row.message_id for row in connection.execute(_SENT, {"message_ids": message_ids})}
    if not sent:
        return {}
    links: dict[tuple[str, str], list[_Row]] = defaultdict(list)
    for row in connection.execute(_LINKS, {"operators": sorted({one for one, _, _ in wanted}), "mails": list(sent)}):
        links[row.operator, sent[row.mail_id]].append(row)
    shared = {heir: [row for row in links.get((heir[0], clean(heir[2])), ()) if _may_share(row.owner, heir[1])] for heir in wanted}
    return {heir: rows for heir, rows in shared.items() if rows}


def answer(connection: Connection, viewer: Viewer, mail_id: int, outgoing: Outgoing) -> None:
    """Let a mail of our own inherit the links of the viewer's filing that it answers.

    A person chose that mail, so they stand as if he had made them: no matcher takes them away.
    """
    query = select(link.c.kind, link.c.record_id, link.c.label, link.c.by, filing.c.owner)
    query = query.join_from(link, filing, (link.c.operator == filing.c.operator) & (link.c.mail_id == filing.c.mail_id))
    query = query.where(visible(viewer), filing.c.mail_id == outgoing.answers, link.c.removed_by.is_(None))
    because = f"of mail {outgoing.answers}, which this mail answers"
    rows = [
        link_row(viewer.operator, mail_id, Record(kind=kind, id=record_id, label=label), by=by, because=because, by_hand=True)
        for kind, record_id, label, by, owner in connection.execute(query)
        if _may_share(owner, outgoing.user)
    ]
    _LINK.run(connection, rows)


def _may_share(owner: str | None, other: str | None) -> bool:
    """Return whether what the filing of ``owner`` says may stand in the filing of ``other``: only personal mail is kept apart."""
    return owner is None or owner == other
