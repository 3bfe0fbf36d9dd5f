"""Have mail cut into words by a process of its own, which other processes have the processor before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.matching.worker_messages import TaskEnded, WordsTask
from gatewayd.matching.worker_process import WorkerDied, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.api.store.search import Unindexed

__all__ = ["WordProcess"]

#: Bytes that the process may take, and seconds that it may take for a batch, by how long it runs.
_MEMORY, _DEADLINE = 512 << 20, 120.0
#: Seconds between two looks whether to go on.
_LOOK = 0.1


class WordProcess:
    """The process, which is started when it is needed first. Used by one thread."""

    def __init__(self, *, deadline: float = _DEADLINE) -> None:
        self._deadline = deadline
        self._process: WorkerProcess | None = None

    def words(self, mails: Sequence[Unindexed], go_on: Callable[[], None]) -> Mapping[int, Sequence[Sequence[str]]]:
        """Return the words of mails, by id. A mail that the process dies of, or does not get done with, has none.

        ``go_on`` is called several times a second, and may raise. Raises TransientError where no process can be had, or the mails
        can't be read now.
        """
        try:
            return self._asked(mails, go_on)
        except WorkerDied:
            self.close()
            if len(mails) == 1:
                return {mails[0].mail_id: []}
        half = len(mails) // 2
        return {**self.words(mails[:half], go_on), **self.words(mails[half:], go_on)}

    def _asked(self, mails: Sequence[Unindexed], go_on: Callable[[], None]) -> Mapping[int, Sequence[Sequence[str]]]:
        if self._process is None:
            self._process = WorkerProcess(_MEMORY)
            self._process.calm()
        process, until = self._process, time.monotonic() + self._deadline
        process.send(WordsTask(mails))
        while time.monotonic() < until:
            go_on()
            reply = process.receive(_LOOK)
            if isinstance(reply, TaskEnded):
                if reply.error:
                    raise reply.error
                return reply.words
        raise WorkerDied("it takes too long")

    def close(self) -> None:
        """End the process. Never raises."""
        if self._process is not None:
            self._process.kill()
        self._process = None
