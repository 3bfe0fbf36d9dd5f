"""Keep three batches of a folder under way: while one is filed, the next is matched, and the one behind it fetched."""

from __future__ import annotations

from collections import deque
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from concurrent.futures import Executor, Future

    from gatewayd.api.ledger import Waiting
    from gatewayd.importing.fetching import Batch
    from gatewayd.importing.sessions import Sessions
    from gatewayd.matching import MatchResult, MatchRun

__all__ = ["FetchedBatch", "Prefetcher"]

#: How many batches are fetched or matched or filed at a time: one of each, so that nobody waits for another.
_UNDER_WAY = 3


@dataclass(frozen=True, slots=True)
class FetchedBatch:
    """A batch that was fetched, and its matching, which goes on by itself."""

    batch: Batch
    matching: MatchRun

    def drop(self) -> None:
        """Let both go; what was filed by then is filed."""
        self.matching.drop()
        self.batch.spool.close()


class Prefetcher:
    """Fetches in the session's thread, which begins each matching, too: what has come does not wait for a batch that is filed."""

    def __init__(
        self,
        sessions: Sessions,
        thread: Executor,
        asked: Iterator[Sequence[Waiting]],
        fetched: Callable[[Sequence[Waiting]], FetchedBatch],
    ) -> None:
        """``fetched`` fetches one batch of ``asked`` and begins its matching; it runs in ``thread``, which is the session's."""
        self._sessions = sessions
        self._thread = thread
        self._asked = asked
        self._fetch = fetched
        self._queue: deque[Future[FetchedBatch]] = deque()
        #: The session broke, or a batch could not be had: nothing more is asked for.
        self._ended = False

    def matched(self) -> Generator[tuple[Batch, MatchResult]]:
        """Yield each batch, in order, with what matching found. The next one is taken when that is filed."""
        try:
            while True:
                while len(self._queue) < _UNDER_WAY and (asked := next(self._asked, None)) is not None:
                    self._queue.append(self._thread.submit(self._fetched, asked))
                if not self._queue:
                    return
                first = self._sessions.wait(self._queue[0])
                yield first.batch, first.matching.result(self._sessions.keep_alive)
                self._queue.popleft()
                first.drop()
        finally:
            self._close()

    def _fetched(self, asked: Sequence[Waiting]) -> FetchedBatch:
        if self._ended:
            raise CancelledError
        # Whatever goes wrong now is raised when this batch is the first one.
        self._ended = True
        fetched = self._fetch(asked)
        self._ended = fetched.batch.error is not None
        return fetched

    def _close(self) -> None:
        """Let all batches go, when the session has come to the end of what it is at: their keys are waiting still."""
        for future in self._queue:
            future.cancel()
        if any(future.running() for future in self._queue):
            self._sessions.abort()
        for future in self._queue:
            if not future.cancelled() and future.exception() is None:
                future.result().drop()
