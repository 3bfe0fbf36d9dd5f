"""Links that an answer inherits from the operator's own outgoing mail that it answers (promise P6)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import select

from gatewayd_sql.database import Many
from gatewayd_sql.dialect import InsertOrIgnore, one_of
from gatewayd_sql.tables import OUT, filing, link, mail
from gatewayd_sql.times import clean
from gatewayd_sql.views import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from gatewayd import Filing, Outgoing, Viewer

__all__ = ["answer", "inherited"]

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
    following = [(mail_id, each) for mail_id, each in filings if each.follows]
    if not following:
        return []
    message_ids = sorted({clean(said.message_id) for _, each in following for _, said in each.follows})
    sent = {row.id: row.message_id for row in connection.execute(_SENT, {"message_ids": message_ids})}
    given = {"operators": sorted({each.operator for _, each in following}), "mails": list(sent)}
    links = defaultdict(list)
    for mail_id, owner, operator, kind, record_id, label in connection.execute(_LINKS, given):
        row = {"operator": operator, "kind": kind, "record_id": record_id, "label": label}
        links[operator, sent[mail_id]].append((owner, row))
    return [
        row | {"mail_id": mail_id, "by": clean(by), "because": clean(said.because), "by_hand": False, "removed_by": None}
        for mail_id, each in following
        for by, said in each.follows
        for owner, row in links[each.operator, clean(said.message_id)]
        if _may_share(owner, each.owner)
    ]


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
