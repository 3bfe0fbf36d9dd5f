"""What people ask of whichever daemon holds an account, and its answers."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from gatewayd import Answer, Request, RequestVerbs, Tally, Task
from gatewayd_sql.database import pieces
from gatewayd_sql.dialect import now
from gatewayd_sql.tables import request as table
from gatewayd_sql.times import packed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Row

    from gatewayd_sql.database import Database

__all__ = ["RequestTables"]

#: Seconds that an answer is kept for whoever asked.
_KEPT = 86400.0

_OPEN = table.c.answered_at.is_(None)


class RequestTables(RequestVerbs):
    """See ``RequestVerbs``."""

    _db: Database

    def ask(self, account: str, task: Task) -> int:
        """Ask for a visit; return the request's id."""
        row = {"account": account, "task": packed(asdict(task)), "asked_at": now(), "done": 0, "total": 0}
        with self._db.writing() as connection:
            connection.execute(delete(table).where(table.c.answered_at < now() - _KEPT))
            request_id: int = connection.execute(insert(table).values(row).returning(table.c.id)).scalar_one()
        return request_id

    def requests(self, accounts: Collection[str] | None = None, *, ids: Collection[int] | None = None) -> Sequence[Request]:
        """Return requests by id: those of ``ids``, or the unanswered ones, of ``accounts`` if given."""
        query = select(table)
        queries = [query.where(_OPEN)] if ids is None else [query.where(table.c.id.in_(piece)) for piece in pieces(set(ids))]
        with self._db.reading() as connection:
            rows = [row for each in queries for row in connection.execute(each)]
        # Few are unanswered at any time, and a daemon asks for thousands of accounts.
        wanted = None if accounts is None or ids is not None else frozenset(accounts)
        found = [_request(row) for row in rows if wanted is None or row.account in wanted]
        return sorted(found, key=lambda one: one.id)

    def progress(self, request_id: int, *, done: int, total: int) -> None:
        """Say how far an unanswered request is."""
        with self._db.writing() as connection:
            connection.execute(update(table).where(table.c.id == request_id, _OPEN).values(done=done, total=total))

    def answer(self, request_ids: Collection[int], answer: Answer) -> None:
        """Answer those of the requests that are not answered yet."""
        answered = update(table).where(_OPEN).values(answer=packed(asdict(answer)), answered_at=now())
        with self._db.writing() as connection:
            for piece in pieces(sorted(set(request_ids))):
                connection.execute(answered.where(table.c.id.in_(piece)))


def _request(row: Row[*tuple[Any, ...]]) -> Request:
    return Request(
        id=row.id,
        account=row.account,
        task=_task(row.task),
        done=row.done,
        total=row.total,
        answer=None if row.answer is None else _answer(row.answer),
    )


def _task(text: str) -> Task:
    read = json.loads(text)
    return Task(**read | {"keys": tuple(read["keys"])})


def _answer(text: str) -> Answer:
    read = json.loads(text)
    lists = {"problems": tuple(read["problems"]), "notes": tuple(read["notes"])}
    return Answer(**read | lists | {"tally": Tally(**read["tally"])})
