"""Finish renames whose files are done: the daemon has let go of what they name, whether the command still runs or was killed."""

from __future__ import annotations

import time
from concurrent.futures import wait
from typing import TYPE_CHECKING

from gatewayd.config import free_names, is_due
from gatewayd.errors import GatewaydError
from gatewayd.runtime import journal
from gatewayd.runtime.threads import WorkerThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from concurrent.futures import Future

    from gatewayd.api.renames import Rename
    from gatewayd.api.store import Store
    from gatewayd.config import Config

__all__ = ["RenameFinishing"]

#: Seconds for which a config waits for the store, and between two tries of a rename that can't be finished yet.
_WAIT, _AGAIN = 2.0, 1.0


class RenameFinishing:
    """Used by the main thread. A thread of its own asks the store, which may keep it waiting."""

    def __init__(
        self, store: Store, dead: Callable[[str], bool], hurry: Callable[[Collection[str]], None], *, again: float = _AGAIN
    ) -> None:
        """``dead`` tells whether the holder of a lease has ended; ``hurry`` lets accounts be visited soon."""
        self._store = store
        self._dead = dead
        self._hurry = hurry
        self._again = again
        self._thread = WorkerThreads(1, "renames")
        self._config: Config | None = None
        self._due = False
        self._at = 0.0
        self._working: Future[bool] | None = None

    def apply(self, config: Config, *, patience: float = _WAIT) -> None:
        """Finish what this config shows to be due. Waits for at most ``patience`` seconds: then ``look`` goes on with it."""
        self._config = config
        self._due, self._at = True, 0.0
        until = time.monotonic() + patience
        self.look()
        while self._working is not None and time.monotonic() < until:
            wait([self._working], timeout=until - time.monotonic())
            self.look()

    def look(self) -> None:
        """Do what is due; called each second, and never waits."""
        if self._working is not None and self._working.done():
            if not self._working.result():
                self._due, self._at = True, time.monotonic() + self._again
            self._working = None
        if self._working is None and self._config and self._due and time.monotonic() >= self._at:
            self._due = False
            self._working = self._thread.submit(self._work, self._config)

    def close(self) -> None:
        """Stop asking the store."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    # --- in its own thread --------------------------------------------------------------------------------------------

    def _work(self, config: Config) -> bool:
        """Finish and free what can be; return whether nothing is left to do until the config changes."""
        try:
            free_names(config, self._store)
            due = [one for one in self._store.renames() if one.done_at is None and is_due(config, one)]
            # One that has to wait keeps no other one waiting.
            left = [one for one in due if not self._is_finished(one)]
        except GatewaydError:
            # The supervisor reports that.
            return False
        except Exception as error:  # noqa: BLE001  a store's bug must not end the daemon
            journal.own_fault("renames", error)
            return True
        return not left

    def _is_finished(self, one: Rename) -> bool:
        try:
            kept = self._store.finish_rename(one, dead=self._dead)
        except GatewaydError:
            # It is being worked on, and let go of soon.
            return False
        journal.renamed(one.kind, old=one.old, new=one.new, kept=kept)
        if one.kind == "account":
            self._hurry([one.new])
        return True
