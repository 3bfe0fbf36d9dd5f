"""Links that an answer inherits from the operator's own outgoing mail that it answers (promise P6)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import select

from gatewayd_sql.database import Many
from gatewayd_sql.dialect import InsertOrIgnore, one_of
from gatewayd_sql.tables import OUT, filing, link, mail
from gatewayd_sql.times import clean
from gatewayd_sql.views import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from gatewayd import Filing, Kind, Outgoing, Viewer

__all__ = ["Heir", "answer", "inherited", "links_to_inherit"]

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


def inherited(connection: Connection, filings: Sequence[tuple[int, Filing]]) -> list[dict[str, object]]:
    """Return the rows of the links that filings inherit, given as (mail id, filing); two queries for all."""
    following = [
        (mail_id, (each.operator, each.owner, said.message_id), by, said.because)
        for mail_id, each in filings
        for by, said in each.follows
    ]
    found = links_to_inherit(connection, {heir for _, heir, _, _ in following})
    return [
        {
            "operator": row.operator,
            "mail_id": mail_id,
            "kind": row.kind,
            "record_id": row.record_id,
            "label": row.label,
            "by": clean(by),
            "because": clean(because),
            "by_hand": False,
            "removed_by": None,
        }
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
    rows = [
        {"operator": viewer.operator, "mail_id": mail_id, "kind": kind, "record_id": record_id, "label": label, "by": by}
        for kind, record_id, label, by, owner in connection.execute(query)
        if _may_share(owner, outgoing.owner)
    ]
    because = f"of mail {outgoing.answers}, which this mail answers"
    _LINK.run(connection, [row | {"because": because, "by_hand": True, "removed_by": None} for row in rows])


def _may_share(owner: str | None, other: str | None) -> bool:
    """Return whether what the filing of ``owner`` says may stand in the filing of ``other``: only personal mail is kept apart."""
    return owner is None or owner == other
