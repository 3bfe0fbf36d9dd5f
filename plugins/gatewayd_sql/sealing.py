"""What is written down with mails and filings when they are made, so that an audit can tell what is missing.

A mail knows for which operators and users it was filed. A filing has a seal: the digest of its links, rivals and faults as they
were written last. Whoever writes these rows seals the filing anew, in the same transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import bindparam, select, update

from gatewayd_sql.database import Many, pieces
from gatewayd_sql.tables import fault, filing, link, mail, rival

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

__all__ = ["UNSAID", "filed_for", "hold", "remember", "seal", "sealed_as", "seals"]

_Row: TypeAlias = "Mapping[str, object]"

#: What a seal is made of: all that these tables have but the key of the filing. Of links that are equal in it, the first counts.
_OF_FILING = ("operator", "mail_id")
_SAID = {table: tuple(column.name for column in table.c if column.name not in _OF_FILING) for table in (link, rival, fault)}
_LINK_KEY = tuple(column.name for column in link.primary_key)
_SEAL = Many(
    update(filing)
    .where(filing.c.operator == bindparam("of"), filing.c.mail_id == bindparam("which"))
    .values(seal=bindparam("digest"))
)
_REMEMBER = Many(update(mail).where(mail.c.id == bindparam("which")).values(filed_for=bindparam("whom")))


def _digest(rows: Iterable[tuple[object, ...]]) -> bytes:
    return hashlib.sha256(json.dumps(sorted(rows, key=repr)).encode()).digest()[:16]


#: The seal of a filing of which nothing was said.
UNSAID = _digest(())


def seals(connection: Connection, mail_ids: Collection[int]) -> Mapping[tuple[str, int], bytes]:
    """Return the seals that the filings of these mails would get now, as (operator, mail id); those of ``UNSAID`` are left out."""
    rows: dict[tuple[str, int], list[tuple[object, ...]]] = defaultdict(list)
    for piece in pieces(mail_ids):
        for table, names in _SAID.items():
            query = select(table.c.operator, table.c.mail_id, *(table.c[name] for name in names)).where(table.c.mail_id.in_(piece))
            for operator, mail_id, *values in connection.execute(query):
                rows[operator, mail_id].append((table.name, *values))
    return {key: _digest(of_filing) for key, of_filing in rows.items()}


def sealed_as(links: Sequence[_Row], rivals: Sequence[_Row], faults: Sequence[_Row]) -> Mapping[tuple[object, object], bytes]:
    """Return the seals of filings that get these rows and have none yet."""
    first = {tuple(row[name] for name in _LINK_KEY): row for row in reversed(links)}
    rows: dict[tuple[object, object], list[tuple[object, ...]]] = defaultdict(list)
    for (table, names), new in zip(_SAID.items(), (first.values(), rivals, faults), strict=True):
        for row in new:
            rows[row["operator"], row["mail_id"]].append((table.name, *(row[name] for name in names)))
    return {key: _digest(of_filing) for key, of_filing in rows.items()}


def seal(connection: Connection, filings: Collection[tuple[str, int]]) -> None:
    """Seal filings, as (operator, mail id), as they are now."""
    found = seals(connection, {mail_id for _, mail_id in filings})
    _SEAL.run(
        connection,
        [{"of": operator, "which": mail_id, "digest": found.get((operator, mail_id), UNSAID)} for operator, mail_id in filings],
    )


def filed_for(filings: Iterable[tuple[str, str | None]]) -> str:
    """Return how (operator, owner) of a mail's filings are written down with it."""
    return json.dumps(sorted(set(filings), key=repr))


def hold(connection: Connection, mail_ids: Collection[int], *where: ColumnElement[bool]) -> set[int]:
    """Return those of the mails that are there; until the end of the transaction nobody else adds filings of them."""
    query = select(mail.c.id).where(*where).order_by(mail.c.id).with_for_update(key_share=True)
    return {one for piece in pieces(sorted(mail_ids)) for one in connection.scalars(query.where(mail.c.id.in_(piece)))}


def remember(connection: Connection, mail_ids: Collection[int]) -> None:
    """Write down with mails, which are held, for whom they are filed now."""
    found: dict[int, list[tuple[str, str | None]]] = defaultdict(list)
    for piece in pieces(mail_ids):
        query = select(filing.c.mail_id, filing.c.operator, filing.c.owner).where(filing.c.mail_id.in_(piece))
        for mail_id, operator, owner in connection.execute(query):
            found[mail_id].append((operator, owner))
    _REMEMBER.run(connection, [{"which": mail_id, "whom": filed_for(found[mail_id])} for mail_id in mail_ids])
