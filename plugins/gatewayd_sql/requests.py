"""Keep the visits that people ask of a daemon, and its answers."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from gatewayd import Answer, Request, RequestVerbs, Tally, Task
from gatewayd_sql.dialect import now, one_of
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
        query = select(table).where(_OPEN if ids is None else one_of(table.c.id, ids)).order_by(table.c.id)
        rows = self._db.rows(query)
        # Few are unanswered at any time, and a daemon asks for thousands of accounts.
        wanted = None if accounts is None or ids is not None else frozenset(accounts)
        return [_request(row) for row in rows if wanted is None or row.account in wanted]

    def progress(self, request_id: int, *, done: int, total: int) -> None:
        """Say how far an unanswered request is."""
        with self._db.writing() as connection:
            connection.execute(update(table).where(table.c.id == request_id, _OPEN).values(done=done, total=total))

    def answer(self, request_ids: Collection[int], answer: Answer) -> None:
        """Answer those of the requests that are not answered yet."""
        answered = update(table).where(_OPEN).values(answer=packed(asdict(answer)), answered_at=now())
        with self._db.writing() as connection:
            connection.execute(answered.where(one_of(table.c.id, request_ids)))


def _request(row: Row[*tuple[Any, ...]]) -> Request:
    task = json.loads(row.task)
    answer = None
    if row.answer is not None:
        read = json.loads(row.answer)
        lists = {"problems": tuple(read["problems"]), "notes": tuple(read["notes"])}
        answer = Answer(**read | lists | {"tally": Tally(**read["tally"])})
    task = Task(**task | {"keys": tuple(task["keys"])})
    return Request(id=row.id, account=row.account, task=task, done=row.done, total=row.total, answer=answer)
