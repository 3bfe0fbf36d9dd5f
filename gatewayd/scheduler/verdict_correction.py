"""Follows up on looks at directories: verdicts that were provisional are given again, and how directories are is told.

Accounts with mail that is not admitted are visited when an operator's records changed: the visit judges it again. One thread does
all of it, so that it is never in new mail's way.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError
from gatewayd.importing.rematch import correct
from gatewayd.runtime import journal
from gatewayd.runtime.threads import started

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from gatewayd.api.directory import DirectoryLook
    from gatewayd.api.store import Store
    from gatewayd.config import Config
    from gatewayd.matching import OperatorSpec
    from gatewayd.matching.worker_matching import WorkerMatching
    from gatewayd.outgoing.routing import Router

__all__ = ["Corrector"]

#: Seconds until how directories are is told though nothing but the time of the look changed.
_QUIET = 10.0
#: Seconds after which what could not be done is tried again.
_AGAIN = 60.0


class _Stopped(Exception):
    """It is told to end."""


class Corrector:
    """Its methods may be called from any thread; none of them waits but ``stop``."""

    def __init__(self, store: Store, workers: WorkerMatching, holder: str, hurry: Callable[[Collection[str]], None]) -> None:
        """``holder`` is this daemon, and ``hurry`` lets accounts be visited soon."""
        self._store = store
        self._workers = workers
        self._holder = holder
        self._hurry = hurry
        self._door = threading.Condition()
        #: The last good look at each directory that was not followed up, and whose records changed with it.
        self._looks: dict[str, DirectoryLook] = {}
        self._changed: set[str] = set()
        #: When those are tried again that could not be followed up.
        self._later: dict[str, float] = {}
        #: What keeps us from it, as the log told it.
        self._failed: dict[str, str] = {}
        self._tell_at = 0.0
        self._stopping = False
        self._config: Config | None = None
        self._specs: Mapping[str, OperatorSpec] = {}
        self._router: Router | None = None
        self._thread: threading.Thread | None = None

    def apply(self, config: Config, specs: Mapping[str, OperatorSpec], router: Router | None) -> None:
        """Work with this config from now on."""
        self._config, self._specs, self._router = config, specs, router
        if self._thread is None:
            self._thread = started(self._run, "correcting")

    def looked(self, look: DirectoryLook) -> None:
        """Take note of a look at a directory."""
        with self._door:
            if look.good:
                self._looks[look.operator] = look
                if look.is_new or look.error_before:
                    self._changed.add(look.operator)
            if look.is_new or look.error != look.error_before:
                self._tell_at = 0.0
            self._door.notify_all()

    def stop(self, timeout: float) -> None:
        """End within ``timeout`` seconds, or leave the thread behind."""
        with self._door:
            self._stopping = True
            self._door.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)

    # --- its thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                self._go_on()
                self._turn()
            except _Stopped:
                return
            except Exception as error:  # noqa: BLE001  a bug must not end the thread
                journal.own_fault("correcting", error)

    def _turn(self) -> None:
        with self._door:
            now = time.monotonic()
            ready = [name for name in self._looks if self._later.get(name, 0.0) <= now]
            if not ready and now < self._tell_at and not self._stopping:
                self._door.wait(1.0)
            name = ready[0] if ready else ""
            look, changed = self._looks.pop(name, None), name in self._changed
            self._changed.discard(name)
        try:
            self._tell()
            if look is not None:
                self._follow_up(look, changed=changed)
                self._failed.pop(name, None)
        except _Stopped:
            raise
        except Exception as error:
            if look is not None:
                self._put_back(look, changed=changed)
            if not isinstance(error, GatewaydError):
                raise
            # The store is away, or no worker can be had.
            self._say(name, error)

    def _put_back(self, look: DirectoryLook, *, changed: bool) -> None:
        with self._door:
            self._later[look.operator] = time.monotonic() + _AGAIN
            self._looks.setdefault(look.operator, look)
            if changed:
                self._changed.add(look.operator)

    def _tell(self) -> None:
        now = time.monotonic()
        if now < self._tell_at:
            return
        self._tell_at = now + _QUIET
        try:
            self._store.tell_directories([replace(one, holder=self._holder) for one in self._workers.directories.healths()])
            self._failed.pop("", None)
        except GatewaydError as error:
            self._say("", error)

    def _say(self, name: str, error: GatewaydError) -> None:
        """Tell what keeps us from it, once for each cause."""
        if self._failed.get(name) != error.sentences:
            journal.rematch_failed(name, error, by="directory")
        self._failed[name] = error.sentences

    def _follow_up(self, look: DirectoryLook, *, changed: bool) -> None:
        spec, config = self._specs.get(look.operator), self._config
        if spec is None or config is None:
            return
        done = 0
        accounts = config.accounts
        for count in correct(self._store, self._workers, spec, accounts, router=self._router, keep_alive=self._go_on):
            done += count
            self._tell()
            self._go_on()
        if done:
            journal.rematched(look.operator, by="directory", done=done, mended=done)
        if changed:
            admitting = [one.name for one in accounts.values() if one.imports and look.operator in one.operators]
            self._hurry(self._store.with_refused(admitting))

    def _go_on(self) -> None:
        if self._stopping:
            raise _Stopped
