"""Store raw messages in chunks, and read them piece by piece, never whole in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select

from gatewayd import CHUNK, PermanentError, TransientError
from gatewayd_sql.database import Database, Many
from gatewayd_sql.dialect import one_of
from gatewayd_sql.tables import chunk, content, mail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection

    from gatewayd import Source

__all__ = ["StoredSource", "mend", "put_chunks", "source_of", "stored"]

#: Bytes that are read before they are written: more gains nothing.
_AT_ONCE = 4 * CHUNK

#: Sources of a batch that are no larger are read along, all in one query.
_SMALL = 65_536

_RESTORE = "Stop gatewayd, keep the database, and put back a copy; `gatewayd audit` tells which mails it concerns."

_PUT = Many(insert(chunk))
_WHOLE = select(chunk.c.content_id, chunk.c.data).where(chunk.c.number == 0, one_of(chunk.c.content_id, name="ids"))
_LENGTHS = (
    select(chunk.c.content_id, func.sum(func.length(chunk.c.data)))
    .where(one_of(chunk.c.content_id, name="ids"))
    .group_by(chunk.c.content_id)
)
_HOLD = select(content.c.id).where(one_of(content.c.id, name="ids")).order_by(content.c.id).with_for_update()
_CLEAR = delete(chunk).where(one_of(chunk.c.content_id, name="ids"))


def put_chunks(connection: Connection, new: Iterable[tuple[int, Source]]) -> None:
    """Write the bytes of new contents, given as (id, source). Holds at most 5 MiB at a time."""
    rows: list[dict[str, object]] = []
    held = 0
    for content_id, source in new:
        for number, offset in enumerate(range(0, source.size, CHUNK)):
            size = min(CHUNK, source.size - offset)
            data = source.read(offset, size)
            if len(data) != size:
                raise TransientError(f"the spool lost bytes of message {content_id}", advice="It is fetched again.")
            rows.append({"content_id": content_id, "number": number, "data": data})
            held += size
            if held >= _AT_ONCE:
                _PUT.run(connection, rows)
                rows, held = [], 0
    _PUT.run(connection, rows)


def mend(connection: Connection, known: Iterable[tuple[int, Source]]) -> None:
    """Write anew what is not there whole of contents that came once more: nothing may be owed for what is not here (P3).

    Databases measure what they have without reading it.
    """
    sources = dict(known)
    if not sources:
        return
    lengths = {row[0]: row[1] for row in connection.execute(_LENGTHS, {"ids": list(sources)})}
    lacking = sorted(content_id for content_id, source in sources.items() if lengths.get(content_id, 0) != source.size)
    if lacking:
        # Nobody else writes them meanwhile.
        connection.execute(_HOLD, {"ids": lacking})
        connection.execute(_CLEAR, {"ids": lacking})
        put_chunks(connection, [(content_id, sources[content_id]) for content_id in lacking])


class StoredSource:
    """The raw bytes of one message in the database. Pickles small: another process opens the database itself."""

    def __init__(self, db: Database, content_id: int, size: int, whole: bytes | None = None) -> None:
        self._db = db
        self._content_id = content_id
        self._whole = whole
        #: Length of the message in bytes.
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset`` on, fewer at the message's end. Raises PermanentError where some are gone."""
        end = min(offset + size, self.size)
        if end <= offset:
            return b""
        if self._whole is not None:
            return self._whole[offset:end]
        first = offset // CHUNK
        query = select(chunk.c.data).where(chunk.c.content_id == self._content_id)
        last = (end - 1) // CHUNK
        query = query.where(chunk.c.number.between(first, last)).order_by(chunk.c.number)
        pieces = self._db.column(query)
        # What stands in their place is never taken for them (promise P5).
        if [*map(len, pieces)] != [min(CHUNK, self.size - number * CHUNK) for number in range(first, last + 1)]:
            raise PermanentError(f"stored bytes of mail {self._content_id} are missing or damaged", advice=_RESTORE)
        data = b"".join(pieces)
        return data[offset - first * CHUNK : end - first * CHUNK]

    def __reduce__(self) -> tuple[Callable[[str, int, int], StoredSource], tuple[str, int, int]]:
        return _elsewhere, (self._db.url, self._content_id, self.size)


def stored(connection: Connection, db: Database, sizes: Mapping[int, int]) -> Mapping[int, StoredSource]:
    """Return the sources of a batch of contents, by id; small ones have their bytes with them."""
    small = [content_id for content_id, size in sizes.items() if size <= _SMALL]
    rows = connection.execute(_WHOLE, {"ids": small}) if small else ()
    # Of others not all is there; whoever reads them is told.
    whole = {row.content_id: row.data for row in rows if len(row.data) == sizes[row.content_id]}
    return {content_id: StoredSource(db, content_id, size, whole.get(content_id)) for content_id, size in sizes.items()}


def source_of(db: Database, mail_id: int, *where: ColumnElement[bool]) -> StoredSource | None:
    """Return where the raw bytes of a mail can be read; None where there is no such mail, or the conditions exclude it."""
    query = select(content.c.id, content.c.size).join(mail, mail.c.content_id == content.c.id).where(mail.c.id == mail_id, *where)
    with db.reading() as connection:
        found = connection.execute(query).one_or_none()
    return None if found is None else StoredSource(db, found.id, found.size)


#: Databases that this process reads from for another one, the one that was asked last standing last.
_databases: dict[str, Database] = {}
_MOST_DATABASES = 4


def _elsewhere(url: str, content_id: int, size: int) -> StoredSource:
    _databases[url] = found = _databases.pop(url) if url in _databases else Database(url)
    if len(_databases) > _MOST_DATABASES:
        _databases.pop(next(iter(_databases))).close()
    return StoredSource(found, content_id, size)
