"""Match mail in error queues again when the cause of its fault may be over.

That is when a breaker is due for a trial or has closed, when an operator's directory is back or its file is sound again, or when
a matcher has other code or options than when it last ran.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.api.queries import Query, Viewer
from gatewayd.errors import GatewaydError
from gatewayd.importing.rematch import retry, retry_put_off
from gatewayd.runtime import journal
from gatewayd.scheduler.background_matching import BackgroundMatching, Stopped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.api.store import Store
    from gatewayd.config import Config
    from gatewayd.matching import OperatorSpec
    from gatewayd.matching.worker_matching import WorkerMatching
    from gatewayd.outgoing.routing import Router

__all__ = ["Rematcher"]

#: Causes of faults other than a matcher.
_DIRECTORY, _CONFIG = "directory", "config"
#: Mail that was filed without matching, for want of time. No matcher has this name.
_PUT_OFF = "put off"
#: Seconds that the thread waits for something to do at a time.
_WAIT = 1.0
#: Seconds after which work that failed is tried again.
_AGAIN = 60.0


class Rematcher(BackgroundMatching):
    """Its methods may be called from any thread; none of them waits but ``stop``."""

    _room = "rematching"

    def __init__(self, store: Store, workers: WorkerMatching) -> None:
        super().__init__(store, workers)
        #: The work in its order, by operator and by the cause of faults; and when work that failed is tried again.
        self._queued: dict[tuple[str, str], None] = {}
        self._later: dict[tuple[str, str], float] = {}
        self._viewers: Mapping[str, Viewer] = {}
        self._fingerprints: Mapping[str, Mapping[str, str]] = {}

    def apply(
        self,
        config: Config,
        specs: Mapping[str, OperatorSpec],
        fingerprints: Mapping[str, Mapping[str, str]],
        router: Router | None = None,
    ) -> None:
        """Work with this config from now on; ``fingerprints`` are those of all operators' matchers, by operator and kind."""
        self._viewers = {
            name: Viewer(operator=name, users=tuple(one.users), withheld=True) for name, one in config.operators.items()
        }
        self._fingerprints = fingerprints
        self._apply(specs, router)
        for name in specs:
            self.wake(name, _CONFIG)

    def wake(self, operator: str, by: str) -> None:
        """Match mail again that has faults of ``by``: a matcher, ``directory``, or ``config`` for whatever other code may mend."""
        with self._lock:
            self._queued.setdefault((operator, by))
            self._lock.notify_all()

    def put_off(self, operator: str) -> None:
        """Match mail that was filed without matching, for want of time."""
        self.wake(operator, _PUT_OFF)

    def directory_back(self, operator: str) -> None:
        """Match mail again that was filed without the directory."""
        self.wake(operator, _DIRECTORY)

    def breaker(self, operator: str, by: str, changed: str) -> None:
        """Match mail again that was filed while a breaker was open, once it is closed."""
        if changed == "closed":
            self.wake(operator, by)

    def look(self) -> None:
        """Try matchers whose breaker is due for a trial, and directories that were down, even if no new mail comes."""
        for operator, by in self._workers.breakers.due():
            self.wake(operator, by)
        for operator in self._workers.directories.due():
            self.wake(operator, _DIRECTORY)
        with self._lock:
            now = time.monotonic()
            for key in [key for key, at in self._later.items() if at <= now]:
                del self._later[key]
                self.wake(*key)

    # --- its thread ---------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        with self._lock:
            if not self._queued:
                self._lock.wait(_WAIT)
            key = next(iter(self._queued), None)
            if key is None:
                return
            del self._queued[key]
        try:
            self._go_on()
            self._work(*key)
            self._failed.pop(key, None)
        except Stopped:
            raise
        except Exception as error:
            with self._lock:
                self._later[key] = time.monotonic() + _AGAIN
            if not isinstance(error, GatewaydError):
                raise
            self._report(*key, error)

    def _work(self, operator: str, by: str) -> None:
        spec, viewer = self._specs.get(operator), self._viewers.get(operator)
        if spec is None or viewer is None or spec.faulty:
            return
        if by != _CONFIG:
            self._retry(spec, viewer, by)
            return
        now, before = self._fingerprints.get(operator, {}), self._store.fingerprints(operator)
        # Also for a matcher that the operator no longer has: its faults are dropped then.
        changed = [one for one, fingerprint in before.items() if now.get(one) != fingerprint and one != _DIRECTORY]
        for one in (_CONFIG, _DIRECTORY, *changed):
            self._retry(spec, viewer, one)
        if now != before:
            # Not before, so that the next start repeats work that was interrupted.
            self._store.remember_fingerprints(operator, now)
        self._retry(spec, viewer, _PUT_OFF)

    def _retry(self, spec: OperatorSpec, viewer: Viewer, by: str) -> None:
        name, put_off, done, mended = spec.operator.name, by == _PUT_OFF, 0, 0
        retry_all, query = (retry_put_off, Query()) if put_off else (retry, Query(fault_by=by))
        for batch in retry_all(self._store, self._workers, spec, viewer, query, router=self._router, keep_alive=self._go_on):
            self._go_on()
            still = sum(any(put_off or fault.by == by for fault in one.faults) for one in batch)
            done, mended = done + len(batch), mended + len(batch) - still
            down = by == _DIRECTORY or (name, by) in self._workers.breakers.open()
            if batch and still == len(batch) and down:
                # The rest would only get the same fault.
                break
        if done:
            journal.rematched(name, by=by, done=done, mended=mended)
