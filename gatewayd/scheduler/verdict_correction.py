"""Match mail with provisional verdicts again when its directory has newer records, and write the directories' health to the store.

If the records changed, accounts that have mail from refused senders are visited: the visit decides again about that mail.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError
from gatewayd.importing.rematch import correct
from gatewayd.runtime import journal
from gatewayd.scheduler.background_matching import BackgroundMatching, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from gatewayd.api.directory import DirectoryLook
    from gatewayd.api.store import Store
    from gatewayd.config import Config
    from gatewayd.matching import OperatorSpec
    from gatewayd.matching.worker_matching import WorkerMatching
    from gatewayd.outgoing.routing import Router
    from gatewayd.runtime.events import Events

__all__ = ["Corrector"]

#: Seconds until the directories' health is written though nothing but the time of the look changed.
_QUIET = 10.0
#: Seconds after which work that failed is tried again.
_AGAIN = 60.0


class Corrector(BackgroundMatching):
    """Its methods may be called from any thread; none of them waits but ``stop``."""

    _room = "correcting"

    def __init__(
        self, store: Store, workers: WorkerMatching, instance: str, hurry: Callable[[Collection[str]], None], events: Events
    ) -> None:
        """``instance`` is this daemon's name; ``hurry`` lets accounts be visited soon."""
        super().__init__(store, workers)
        self._instance = instance
        self._hurry = hurry
        self._events = events
        #: Good looks that are not followed up yet, by operator; and the operators whose records changed.
        self._looks: dict[str, DirectoryLook] = {}
        self._changed: set[str] = set()
        #: When looks are tried again whose follow-up failed.
        self._later: dict[str, float] = {}
        self._tell_at = 0.0
        self._config: Config | None = None

    def apply(self, config: Config, specs: Mapping[str, OperatorSpec], router: Router | None) -> None:
        """Work with this config from now on."""
        self._config = config
        self._apply(specs, router)

    def looked(self, look: DirectoryLook) -> None:
        """Take note of a look at a directory."""
        with self._lock:
            if not look.error:
                self._looks[look.operator] = look
                if look.is_new or look.error_before:
                    self._changed.add(look.operator)
            if look.is_new or look.error != look.error_before:
                self._tell_at = 0.0
            self._lock.notify_all()

    # --- its thread ---------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        with self._lock:
            now = time.monotonic()
            ready = [name for name in self._looks if self._later.get(name, 0.0) <= now]
            if not ready and now < self._tell_at and not self._stopping.is_set():
                self._lock.wait(1.0)
            name = ready[0] if ready else ""
            look, changed = self._looks.pop(name, None), name in self._changed
            self._changed.discard(name)
        try:
            self._tell()
            if look is not None:
                self._follow_up(look, changed=changed)
                self._failed.pop((name, "directory"), None)
        except Stopped:
            raise
        except Exception as error:
            if look is not None:
                with self._lock:
                    self._later[name] = time.monotonic() + _AGAIN
                    self._looks.setdefault(name, look)
                    self._changed |= {name} if changed else set()
            if not isinstance(error, GatewaydError):
                raise
            self._report(name, "directory", error)

    def _tell(self) -> None:
        now = time.monotonic()
        if now < self._tell_at:
            return
        self._tell_at = now + _QUIET
        try:
            self._store.tell_directories([replace(one, holder=self._instance) for one in self._workers.directories.healths()])
            self._failed.pop(("", "directory"), None)
        except GatewaydError as error:
            self._report("", "directory", error)

    def _follow_up(self, look: DirectoryLook, *, changed: bool) -> None:
        spec, config = self._specs.get(look.operator), self._config
        if spec is None or config is None:
            return
        done = 0
        accounts = config.accounts
        again = correct(
            self._store, self._workers, spec, accounts, router=self._router, events=self._events, keep_alive=self._go_on
        )
        for count in again:
            done += count
            self._tell()
            self._go_on()
        if done:
            journal.rematched(look.operator, by="directory", done=done, mended=done)
        if changed:
            admitting = [one.name for one in accounts.values() if one.imports and look.operator in one.operators]
            self._hurry(self._store.with_refused(admitting) | self._store.with_offers(admitting))
