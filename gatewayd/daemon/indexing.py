"""Index the words of filed mail in the background: of new mail within seconds, and of what an older database has, bit by bit."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError
from gatewayd.matching.word_process import WordProcess
from gatewayd.runtime import journal
from gatewayd.runtime.threads import started

if TYPE_CHECKING:
    from gatewayd.api.store import Store

__all__ = ["Indexing"]

#: How many mails are indexed at once, and of how many raw bytes.
_BATCH, _SIZE = 100, 16 << 20
#: Seconds between two looks for new mail, and until what failed is tried again.
_LOOK, _AGAIN = 1.0, 30.0
#: The index is written for at most this part of the time: whoever imports waits for the database meanwhile.
_PART = 0.1
#: Seconds without new mail after which the process ends.
_IDLE = 60.0


class _Closed(Exception):
    """The thread is told to end, in the middle of its work."""


class Indexing:
    """The thread, from its making to ``close``."""

    def __init__(self, store: Store, *, look: float = _LOOK, again: float = _AGAIN) -> None:
        self._store = store
        self._look, self._again = look, again
        self._process = WordProcess()
        self._worked_at = 0.0
        #: Until then the database is left to others.
        self._leave_until = 0.0
        self._closing = threading.Event()
        self._thread = started(self._run, "indexing")

    def close(self, timeout: float = 0.5) -> None:
        """End within ``timeout`` seconds, or leave the thread behind."""
        self._closing.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        pause = 0.0
        with closing(self._process):
            while not self._closing.wait(pause):
                try:
                    pause = self._turn()
                except _Closed:
                    return
                except GatewaydError:
                    # The supervisor reports that the store is away.
                    pause = self._again
                except Exception as error:  # noqa: BLE001  a bug must not end the thread
                    journal.own_fault("indexing", error)
                    pause = self._again

    def _turn(self) -> float:
        """Index a batch; return after how many seconds to look for the next one."""
        waiting = self._store.unindexed(_BATCH, size=_SIZE)
        if not waiting:
            if time.monotonic() > self._worked_at + _IDLE:
                self._process.close()
            return self._look
        words = self._process.words(waiting, self._go_on)
        self._closing.wait(max(0.0, self._leave_until - time.monotonic()))
        self._go_on()
        began = time.monotonic()
        self._store.index(words)
        self._worked_at = time.monotonic()
        self._leave_until = self._worked_at + (self._worked_at - began) * (1 - _PART) / _PART
        return 0.0 if len(waiting) == _BATCH else self._look

    def _go_on(self) -> None:
        if self._closing.is_set():
            raise _Closed
