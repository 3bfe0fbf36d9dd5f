"""Keep the index of the words of mail, and make the conditions by which it is asked.

Each word stands in it with a mark: the number of an operator, and the stretch of ids that its mail is in. So what other
operators' mail has costs nothing, and neither do a common word or the beginning of many words: the newest stretch is asked first,
then twice as many at a time, until there is enough.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select

from gatewayd import SearchVerbs, Unindexed
from gatewayd_sql.database import Many
from gatewayd_sql.dialect import InsertOrIgnore, has_words, one_of
from gatewayd_sql.filing_digests import hold, of_mails, operators
from gatewayd_sql.names_in_use import prove_names
from gatewayd_sql.raw import StoredSource
from gatewayd_sql.search_tables import indexed, operator_number, unindexed
from gatewayd_sql.tables import content, filing, mail
from gatewayd_sql.times import clean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from gatewayd import SearchTerm
    from gatewayd_sql.database import Database

__all__ = ["SearchTables", "await_index", "stretches"]

#: A stretch has so many ids, as a power of two.
_STRETCH = 14
#: How many ways to write words are asked for at once, in all stretches together.
_AT_ONCE = 512
#: PostgreSQL counts no place in a text beyond this (manual, 12.11).
_LAST_PLACE = 16_383

_AWAIT = Many(InsertOrIgnore(unindexed))
_INDEX = Many(insert(indexed))
_WAITING = (
    select(unindexed.c.mail_id, content.c.id, content.c.size)
    .join_from(unindexed, mail, mail.c.id == unindexed.c.mail_id)
    .join(content, content.c.id == mail.c.content_id)
    .order_by(unindexed.c.mail_id.desc())
)
# It takes words that are in no statistics for common ones, and would go through all rows.
_BY_INDEX = select(*(func.set_config(name, "off", True) for name in ("enable_seqscan", "jit")))
# Of both in one query SQLite goes through all.
_ENDS = select(*(select(end(indexed.c.mail_id)).scalar_subquery() for end in (func.min, func.max)))


def await_index(connection: Connection, mail_ids: Iterable[int]) -> None:
    """Let mails wait for the index: they are new, or filed for one operator more."""
    _AWAIT.run(connection, [{"mail_id": mail_id} for mail_id in sorted(set(mail_ids))])


class SearchTables(SearchVerbs):
    """See ``SearchVerbs``."""

    _db: Database

    def unindexed(self, limit: int, *, size: int) -> Sequence[Unindexed]:
        """Return mails that wait for the index, the newest first."""
        with self._db.reading() as connection:
            found, left = [], size
            for row in connection.execute(_WAITING.limit(limit)).all():
                found.append(row)
                left -= row.size
                if left <= 0:
                    break
        return [Unindexed(row.mail_id, StoredSource(self._db, row.id, row.size)) for row in found]

    def index(self, words: Mapping[int, Sequence[Sequence[str]]]) -> int:
        """Commit the words of mails; return how many still waited."""
        with self._db.writing() as connection:
            # No operator gets another name meanwhile.
            prove_names(connection, ())
            mail_ids = sorted(hold(connection, words))
            waited = connection.execute(delete(unindexed).where(one_of(unindexed.c.mail_id, mail_ids))).rowcount
            connection.execute(delete(indexed).where(one_of(indexed.c.mail_id, mail_ids)))
            query = select(filing.c.mail_id, filing.c.operator).where(of_mails(filing, mail_ids, operators(connection)))
            of: dict[int, list[str]] = defaultdict(list)
            for mail_id, operator in connection.execute(query.order_by(filing.c.mail_id, filing.c.operator)):
                of[mail_id].append(operator)
            numbers = _numbers(connection, {one for several in of.values() for one in several})
            made = _tsvector if connection.dialect.name == "postgresql" else _marked
            rows: list[dict[str, object]] = [
                {
                    "mail_id": mail_id,
                    "words": made(words[mail_id], [_mark(numbers[one], mail_id >> _STRETCH) for one in of[mail_id]]),
                }
                for mail_id in mail_ids
            ]
            _INDEX.run(connection, rows)
        return waited


def _numbers(connection: Connection, names: Collection[str]) -> Mapping[str, int]:
    """Return the numbers of operators; one that has none gets one."""
    query = select(operator_number.c.operator, operator_number.c.number).where(one_of(operator_number.c.operator, names))
    found = dict(map(tuple, connection.execute(query)))
    for name in sorted(names - found.keys()):
        # Whoever gives out the same number just now waits, and takes the next one.
        while name not in found:
            next_ = connection.execute(select(func.coalesce(func.max(operator_number.c.number), 0) + 1)).scalar_one()
            connection.execute(InsertOrIgnore(operator_number).inline(), {"operator": clean(name), "number": next_})
            found |= dict(map(tuple, connection.execute(query)))
    return found


# --- what stands in the index -----------------------------------------------------------------------------------------


def _mark(number: int, stretch: int) -> str:
    """Return what words begin with that are of one operator's mail in one stretch. No mark is the beginning of another."""
    return f"{number}x{stretch}x"


def _marked(sections: Sequence[Sequence[str]], marks: Sequence[str]) -> str:
    """Return the words as SQLite indexes them. A mark alone parts the sections: nobody asks for it in a row with words."""
    return " ".join([f"{mark}{word}" for mark in marks for section in sections for word in (*section, "")])


def _tsvector(sections: Sequence[Sequence[str]], marks: Sequence[str]) -> str:
    """Return the words as PostgreSQL reads a tsvector (manual, 8.11.1)."""
    places: dict[str, list[str]] = defaultdict(list)
    place = 0
    for section in sections:
        for word in section:
            place += 1
            places[word].append(str(min(place, _LAST_PLACE)))
        place += 1
    return " ".join([f"'{mark}{word}':{','.join(at)}" for mark in marks for word, at in places.items()])


# --- what the index is asked ------------------------------------------------------------------------------------------


def stretches(
    connection: Connection, operator: str, terms: Sequence[SearchTerm], *, before: int | None
) -> Iterator[ColumnElement[bool]]:
    """Yield conditions, of which each one finds the filings of an operator that have all terms in further, older stretches."""
    number = connection.scalar(select(operator_number.c.number).where(operator_number.c.operator == operator))
    oldest, newest = connection.execute(_ENDS).one()
    if number is None or newest is None or not terms:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(_BY_INDEX)
    asked, either = (_tsquery, " | ") if connection.dialect.name == "postgresql" else (_fts5, " OR ")
    most = max(1, _AT_ONCE // sum(len(way) for term in terms for way in term.ways))
    high, at_once = (newest if before is None else min(newest, before - 1)) >> _STRETCH, 1
    while high >= oldest >> _STRETCH:
        low = max(oldest >> _STRETCH, high - min(at_once, most) + 1)
        each = either.join(asked(terms, _mark(number, stretch)) for stretch in range(high, low - 1, -1))
        end = (high + 1) << _STRETCH
        yield has_words(filing.c.mail_id, each, before=end if before is None else min(end, before))
        high, at_once = low - 1, at_once * 2


def _fts5(terms: Sequence[SearchTerm], mark: str) -> str:
    """Return a query of FTS5 (sqlite.org/fts5.html, section 3). Words have letters and digits only, so nothing is to be escaped."""
    each = (
        " OR ".join('"' + " ".join(f"{mark}{word}" for word in way) + '"' + (" *" if term.prefix else "") for way in term.ways)
        for term in terms
    )
    return f"({' AND '.join(f'({one})' for one in each)})"


def _tsquery(terms: Sequence[SearchTerm], mark: str) -> str:
    """Return a query as PostgreSQL reads it (manual, 8.11.2)."""
    each = (
        " | ".join("(" + " <-> ".join(f"'{mark}{word}'" for word in way) + (":*" if term.prefix else "") + ")" for way in term.ways)
        for term in terms
    )
    return f"({' & '.join(f'({one})' for one in each)})"
