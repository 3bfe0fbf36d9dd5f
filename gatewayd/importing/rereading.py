"""What was filed with other bytes than the server lists is fetched once more, some time later: only the same bytes prove it.

A server whose sizes are estimates may send something else in place of a message for a while, such as the notice of a scanner, and
no size gives that away. So nothing is owed for such mail before its bytes came a second time.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gatewayd.api.ledger import Waiting
from gatewayd.api.sizes import reread_wait
from gatewayd.api.values import Came
from gatewayd.importing.fetching import cut, fetch, retry_after
from gatewayd.importing.replaced_keys import OTHERS, wait_anew

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.api.ledger import Lease
    from gatewayd.api.session import Session
    from gatewayd.api.sizes import Reread
    from gatewayd.importing.fetching import Batch
    from gatewayd.importing.values import VisitTools

__all__ = ["Rereader"]

#: How many keys are read from the ledger at once.
_AHEAD = 1000
#: So often is fetched what differs each time.
_TRIES = 4


@dataclass(slots=True, kw_only=True)
class _Had:
    """What came of messages when they were fetched once more."""

    #: The digests of their bytes, by key.
    digests: dict[str, bytes] = field(default_factory=dict)
    #: The sizes that the server lists by now.
    sizes: dict[str, int | None] = field(default_factory=dict)
    #: Keys that were answered for, with bytes or not.
    answered: set[str] = field(default_factory=set)
    error: BaseException | None = None


@dataclass(slots=True, kw_only=True)
class Rereader:
    """Fetches one account's mail once more, for the length of one visit."""

    tools: VisitTools
    lease: Lease
    #: Does one step with the session, in its thread.
    in_session: Callable[..., Batch]
    #: Told of each batch.
    fetched: Callable[[Batch], None]
    #: Raises what broke a batch off.
    check: Callable[[BaseException | None], None]
    #: Asks whether the visit may go on; raises where it may not.
    go_on: Callable[[], None]
    problem: Callable[[str], None]
    #: In how many seconds all is due that was not due yet.
    later: float = field(default=0.0, init=False)
    _done: set[int] = field(default_factory=set, init=False)

    def reread(self, folder: str) -> bool:
        """Have what is due of a folder; whether other bytes came than are filed, so that their keys wait anew."""
        others = 0
        while found := self.tools.store.rereads(self.lease.account, folder, limit=_AHEAD):
            due = {one.listed.key: one for one in found if one.due_in <= 0 and one.entry_id not in self._done}
            self._done |= {one.entry_id for one in due.values()}
            for asked in cut([_asked(one) for one in due.values()], self.tools.bounds):
                others += self._batch(folder, due, asked)
                self.go_on()
            if not due or len(found) < _AHEAD:
                self.later = max(one.due_in for one in found)
                break
        return others > 0

    def _batch(self, folder: str, due: Mapping[str, Reread], asked: Sequence[Waiting]) -> int:
        """Have a batch, and commit what that proves; return how many keys wait anew."""
        had = self._had(folder, asked)
        same = {key for key, digest in had.digests.items() if digest == due[key].digest}
        other = had.digests.keys() - same
        # What differs each time is no other message.
        again = self._had(folder, [one for one in asked if one.listed.key in other]) if other and not had.error else _Had()
        anew = {key for key in other if again.digests.get(key) == had.digests[key] and due[key].others < OTHERS}
        differs = {key: due[key] for key in other & again.digests.keys() - anew}
        undone = {key for key, one in differs.items() if one.others >= OTHERS or one.tries >= _TRIES}
        error = had.error or again.error
        left = [due[one.listed.key] for one in asked if one.listed.key not in same | anew | undone]
        if error is not None:
            # It may be this very message that ends sessions: next time others go first (P4).
            left = [one for one in left if one.listed.key in had.answered] if had.answered else left[:1]
        after = self.tools.bounds.reread_after
        self.tools.store.reread(
            self.lease,
            proven={due[key].entry_id: had.sizes[key] for key in same},
            later={
                one.entry_id: reread_wait(after, one.tries) if one.listed.key in differs else retry_after(one.tries) for one in left
            },
            undone={due[key].entry_id for key in undone},
        )
        if anew:
            others = [(replace(due[key].listed, size=had.sizes[key]), due[key].others) for key in sorted(anew)]
            self.problem(wait_anew(self.tools.store, self.lease, folder, others, "other bytes came when it was fetched once more"))
        if undone:
            such = f"{len(undone)} messages, such as {min(undone)}, come with other bytes each time"
            self.problem(f"{folder}: {such}: they stay as they are filed, and nothing is done to them on the server")
        self.check(error)
        return len(anew)

    def _had(self, folder: str, asked: Sequence[Waiting]) -> _Had:
        """Fetch a batch, and keep no more of it than its digests."""
        batch = self.in_session(self._fetched, folder, asked)
        self.fetched(batch)
        return _Had(
            digests={one.key: one.digest for one in batch.came if isinstance(one, Came)},
            sizes={**{one.listed.key: one.listed.size for one in asked}, **batch.unlike, **batch.sizes},
            answered={one.key for one in batch.came},
            error=batch.error,
        )

    def _fetched(self, session: Session, folder: str, asked: Sequence[Waiting]) -> Batch:
        # Its own bounds apply; nothing of it is read any more when it is closed.
        with closing(self.tools.owner.spool()) as spool:
            return fetch(session, folder, asked, spool, self.tools.bounds.message, estimates=lambda _: True)


def _asked(one: Reread) -> Waiting:
    return Waiting(entry_id=one.entry_id, listed=one.listed, backlog=True, tries=one.tries)
