"""The pipeline of one folder: while one batch is filed, the next is matched, and the one behind it fetched."""

from __future__ import annotations

from collections import deque
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.api.sizes import Sizes
from gatewayd.importing.fetching import fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from gatewayd.api.ledger import Waiting
    from gatewayd.api.session import Session
    from gatewayd.importing.fetching import Batch
    from gatewayd.importing.values import VisitTools
    from gatewayd.matching import MatchRun

__all__ = ["PrefetchedBatch", "Prefetcher"]

#: How many batches are fetched, matched or filed at a time: one of each, so that nobody waits for another.
_UNDER_WAY = 3


@dataclass(frozen=True, slots=True)
class PrefetchedBatch:
    """A batch that was fetched, and its match run, which goes on by itself."""

    batch: Batch
    match_run: MatchRun

    def drop(self) -> None:
        """Let both go; what was filed by then is filed."""
        self.match_run.drop()
        self.batch.spool.close()


class Prefetcher:
    """Fetches in the session's thread, which begins each match run, too: what has come waits for no batch that is filed."""

    def __init__(
        self,
        session: Session,
        folder: str,
        batches: Iterator[Sequence[Waiting]],
        *,
        tools: VisitTools,
        begin: Callable[[Batch], MatchRun],
        sizes: Callable[[], Sizes],
    ) -> None:
        """``begin`` is called in the session's thread; so is ``sizes``, which says of the messages before what theirs are worth."""
        self._session = session
        self._folder = folder
        self._batches = batches
        self._tools = tools
        self._begin = begin
        self._sizes = sizes
        #: Those of the batches that had wrong ones: they may not be filed yet.
        self._odd = Sizes()
        self._line: deque[Future[PrefetchedBatch]] = deque()
        #: The session broke, or a batch could not be had: nothing more is asked for.
        self._ended = False

    def first(self) -> Future[PrefetchedBatch] | None:
        """Return the batch that comes first, and see that those behind it are on their way; None where nothing waits."""
        while len(self._line) < _UNDER_WAY and (asked := next(self._batches, None)) is not None:
            self._line.append(self._tools.fetcher.submit(self._fetched, asked))
        return self._line[0] if self._line else None

    def done(self) -> None:
        """Let the first batch go, now that it is filed."""
        self._line.popleft().result().drop()

    @property
    def fetching(self) -> bool:
        """Whether the session is at work."""
        return any(future.running() for future in self._line)

    def cancel(self) -> None:
        """Fetch nothing more."""
        for future in self._line:
            future.cancel()

    def close(self) -> None:
        """Let all batches go, when the session has come to the end of what it is at: their keys are waiting still."""
        self.cancel()
        for future in self._line:
            if not future.cancelled() and future.exception() is None:
                future.result().drop()
        self._line.clear()

    def _fetched(self, asked: Sequence[Waiting]) -> PrefetchedBatch:
        if self._ended:
            raise CancelledError
        # Whatever goes wrong now is told when this batch is the first one.
        self._ended = True
        batch = fetch(
            self._session,
            self._folder,
            asked,
            self._tools.owner.spool(),
            self._tools.bounds.message,
            estimates=self._estimates,
        )
        try:
            begun = PrefetchedBatch(batch, self._begin(batch))
        except BaseException:
            batch.spool.close()
            raise
        self._ended = batch.error is not None
        return begun

    def _estimates(self, sizes: Sizes) -> bool:
        self._odd += sizes
        return (self._odd + self._sizes()).are_estimates
