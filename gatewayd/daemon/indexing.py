"""Index the words of filed mail in the background: of new mail within seconds, and of what an older database has, bit by bit."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError, PermanentError
from gatewayd.message.mail import parse
from gatewayd.message.words import mail_words
from gatewayd.runtime import journal
from gatewayd.runtime.threads import started

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.store import Store
    from gatewayd.message.values import Source

__all__ = ["Indexing"]

#: How many mails are indexed at once, and of how many raw bytes.
_BATCH, _SIZE = 100, 16 << 20
#: Seconds between two looks for new mail, and until what failed is tried again.
_LOOK, _AGAIN = 1.0, 30.0


class Indexing:
    """The thread, from its making to ``close``."""

    def __init__(self, store: Store, *, look: float = _LOOK, again: float = _AGAIN) -> None:
        self._store = store
        self._look, self._again = look, again
        self._closing = threading.Event()
        self._thread = started(self._run, "indexing")

    def close(self, timeout: float = 0.5) -> None:
        """End within ``timeout`` seconds, or leave the thread behind."""
        self._closing.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        pause = 0.0
        while not self._closing.wait(pause):
            try:
                pause = self._turn()
            except GatewaydError:
                # The supervisor reports that the store is away.
                pause = self._again
            except Exception as error:  # noqa: BLE001  a bug must not end the thread
                journal.own_fault("indexing", error)
                pause = self._again

    def _turn(self) -> float:
        """Index a batch; return how many seconds to leave to others."""
        waiting = self._store.unindexed(_BATCH, size=_SIZE)
        if not waiting:
            return self._look
        began = time.monotonic()
        found = {}
        for one in waiting:
            found[one.mail_id] = _words(one.source)
            if self._closing.is_set():
                return 0.0
        self._store.index(found)
        return min(self._look, time.monotonic() - began)


def _words(source: Source) -> Sequence[Sequence[str]]:
    """Return a mail's words. One whose stored bytes are damaged has none: `gatewayd audit` tells of it."""
    try:
        return mail_words(parse(source))
    except PermanentError:
        return []
