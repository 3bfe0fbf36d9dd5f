"""What became of deliveries is committed in groups, while the next one is on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor, Future

    from gatewayd.delivery import Settled, Taken
    from gatewayd.store import Store

__all__ = ["Books"]

#: At most so many results are ahead of the disk: what a killed daemon sends a second time.
_AHEAD = 8


class Books:
    """Keeps what became of deliveries until it is on the disk. Used by one thread; the commits are the executor's."""

    def __init__(
        self, store: Store, owner: str, executor: Executor, *, told: Callable[[Taken, Settled], None], wait: Callable[[], bool]
    ) -> None:
        """``told`` hears of each that is committed, in the executor's thread. ``wait`` waits a moment where the store is away.

        It returns whether to go on trying: what was sent and is not on the disk would be sent again.
        """
        self._store = store
        self._owner = owner
        self._executor = executor
        self._told = told
        self._wait = wait
        self._known: list[tuple[Taken, Settled]] = []
        self._written: Future[None] | None = None
        self._ahead = 0

    def add(self, taken: Taken, settled: Settled) -> None:
        """Have it committed soon; waits while too much is ahead of the disk. Raises what the store raised before."""
        self._known.append((taken, settled))
        if self._written is None or self._written.done() or self._ahead + len(self._known) >= _AHEAD:
            self._write()

    def close(self) -> None:
        """Return when all is on the disk; raises what the store raises."""
        if self._known:
            self._write()
        self._settle()

    def _write(self) -> None:
        self._settle()
        batch, self._known = self._known, []
        self._ahead = len(batch)
        self._written = self._executor.submit(self._commit, batch)

    def _settle(self) -> None:
        written, self._written, self._ahead = self._written, None, 0
        if written is not None:
            written.result()

    def _commit(self, batch: Sequence[tuple[Taken, Settled]]) -> None:
        ours = self._settled([settled for _, settled in batch])
        for taken, settled in batch:
            if taken.id in ours:
                self._told(taken, settled)

    def _settled(self, batch: Sequence[Settled]) -> frozenset[int]:
        while True:
            try:
                return self._store.settle(self._owner, batch)
            except TransientError:
                if not self._wait():
                    raise
