"""Store for each mail whom it was filed for, and for each filing a digest of its rows, so that an audit notices what is missing.

A mail knows for which operators and users it was filed. A filing has the digest of its links, rivals and faults as they
were written last, in the column ``seal``. Whoever writes these rows writes the digest anew, in the same transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import and_, bindparam, select, true, update

from gatewayd_sql.database import Many, pieces
from gatewayd_sql.dialect import each, one_of
from gatewayd_sql.tables import fault, filing, link, mail, rival

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Table

__all__ = [
    "UNSAID",
    "digests",
    "filed_for",
    "first_digests",
    "hold",
    "is_filed_for",
    "of_mails",
    "operators",
    "remember",
    "write_digests",
]

_Row: TypeAlias = "Mapping[str, object]"

#: What a digest is made of: all that these tables have but the key of the filing. Of links that are equal in it, the first counts.
_OF_FILING = ("operator", "mail_id")
_SAID = {table: tuple(column.name for column in table.c if column.name not in _OF_FILING) for table in (link, rival, fault)}
#: Of more operators all rows are gone through: to look for those of each takes longer.
_MOST_OPERATORS = 100
_LINK_KEY = tuple(column.name for column in link.primary_key)
_WRITE = Many(
    update(filing)
    .where(filing.c.operator == bindparam("of"), filing.c.mail_id == bindparam("which"))
    .values(seal=bindparam("digest"))
)
_REMEMBER = Many(update(mail).where(mail.c.id == bindparam("which")).values(filed_for=bindparam("whom")))


def _digest(rows: Iterable[tuple[object, ...]]) -> bytes:
    return hashlib.sha256(json.dumps(sorted(rows, key=repr)).encode()).digest()[:16]


#: The digest of a filing of which nothing was said.
UNSAID = _digest(())


def operators(connection: Connection) -> Collection[str] | None:
    """Return all operators of which a filing, or anything said of one, is there; None where they are very many."""
    found = {one for table in (filing, *_SAID) for one in connection.scalars(each(table.c.operator, true()))}
    return found if len(found) <= _MOST_OPERATORS else None


def of_mails(table: Table, mail_ids: Collection[int], known: Collection[str] | None) -> ColumnElement[bool]:
    """Return which rows of filings, of what was said of them, or of mails are of these. The first two begin with the operator.

    ``known`` are all operators that count: without them all rows that there are would be gone through for a few mails.
    """
    mails = one_of(table.c.mail_id, mail_ids)
    return mails if known is None or "operator" not in table.c else and_(one_of(table.c.operator, known), mails)


def digests(connection: Connection, mail_ids: Collection[int], known: Collection[str] | None) -> Mapping[tuple[str, int], bytes]:
    """Return the digests that filings of these mails would get now, as (operator, mail id); those of ``UNSAID`` are left out."""
    rows: dict[tuple[str, int], list[tuple[object, ...]]] = defaultdict(list)
    for table, names in _SAID.items():
        query = select(table.c.operator, table.c.mail_id, *(table.c[name] for name in names))
        for operator, mail_id, *values in connection.execute(query.where(of_mails(table, mail_ids, known))):
            rows[operator, mail_id].append((table.name, *values))
    return {key: _digest(of_filing) for key, of_filing in rows.items()}


def first_digests(links: Sequence[_Row], rivals: Sequence[_Row], faults: Sequence[_Row]) -> Mapping[tuple[object, object], bytes]:
    """Return the digests of filings that get these rows and have none yet."""
    first = {tuple(row[name] for name in _LINK_KEY): row for row in reversed(links)}
    rows: dict[tuple[object, object], list[tuple[object, ...]]] = defaultdict(list)
    for (table, names), new in zip(_SAID.items(), (first.values(), rivals, faults), strict=True):
        for row in new:
            rows[row["operator"], row["mail_id"]].append((table.name, *(row[name] for name in names)))
    return {key: _digest(of_filing) for key, of_filing in rows.items()}


def write_digests(connection: Connection, filings: Collection[tuple[str, int]]) -> None:
    """Write the digests of filings, as (operator, mail id), as they are now."""
    found = digests(connection, {mail_id for _, mail_id in filings}, {operator for operator, _ in filings})
    _WRITE.run(
        connection,
        [{"of": operator, "which": mail_id, "digest": found.get((operator, mail_id), UNSAID)} for operator, mail_id in filings],
    )


def filed_for(filings: Iterable[tuple[str, str | None]]) -> str:
    """Return how (operator, user) of a mail's filings are written down with it."""
    return json.dumps(sorted(set(filings), key=repr))


def is_filed_for(written: str, filings: Iterable[tuple[str, str | None]]) -> bool:
    """Whether ``filed_for`` of these filings was written; in any order, since a rename does not sort names anew."""
    try:
        return filed_for(map(tuple, json.loads(written))) == filed_for(filings)
    except (TypeError, ValueError):
        return False


def hold(connection: Connection, mail_ids: Collection[int], *where: ColumnElement[bool]) -> set[int]:
    """Return those of the mails that are there; until the end of the transaction nobody else adds filings of them."""
    query = select(mail.c.id).where(*where).order_by(mail.c.id).with_for_update(key_share=True)
    return {one for piece in pieces(sorted(mail_ids)) for one in connection.scalars(query.where(mail.c.id.in_(piece)))}


def remember(connection: Connection, mail_ids: Collection[int]) -> None:
    """Write down with mails, which are held, for whom they are filed now."""
    found: dict[int, list[tuple[str, str | None]]] = defaultdict(list)
    query = select(filing.c.mail_id, filing.c.operator, filing.c.owner)
    for mail_id, operator, user in connection.execute(query.where(of_mails(filing, mail_ids, operators(connection)))):
        found[mail_id].append((operator, user))
    _REMEMBER.run(connection, [{"which": mail_id, "whom": filed_for(found[mail_id])} for mail_id in mail_ids])
