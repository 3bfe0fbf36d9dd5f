"""Commit the results of deliveries in groups, while the next delivery is on its way."""

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

#: At most so many results are not on the disk yet: a killed daemon sends these deliveries a second time.
_AHEAD = 8
#: Fewer results than the first number wait for more, for so many seconds: a commit costs as much as several quick deliveries.
_COMPANY, _MOMENT = 4, 0.005


class ResultCommitter:
    """Keeps the results of deliveries until they are on the disk. Used by one thread; the executor's thread commits."""

    def __init__(
        self, store: Store, taker: str, executor: Executor, *, told: Callable[[Taken, Settled], None], wait: Callable[[], bool]
    ) -> None:
        """``told`` is called with each result that is committed, in the executor's thread.

        ``wait`` is called while the store is away: it waits a moment, and returns whether to try again. A result that is not
        committed means that the delivery is sent a second time.
        """
        self._store = store
        self._taker = taker
        self._executor = executor
        self._told = told
        self._wait = wait
        #: Results that no commit has taken yet; filled by the one thread, emptied by the other.
        self._known: deque[tuple[Taken, Settled]] = deque()
        self._commits: deque[Future[None]] = deque()
        self._added = self._written = 0
        self._closing = False
        #: The first error of a commit: its deliveries are sent again later, so nothing more may be sent after them.
        self.error: BaseException | None = None

    def add(self, taken: Taken, settled: Settled) -> None:
        """Have a result committed soon; waits while too many are not on the disk. Raises what the store raised before."""
        self._closing = False
        self._known.append((taken, settled))
        self._added += 1
        self._commits.append(self._executor.submit(self._commit))
        while self._commits and (self._commits[0].done() or self._added - self._written >= _AHEAD):
            self._commits.popleft().result()

    def close(self) -> None:
        """Return when all results are on the disk. Raises what the store raised, each time that it is called."""
        self._closing = True
        wait(self._commits)
        self._commits.clear()
        if self.error is not None:
            raise self.error

    def _commit(self) -> None:
        """Commit the results that there are by now; a few wait a moment for more."""
        try:
            if self._known and len(self._known) < _COMPANY and not self._closing:
                time.sleep(_MOMENT)
            batch = [self._known.popleft() for _ in range(len(self._known))]
            ours = self._settled([settled for _, settled in batch]) if batch else frozenset()
            self._written += len(batch)
            for taken, settled in batch:
                if taken.id in ours:
                    self._told(taken, settled)
        except BaseException as error:
            self.error = self.error or kept(error)
            raise

    def _settled(self, batch: Sequence[Settled]) -> frozenset[int]:
        while True:
            try:
                return self._store.settle(self._taker, batch)
            except TransientError:
                if not self._wait():
                    raise
