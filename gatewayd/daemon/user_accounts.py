"""Take up the mailboxes that users add, change and remove while the daemon runs."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd.config import UserPasswords, with_user_accounts
from gatewayd.errors import GatewaydError
from gatewayd.runtime import journal
from gatewayd.runtime.threads import WorkerThreads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from gatewayd.api.store import Store
    from gatewayd.api.store.user_accounts import UserAccount
    from gatewayd.config import Config

__all__ = ["UserAccounts"]

#: Seconds for which a config waits for the store, and between two looks at it.
_WAIT, _LOOK = 5.0, 1.0


class UserAccounts:
    """Used by the main thread. A thread of its own asks the store, which may keep it waiting."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = WorkerThreads(1, "mailboxes")
        #: What runs.
        self._taken: Sequence[UserAccount] = ()
        self._read: Sequence[UserAccount] = ()
        self._reading: Future[Sequence[UserAccount] | None] | None = None
        self._at = 0.0

    def added(self, config: Config) -> Config:
        """Return a config with the mailboxes that users added; while the store is away, with those that were there before.

        The config's users are those whom the store has by now.
        """
        # What is being read may be from before they were.
        self._reading = self._thread.submit(self._rows)
        until = time.monotonic() + _WAIT
        with suppress(TimeoutError):
            self._keep(self._reading.result(timeout=until - time.monotonic()))
        self._taken = self._read
        return with_user_accounts(config, self._taken, UserPasswords(config, self._store).opened)

    def look(self) -> bool:
        """Whether there are others than those that run; called each second, and never waits."""
        if self._reading is not None and self._reading.done():
            self._keep(self._reading.result())
        if self._reading is None and time.monotonic() >= self._at:
            self._reading = self._thread.submit(self._rows)
        return self._read != self._taken

    def close(self) -> None:
        """Stop asking the store."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _keep(self, rows: Sequence[UserAccount] | None) -> None:
        self._reading, self._at = None, time.monotonic() + _LOOK
        if rows is not None:
            self._read = rows

    # --- in its own thread --------------------------------------------------------------------------------------------

    def _rows(self) -> Sequence[UserAccount] | None:
        try:
            return self._store.user_accounts()
        except GatewaydError:
            # The supervisor reports that.
            return None
        except Exception as error:  # noqa: BLE001  a store's bug must not end the daemon
            journal.own_fault("mailboxes", error)
            return None
