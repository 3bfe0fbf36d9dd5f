"""Fetch mail again whose stored size differs from the listed one: only if the same bytes come may its message on the server be
touched.

A server whose sizes are estimates may for a while send something else in place of a message, such as the notice of a scanner, and
no size shows that. So nothing is owed for such mail before its bytes have come a second time.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gatewayd.api.ledger import Waiting
from gatewayd.api.values import Came
from gatewayd.importing.fetching import cut, fetch
from gatewayd.importing.outcomes import reread_wait, retry_after
from gatewayd.importing.settling import OTHERS, wait_anew

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd.api.session import Session
    from gatewayd.api.sizes import Reread
    from gatewayd.importing.context import VisitContext
    from gatewayd.importing.fetching import Batch

__all__ = ["Rereader"]

#: How many keys are read from the ledger at once.
_AHEAD = 1000
#: How often a message is fetched whose bytes differ each time.
_TRIES = 4


@dataclass(slots=True, kw_only=True)
class _Fetched:
    """The messages of a batch when they were fetched once more."""

    #: The digests of their bytes, by key.
    digests: dict[str, bytes] = field(default_factory=dict)
    #: The sizes that the server lists now.
    sizes: dict[str, int | None] = field(default_factory=dict)
    #: Keys that the server answered for, with bytes or without.
    answered: set[str] = field(default_factory=set)
    error: BaseException | None = None


class Rereader:
    """Fetches one account's mail once more, in one visit."""

    def __init__(self, context: VisitContext) -> None:
        self._context = context
        self._store = context.store
        self._lease = context.lease
        #: Entries that were asked for in this visit.
        self._done: set[int] = set()

    def reread(self, folder: str) -> bool:
        """Fetch the mail of a folder that is due; whether some keys wait anew, because other bytes came than are filed."""
        others, limits = 0, self._context.tools.limits
        while found := self._store.rereads(self._lease.account, folder, limit=_AHEAD):
            due = {one.listed.key: one for one in found if one.due_in <= 0 and one.entry_id not in self._done}
            self._done |= {one.entry_id for one in due.values()}
            waiting = [Waiting(entry_id=one.entry_id, listed=one.listed, backlog=True, tries=one.tries) for one in due.values()]
            for asked in cut(waiting, messages=limits.batch_messages, size=limits.batch_bytes):
                others += self._batch(folder, due, asked)
                self._context.go_on()
            if not due or len(found) < _AHEAD:
                self._context.reporter.later(max(one.due_in for one in found))
                break
        return others > 0

    def _batch(self, folder: str, due: Mapping[str, Reread], asked: Sequence[Waiting]) -> int:
        """Fetch a batch, and commit what that proves; return how many keys wait anew."""
        had = self._fetched(folder, asked)
        same = {key for key, digest in had.digests.items() if digest == due[key].digest}
        other = had.digests.keys() - same
        # Bytes that differ each time do not make another message.
        again = self._fetched(folder, [one for one in asked if one.listed.key in other]) if other and not had.error else _Fetched()
        anew = {key for key in other if again.digests.get(key) == had.digests[key] and due[key].others < OTHERS}
        differs = {key: due[key] for key in other & again.digests.keys() - anew}
        undone = {key for key, one in differs.items() if one.others >= OTHERS or one.tries >= _TRIES}
        error = had.error or again.error
        left = [due[one.listed.key] for one in asked if one.listed.key not in same | anew | undone]
        if error is not None:
            # Perhaps this very message ends sessions: next time others go first (P4).
            left = [one for one in left if one.listed.key in had.answered] if had.answered else left[:1]
        after = self._context.tools.limits.reread_after
        self._store.reread(
            self._lease,
            proven={due[key].entry_id: had.sizes[key] for key in same},
            later={
                one.entry_id: reread_wait(after, one.tries) if one.listed.key in differs else retry_after(one.tries) for one in left
            },
            undone={due[key].entry_id for key in undone},
        )
        if anew:
            others = [(replace(due[key].listed, size=had.sizes[key]), due[key].others) for key in sorted(anew)]
            self._context.reporter.problem(
                wait_anew(self._store, self._lease, folder, others, "other bytes came when it was fetched once more")
            )
        if undone:
            such = f"{len(undone)} messages, such as {min(undone)}, come with other bytes each time"
            self._context.reporter.problem(
                f"{folder}: {such}: they stay as they are filed, and nothing is done to them on the server"
            )
        self._context.sessions.check(error)
        return len(anew)

    def _fetched(self, folder: str, asked: Sequence[Waiting]) -> _Fetched:
        """Fetch a batch, and keep no more of it than its digests."""
        tools = self._context.tools

        def fetched(session: Session) -> Batch:
            # The spool is read no more when it is closed.
            with closing(tools.instance.spool()) as spool:
                return fetch(session, folder, asked, spool, tools.limits.message_bytes, estimates=lambda _: True)

        batch = self._context.sessions.call(fetched)
        self._context.meter.fetched(batch)
        return _Fetched(
            digests={one.key: one.digest for one in batch.came if isinstance(one, Came)},
            sizes={**{one.listed.key: one.listed.size for one in asked}, **batch.unlike, **batch.sizes},
            answered={one.key for one in batch.came},
            error=batch.error,
        )
