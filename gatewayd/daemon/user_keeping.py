"""Have the store keep which users the config has, so that what belonged to one who has left is void."""

from __future__ import annotations

import time
from concurrent.futures import wait
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError
from gatewayd.runtime import journal
from gatewayd.runtime.threads import WorkerThreads

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from concurrent.futures import Future

    from gatewayd.api.store import Store
    from gatewayd.config import Config

__all__ = ["UserKeeping"]

#: Seconds for which a config waits for the store, and between two tries of what the store could not do.
_WAIT, _AGAIN = 5.0, 5.0


class UserKeeping:
    """Used by the main thread. A thread of its own asks the store, which may keep it waiting."""

    def __init__(self, store: Store, *, again: float = _AGAIN) -> None:
        self._store = store
        self._again = again
        self._thread = WorkerThreads(1, "users")
        #: What was loaded and is not kept yet, the oldest first: who left and came back meanwhile has left.
        self._due: list[tuple[Mapping[str, Collection[str]], Collection[str]]] = []
        self._keeping: Future[bool] | None = None
        self._at = 0.0

    def apply(self, config: Config, *, patience: float = _WAIT) -> None:
        """Keep the users of a config. Returns when that is done, or after ``patience`` seconds: then ``look`` goes on with it."""
        users = {name: tuple(one.users) for name, one in config.operators.items() if not one.faulty}
        self._due.append((users, tuple(name for name, one in config.operators.items() if one.faulty)))
        self._at = 0.0
        until = time.monotonic() + patience
        self.look()
        while self._keeping is not None and time.monotonic() < until:
            wait([self._keeping], timeout=until - time.monotonic())
            self.look()

    def look(self) -> None:
        """Do what is due; called each second, and never waits."""
        if self._keeping is not None and self._keeping.done():
            kept = self._keeping.result()
            self._keeping, self._at = None, 0.0 if kept else time.monotonic() + self._again
            del self._due[:kept]
        if self._keeping is None and self._due and time.monotonic() >= self._at:
            self._keeping = self._thread.submit(self._keep, *self._due[0])

    def close(self) -> None:
        """Stop asking the store."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    # --- in its own thread --------------------------------------------------------------------------------------------

    def _keep(self, users: Mapping[str, Collection[str]], unknown: Collection[str]) -> bool:
        """Keep the users of one config; return whether that is done with."""
        try:
            left = self._store.keep_users(users, unknown=unknown)
        except GatewaydError:
            # The supervisor reports that.
            return False
        except Exception as error:  # noqa: BLE001  a store's bug must not end the daemon
            journal.own_fault("users", error)
            return False
        for one in left:
            journal.user_left(one.operator, one.name)
        return True
