"""What became of deliveries is committed in groups, while the next one is on its way."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import wait
from typing import TYPE_CHECKING

from gatewayd.errors import TransientError, kept

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor, Future

    from gatewayd.api.delivery import Settled, Taken
    from gatewayd.api.store import Store

__all__ = ["ResultCommitter"]

#: At most so many results are ahead of the disk: what a killed daemon sends a second time.
_AHEAD = 8
#: Fewer than so many wait for so many seconds: a commit costs as much as several deliveries to a quick server.
_COMPANY, _MOMENT = 4, 0.005


class ResultCommitter:
    """Keeps what became of deliveries until it is on the disk. Used by one thread; the commits are the executor's."""

    def __init__(
        self, store: Store, taker: str, executor: Executor, *, told: Callable[[Taken, Settled], None], wait: Callable[[], bool]
    ) -> None:
        """``told`` hears of each that is committed, in the executor's thread. ``wait`` waits a moment where the store is away.

        It returns whether to go on trying: what was sent and is not on the disk would be sent again.
        """
        self._store = store
        self._taker = taker
        self._executor = executor
        self._told = told
        self._wait = wait
        #: What is known and not on its way to the disk; filled by the one thread, emptied by the other.
        self._known: deque[tuple[Taken, Settled]] = deque()
        self._commits: deque[Future[None]] = deque()
        self._added = self._written = 0
        self._closing = False
        #: Why something could not be committed: it is sent again later, so nothing more may follow it.
        self.error: BaseException | None = None

    def add(self, taken: Taken, settled: Settled) -> None:
        """Have it committed soon; waits while too much is ahead of the disk. Raises what the store raised before."""
        self._closing = False
        self._known.append((taken, settled))
        self._added += 1
        self._commits.append(self._executor.submit(self._guarded_commit))
        while self._commits and (self._commits[0].done() or self._added - self._written >= _AHEAD):
            self._commits.popleft().result()

    def close(self) -> None:
        """Return when all is on the disk; raises what the store raised, and each time again."""
        self._closing = True
        wait(self._commits)
        self._commits.clear()
        if self.error is not None:
            raise self.error

    def _guarded_commit(self) -> None:
        try:
            self._commit()
        except BaseException as error:
            self.error = self.error or kept(error)
            raise

    def _commit(self) -> None:
        """Commit what is known by now; what few there are wait a moment for company."""
        if not self._known:
            return
        if len(self._known) < _COMPANY and not self._closing:
            time.sleep(_MOMENT)
        batch = [self._known.popleft() for _ in range(len(self._known))]
        ours = self._settled([settled for _, settled in batch])
        self._written += len(batch)
        for taken, settled in batch:
            if taken.id in ours:
                self._told(taken, settled)

    def _settled(self, batch: Sequence[Settled]) -> frozenset[int]:
        while True:
            try:
                return self._store.settle(self._taker, batch)
            except TransientError:
                if not self._wait():
                    raise
