"""List, link, mark and match filings again, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, distinct, exists, false, func, select, true, update

from gatewayd import Cause, DeskVerbs, LastFiled, search_terms, thread_term
from gatewayd_sql.admission_tables import fingerprint
from gatewayd_sql.database import Many, pieces
from gatewayd_sql.dialect import InsertOrIgnore, InsertOrReplace, clock, now, one_of
from gatewayd_sql.filing_digests import write_digests
from gatewayd_sql.filing_rows import queue_of, say
from gatewayd_sql.inherited import link_row
from gatewayd_sql.raw import source_of
from gatewayd_sql.search import stretches
from gatewayd_sql.tables import fault, filing, link, mail, rival
from gatewayd_sql.times import clean, first_seconds, moment
from gatewayd_sql.views import locked, views
from gatewayd_sql.visibility import followed, visible

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from gatewayd import Filing, FilingView, Query, Record, SearchTerm, Source, Viewer
    from gatewayd_sql.database import Database

__all__ = ["DeskTables", "refiled"]

_REMEMBER = Many(InsertOrReplace(fingerprint))


class DeskTables(DeskVerbs):
    """See ``DeskVerbs``."""

    _db: Database

    def filings(self, viewer: Viewer, query: Query) -> Sequence[FilingView]:
        """Return the filings that the viewer may see and that fit, newest first."""
        conditions = [visible(viewer), *_fits(query), *([followed(viewer)] if query.followed else [])]
        with self._db.reading() as connection:
            found: list[FilingView] = []
            for part in _parts(connection, viewer, query):
                found += views(connection, viewer.operator, [*conditions, *part], query.limit - len(found))
                if len(found) >= query.limit:
                    break
            return found

    def last_filed(self, *, seconds: float) -> Sequence[LastFiled]:
        """Return where mail was filed within the last so many seconds."""
        whose = (filing.c.operator, filing.c.owner, mail.c.account)
        query = select(*whose, func.max(filing.c.filed_at).label("at")).join(mail, mail.c.id == filing.c.mail_id)
        query = query.where(filing.c.filed_at > now() - seconds).group_by(*whose)
        with self._db.reading() as connection:
            rows = connection.execute(query).all()
        return [LastFiled(operator=one.operator, user=one.owner, account=one.account, filed_at=moment(one.at)) for one in rows]

    def count_filings(self, viewer: Viewer, query: Query) -> int:
        """Return how many filings fit that the viewer may see, counted up to the limit."""
        conditions = [visible(viewer), *_fits(query), *([followed(viewer)] if query.followed else [])]
        fitting = select(filing.c.mail_id).join_from(filing, mail, mail.c.id == filing.c.mail_id).where(*conditions)
        found = 0
        with self._db.reading() as connection:
            for part in _parts(connection, viewer, query):
                counted = fitting.where(*part).limit(query.limit - found).subquery()
                found += connection.execute(select(func.count()).select_from(counted)).scalar_one()
                if found >= query.limit:
                    break
        return found

    def source(self, viewer: Viewer, mail_id: int) -> Source | None:
        """Return where the raw bytes can be read; None where this viewer has no such filing."""
        return source_of(self._db, mail_id, exists().where(visible(viewer), filing.c.mail_id == mail.c.id))

    def refile(self, viewer: Viewer, filings: Sequence[tuple[int, Filing]]) -> None:
        """Replace what matchers said of these filings; what people said stays."""
        new = {mail_id: each for mail_id, each in filings if each.operator == viewer.operator}
        with self._db.writing() as connection:
            ids = locked(connection, viewer, new)
            refiled(connection, viewer, {mail_id: new[mail_id] for mail_id in ids})

    def discard(self, viewer: Viewer, mail_ids: Collection[int]) -> int:
        """Take filings out of their error queue; return how many stood in one."""
        return self._change(viewer, mail_ids, filing.c.queue.is_not(None), queue=None)

    def mark(self, viewer: Viewer, mail_ids: Collection[int], *, unread: bool) -> int:
        """Mark filings read or unread; return how many changed."""
        return self._change(viewer, mail_ids, filing.c.unread.is_not(true() if unread else false()), unread=unread)

    def _change(self, viewer: Viewer, mail_ids: Collection[int], where: ColumnElement[bool], **values: object) -> int:
        change = update(filing).where(visible(viewer), where).values(**values)
        with self._db.writing() as connection:
            return connection.execute(change.where(one_of(filing.c.mail_id, mail_ids))).rowcount

    def causes(self, viewer: Viewer) -> Sequence[Cause]:
        """Return what stands in the viewer's error queues, grouped by cause; most filings first."""
        filings = func.count(distinct(filing.c.mail_id))
        last = func.max(filing.c.mail_id)
        times = (func.min(filing.c.filed_at), func.max(filing.c.filed_at))
        said = and_(fault.c.operator == filing.c.operator, fault.c.mail_id == filing.c.mail_id)
        query = select(filing.c.queue, fault.c.by, fault.c.error, filings, *times, last).join_from(filing, fault, said)
        query = query.where(visible(viewer), filing.c.queue.is_not(None)).group_by(filing.c.queue, fault.c.by, fault.c.error)
        rows = self._db.rows(query.order_by(filings.desc(), last.desc(), fault.c.by, fault.c.error))
        return [
            Cause(
                queue=queue, by=by, error=error, filings=count, first_at=moment(first_at), last_at=moment(last_at), last_id=last_id
            )
            for queue, by, error, count, first_at, last_at, last_id in rows
        ]

    def link(self, viewer: Viewer, mail_id: int, records: Sequence[Record], *, who: str, because: str) -> int:
        """Link a filing by hand; return how many links are new."""
        with self._db.writing() as connection:
            ids = locked(connection, viewer, [mail_id])
            if not (ids and records):
                return 0
            wanted = {(record.kind, clean(record.id)): record for record in records}
            stood = set(_links(connection, viewer, mail_id))
            by = f"person:{who}"
            for kind, record_id in wanted:
                connection.execute(delete(link).where(_one(viewer, mail_id, kind, record_id)))
            rows = [link_row(viewer.operator, mail_id, each, by=by, because=because, by_hand=True) for each in wanted.values()]
            connection.execute(InsertOrIgnore(link), rows)
            _settle_rivals(connection, viewer, ids)
            write_digests(connection, [(viewer.operator, mail_id)])
        return len(wanted.keys() - stood)

    def unlink(self, viewer: Viewer, mail_id: int, records: Sequence[tuple[str, str]], *, who: str) -> int:
        """Take links away; return how many there were."""
        with self._db.writing() as connection:
            if not locked(connection, viewer, [mail_id]):
                return 0
            gone = [pair for pair in _links(connection, viewer, mail_id) if pair in {(kind, clean(one)) for kind, one in records}]
            for kind, record_id in gone:
                connection.execute(update(link).where(_one(viewer, mail_id, kind, record_id)).values(removed_by=clean(who)))
            write_digests(connection, [(viewer.operator, mail_id)])
        return len(gone)

    def fingerprints(self, operator: str) -> Mapping[str, str]:
        """Return an operator's fingerprints, by kind."""
        query = select(fingerprint.c.kind, fingerprint.c.fingerprint).where(fingerprint.c.operator == operator)
        return {row.kind: row.fingerprint for row in self._db.rows(query)}

    def remember_fingerprints(self, operator: str, fingerprints: Mapping[str, str]) -> None:
        """Remember them, in place of all that were remembered before."""
        rows = [
            {"operator": operator, "kind": clean(kind), "fingerprint": clean(value)} for kind, value in sorted(fingerprints.items())
        ]
        with self._db.writing() as connection:
            kinds = [row["kind"] for row in rows]
            connection.execute(delete(fingerprint).where(fingerprint.c.operator == operator, fingerprint.c.kind.not_in(kinds)))
            _REMEMBER.run(connection, rows)


def refiled(connection: Connection, viewer: Viewer, new: Mapping[int, Filing]) -> None:
    """Replace what matchers said of these filings, which are there and locked."""
    ids = list(new)
    for table in (link, rival, fault):
        gone = delete(table).where(table.c.operator == viewer.operator, one_of(table.c.mail_id, ids))
        connection.execute(gone.where(~link.c.by_hand, link.c.removed_by.is_(None)) if table is link else gone)
    say(connection, [*new.items()], clock(connection))
    for mail_id in ids:
        queued = update(filing).where(filing.c.operator == viewer.operator, filing.c.mail_id == mail_id)
        connection.execute(queued.values(queue=queue_of(new[mail_id])))
    _settle_rivals(connection, viewer, ids)
    write_digests(connection, [(viewer.operator, mail_id) for mail_id in ids])


# --- parts of statements ----------------------------------------------------------------------------------------------


def _parts(connection: Connection, viewer: Viewer, query: Query) -> Iterator[Sequence[ColumnElement[bool]]]:
    """Yield what picks a part of the filings that are asked for, those with the newest first."""
    terms = _terms(query)
    ids = [None] if query.ids is None else pieces(sorted(set(query.ids), reverse=True))
    for piece in ids:
        here = [] if piece is None else [filing.c.mail_id.in_(piece)]
        if terms is None:
            yield here
            continue
        before = query.before if piece is None else piece[0] + 1
        for stretch in stretches(connection, viewer.operator, terms, before=before):
            yield [*here, stretch]


def _terms(query: Query) -> Sequence[SearchTerm] | None:
    """Return what the index is asked for; None where it is not asked, and an empty list where nothing has it."""
    terms = None if query.words is None else search_terms(query.words)
    if query.thread is None or terms == ():
        return terms
    thread = thread_term(query.thread)
    return [*(terms or ()), thread] if thread else []


def _fits(query: Query) -> list[ColumnElement[bool]]:
    linked = exists().where(link.c.operator == filing.c.operator, link.c.mail_id == filing.c.mail_id, link.c.removed_by.is_(None))
    fits = _of_mail(query)
    if query.unread is not None:
        fits.append(filing.c.unread.is_(true() if query.unread else false()))
    if query.linked is not None:
        fits.append(linked if query.linked else ~linked)
    if query.kind is not None or query.record is not None:
        asked = ((link.c.kind, query.kind), (link.c.record_id, query.record))
        fits.append(linked.where(*(column == value for column, value in asked if value is not None)))
    if query.faulty is not None:
        fits.append(filing.c.queue.is_not(None) if query.faulty else filing.c.queue.is_(None))
    if query.queue is not None:
        fits.append(filing.c.queue == query.queue)
    if query.fault_by is not None:
        said = (fault.c.operator == filing.c.operator, fault.c.mail_id == filing.c.mail_id)
        fits.append(exists().where(*said, fault.c.by == query.fault_by))
    # Where the index of words is asked, it is told: a range of ids would have SQLite walk along that.
    if query.before is not None and _terms(query) is None:
        fits.append(filing.c.mail_id < query.before)
    return fits


def _of_mail(query: Query) -> list[ColumnElement[bool]]:
    """Return what is asked of the mail itself."""
    asked: tuple[tuple[object, ColumnElement[bool]], ...] = (
        (query.account, mail.c.account == query.account),
        (query.text, mail.c.search.contains(clean(query.text or "").casefold(), autoescape=True)),
        (query.direction, mail.c.direction == query.direction),
        (query.sender, func.lower(mail.c.sender) == clean(query.sender or "").lower()),
        (query.since, mail.c.received_at >= (first_seconds(query.since) if query.since else 0.0)),
        (query.until, mail.c.received_at < (first_seconds(query.until) if query.until else 0.0)),
        (query.attachments, mail.c.attachments != "[]" if query.attachments else mail.c.attachments == "[]"),
    )
    return [condition for value, condition in asked if value is not None]


def _links(connection: Connection, viewer: Viewer, mail_id: int) -> list[tuple[str, str]]:
    query = select(link.c.kind, link.c.record_id).where(link.c.operator == viewer.operator, link.c.mail_id == mail_id)
    return [(kind, record_id) for kind, record_id in connection.execute(query.where(link.c.removed_by.is_(None)))]


def _one(viewer: Viewer, mail_id: int, kind: str, record_id: str) -> ColumnElement[bool]:
    return and_(link.c.operator == viewer.operator, link.c.mail_id == mail_id, link.c.kind == kind, link.c.record_id == record_id)


def _settle_rivals(connection: Connection, viewer: Viewer, mail_ids: Sequence[int]) -> None:
    """Take away the rivals among which a person has chosen one: those that were named together, for one reason."""
    together = rival.alias("together")
    by_hand = exists().where(
        together.c.operator == rival.c.operator,
        together.c.mail_id == rival.c.mail_id,
        together.c.by == rival.c.by,
        together.c.because == rival.c.because,
        link.c.operator == together.c.operator,
        link.c.mail_id == together.c.mail_id,
        link.c.kind == together.c.kind,
        link.c.record_id == together.c.record_id,
        link.c.by_hand,
        link.c.removed_by.is_(None),
    )
    connection.execute(delete(rival).where(rival.c.operator == viewer.operator, one_of(rival.c.mail_id, mail_ids), by_hand))
