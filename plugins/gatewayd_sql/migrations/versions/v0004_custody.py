"""What a folder's listings have proven; for whom mails were filed, and what was said of filings: both as they are there now.

What is owed to messages that were filed with other bytes than the server listed is owed no more: they may stand in for others.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from typing import TYPE_CHECKING

from alembic import op
from sqlalchemy import Boolean, Column, Double, Integer, LargeBinary, MetaData, Table, Text, and_, bindparam, select, update

from gatewayd_sql.dialect import Id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

revision = "0004"
down_revision = "0003"

metadata = MetaData()

#: So many mails at a time: what is read of them is in memory.
_PAGE = 500

# What is there already, as far as it is spoken of here.
ledger = Table(
    "ledger",
    metadata,
    Column("id", Id, primary_key=True),
    Column("cause", Text),
    Column("size", Id),
    Column("mail_id", Id),
    Column("owed", Text),
)
content = Table("content", metadata, Column("id", Id, primary_key=True), Column("size", Id))
mail = Table("mail", metadata, Column("id", Id, primary_key=True), Column("content_id", Id), Column("filed_for", Text))
filing = Table(
    "filing",
    metadata,
    Column("operator", Text, primary_key=True),
    Column("mail_id", Id, primary_key=True),
    Column("owner", Text),
    Column("seal", LargeBinary(16)),
)


def _of_filing() -> tuple[Column[str], Column[int]]:
    return Column("operator", Text, primary_key=True), Column("mail_id", Id, primary_key=True)


_RECORD = ("kind", "record_id", "label", "by", "because")
link = Table(
    "link",
    metadata,
    *_of_filing(),
    *(Column(name, Text) for name in _RECORD),
    Column("by_hand", Boolean),
    Column("removed_by", Text),
)
rival = Table("rival", metadata, *_of_filing(), Column("number", Integer), *(Column(name, Text) for name in _RECORD))
fault = Table("fault", metadata, *_of_filing(), Column("number", Integer), Column("by", Text), Column("error", Text))


def upgrade() -> None:
    """Add the columns, and write down what is there."""
    for column in (Column("checked_at", Double), Column("compared_at", Double)):
        op.add_column("folder", column)
    op.add_column("folder", Column("doubt", Text, nullable=False, server_default=""))
    op.add_column("mail", Column("filed_for", Text, nullable=False, server_default="[]"))
    op.add_column("filing", Column("seal", LargeBinary(16)))
    connection = op.get_bind()
    _leave_undone(connection)
    after = 0
    while ids := list(connection.scalars(select(mail.c.id).where(mail.c.id > after).order_by(mail.c.id).limit(_PAGE))):
        after = ids[-1]
        _write_down(connection, ids)


def _leave_undone(connection: Connection) -> None:
    length = select(content.c.size).join(mail, mail.c.content_id == content.c.id).where(mail.c.id == ledger.c.mail_id)
    other = and_(ledger.c.owed.is_not(None), ledger.c.size != length.scalar_subquery())
    cause = "left undone on the server: its bytes are not of the size that was listed"
    connection.execute(update(ledger).where(other).values(owed=None, cause=cause))


def _write_down(connection: Connection, ids: Sequence[int]) -> None:
    whom: dict[int, list[tuple[str, str | None]]] = {mail_id: [] for mail_id in ids}
    for mail_id, operator, owner in connection.execute(
        select(filing.c.mail_id, filing.c.operator, filing.c.owner).where(filing.c.mail_id.in_(ids))
    ):
        whom[mail_id].append((operator, owner))
    said: dict[tuple[str, int], list[tuple[object, ...]]] = defaultdict(list)
    for table in (link, rival, fault):
        for operator, mail_id, *values in connection.execute(select(table).where(table.c.mail_id.in_(ids))):
            said[operator, mail_id].append((table.name, *values))
    rows = [{"which": one, "whom": json.dumps(sorted(set(filings), key=repr))} for one, filings in whom.items()]
    connection.execute(update(mail).where(mail.c.id == bindparam("which")).values(filed_for=bindparam("whom")), rows)
    sealed = [
        {"of": operator, "which": mail_id, "digest": _digest(said.get((operator, mail_id), ()))}
        for mail_id, filings in whom.items()
        for operator, _ in filings
    ]
    if sealed:
        here = update(filing).where(filing.c.operator == bindparam("of"), filing.c.mail_id == bindparam("which"))
        connection.execute(here.values(seal=bindparam("digest")), sealed)


def _digest(rows: Iterable[tuple[object, ...]]) -> bytes:
    return hashlib.sha256(json.dumps(sorted(rows, key=repr)).encode()).digest()[:16]
