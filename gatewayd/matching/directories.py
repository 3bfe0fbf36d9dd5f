"""Look at operators' directories regularly and when their files change, whether mail comes or not.

Each look is made by a process of its own and may take minutes. A batch waits only for a look that is due, and not for ever: the
first one, one after a change that was seen, or one that is overdue. Mail that is filed without it is judged again after the look.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.api.directory import Basis, Contents, DirectoryHealth, DirectoryLook
from gatewayd.errors import GatewaydError
from gatewayd.matching.directory_looks import VersionStep, directory_look
from gatewayd.matching.values import DirectoryCheck
from gatewayd.matching.worker_messages import WorkerTask
from gatewayd.matching.worker_tasks import run_task
from gatewayd.runtime import journal
from gatewayd.runtime.backoff import Backoff
from gatewayd.runtime.threads import started
from gatewayd.runtime.traces import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from gatewayd.matching.values import OperatorSpec
    from gatewayd.matching.worker_messages import PickledSpec
    from gatewayd.matching.worker_pool import WorkerPool

__all__ = ["Directories"]

#: Seconds between two looks; after one whose process had to be ended, more. Without one for so long, a look is overdue.
_LOOK, _AFTER_DEATH, _OVERDUE = 5.0, 60.0, 15.0
#: Seconds that a batch waits for a look that is due, and that a look may take at all.
_PATIENCE, LONGEST = 20.0, 900.0
#: When mail that was filed without the directory is tried again: after 15 seconds, and at last each 300. Without jitter.
_RETRY = Backoff(first=15.0, longest=300.0, spread=0.0)
#: The longest sleep of a thread, in seconds.
_NAP = 0.5
#: For how many versions it is remembered whose contacts changed.
_STEPS = 8


@dataclass(slots=True)
class _DirectoryState:
    """One operator's directory, as far as it is known. Times are on the clock of ``Directories``."""

    spec: OperatorSpec
    looking: bool = False
    #: When the next look is due, and when the last one began that has come to its end.
    due: float = 0.0
    covered: float | None = None
    #: When a file was last seen to change.
    changed: float | None = None
    #: A batch waited in vain: the next one does not, before a look has come to its end.
    vain: bool = False
    look: DirectoryLook | None = None
    steps: list[VersionStep] = field(default_factory=list)
    #: Faults that ``refresh`` has not returned yet.
    untold: tuple[str, ...] = ()
    #: Mail was filed without it: when that is tried again, and how often it has failed.
    retry_at: float | None = None
    failures: int = 0

    @property
    def pending(self) -> bool:
        """Whether a look has to be made yet: the first one, or one after a change."""
        return self.covered is None or (self.changed is not None and self.changed >= self.covered)


class Directories:
    """The directories of all operators. Every method may be called from any thread."""

    def __init__(
        self,
        pool: WorkerPool,
        pickle_spec: Callable[[OperatorSpec], PickledSpec],
        back: Callable[[str], object],
        *,
        looked: Callable[[DirectoryLook], object] | None = None,
    ) -> None:
        """``back`` is called with an operator whose directory answers again, ``looked`` with each look; both must not wait."""
        self._pool = pool
        self._pickle = pickle_spec
        self._back = back
        self._looked = looked
        self._patience = _PATIENCE
        self._clock = time.monotonic
        self._lock = threading.Condition()
        self._known: dict[str, _DirectoryState] = {}
        #: The operators whose directories are looked at; None before the first ``attend``.
        self._attended: frozenset[str] | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def attend(self, specs: Mapping[str, OperatorSpec]) -> None:
        """Look at the directories of these operators from now on, and of no others."""
        with self._lock:
            self._attended = frozenset(specs)
            for name in self._known.keys() - specs.keys():
                del self._known[name]
            for spec in specs.values():
                self._of(spec)
            self._lock.notify_all()

    def _of(self, spec: OperatorSpec) -> _DirectoryState | None:
        """Return the state of an operator's directory; None where there is none to look at."""
        name = spec.operator.name
        # A visit that is under way may still ask for an operator that the config has no more.
        gone = self._attended is not None and name not in self._attended
        if spec.directory is None or spec.faulty or gone:
            self._known.pop(name, None)
            return None
        known = self._known.get(name)
        if known is None or known.spec.directory != spec.directory or known.spec.place != spec.place:
            retry_at = known.retry_at if known else None
            known = self._known[name] = _DirectoryState(spec, retry_at=retry_at, failures=0 if retry_at is None else 1)
            if self._thread is None and not self._closed:
                self._thread = started(self._run, "directories")
            self._lock.notify_all()
        return known

    def touched(self, paths: Collection[Path]) -> None:
        """Note that files or folders changed: directories that lie there are looked at now."""
        with self._lock:
            for known in self._known.values():
                folders = known.look.contents.folders if known.look else ()
                if any(folder in {path, path.parent} for path in paths for folder in folders):
                    known.changed = known.due = self._clock()
            self._lock.notify_all()

    @property
    def folders(self) -> frozenset[Path]:
        """The folders whose changes are to be reported to ``touched``."""
        with self._lock:
            return frozenset(folder for known in self._known.values() if known.look for folder in known.look.contents.folders)

    # --- answers ------------------------------------------------------------------------------------------------------

    def refresh(self, spec: OperatorSpec) -> list[str]:
        """See ``Matching``. Wait for a look that is due and return its faults, unless ``looked`` gets them anyway."""
        with self._lock:
            known = self._of(spec)
            if known is None or self._looked is not None:
                return []
            waits = not known.vain
            self._await(known)
            faults, known.untold = known.untold, ()
            if known.covered is None:
                late = "mail goes on without it and is judged again by itself"
                return [f"its directory is not ready after {self._patience:g} s; {late}"] if waits and not self._closed else []
            return list(faults)

    def basis(self, spec: OperatorSpec) -> Basis | None:
        """See ``Matching``."""
        with self._lock:
            known = self._of(spec)
            if known is None:
                return None
            self._await(known)
            look = known.look
            if look is None:
                return Basis(fault="its directory is not ready")
            waits = "its files have changed and are not taken over yet" if known.pending else ""
            return Basis(loaded_at=look.loaded_at, version=look.version, fault=look.error or waits)

    def _await(self, known: _DirectoryState) -> None:
        """Wait for a look that is due, for a bounded time."""
        began = self._clock()
        until = began + self._patience
        late = known.covered is not None and began - known.covered > _OVERDUE
        covered = known.covered
        while not (self._closed or known.vain) and (known.pending or (late and known.covered == covered)):
            left = until - self._clock()
            if left <= 0:
                known.vain = True
                return
            self._lock.wait(min(left, _NAP))

    def changed(self, operator: str, version: str) -> Collection[str] | None:
        """See ``Matching``."""
        with self._lock:
            known = self._known.get(operator)
            if known is None or known.look is None or not version:
                return None
            now, changed = known.look.version, set[str]()
            for step in reversed(known.steps):
                if now == version:
                    break
                if step.after != now or step.changed is None:
                    return None
                changed |= step.changed
                now = step.before
            return changed if now == version else None

    def healths(self) -> Sequence[DirectoryHealth]:
        """Return how every directory is, by operator."""
        with self._lock:
            return [
                known.look.health if known.look else DirectoryHealth(operator=name, condition="loading" if known.looking else "new")
                for name, known in sorted(self._known.items())
            ]

    # --- looks --------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """Begin each look when it is due."""
        while True:
            with self._lock:
                if self._closed:
                    return
                now = self._clock()
                due = [known for known in self._known.values() if not known.looking and known.due <= now]
                for known in due:
                    known.looking = True
                if not due:
                    self._lock.wait(_NAP)
            for known in due:
                try:
                    started(partial(self._look, known, now), f"directory-{known.spec.operator.name}")
                except RuntimeError as error:
                    # No thread can be started.
                    journal.own_fault("directories", error)
                    known.due, known.looking = now + _LOOK, False

    def _look(self, known: _DirectoryState, began: float) -> None:
        """Have a worker refresh a directory, and take note of the outcome."""
        operator, began_at, before, pause = known.spec.operator.name, datetime.now(UTC), known.look, _LOOK
        version, contents = (before.version, before.contents) if before else ("", Contents())
        changed = None
        try:
            task = WorkerTask(specs={0: self._pickle(known.spec)}, refused={}, refresh=True, known=version)
            outcome = run_task(self._pool, task, LONGEST, self._wanted)
        except Exception as error:  # noqa: BLE001  a bug must not end the looks at it
            if not isinstance(error, GatewaydError):
                journal.own_fault("directories", error)
            check = DirectoryCheck(faults=(reason(error),), failed=True, contents=contents)
        else:
            check, changed = outcome.ended.check, outcome.ended.changed
            if outcome.failure is not None:
                overran = f"it did not come to its end within {LONGEST:g} s"
                why = f"its directory could not be refreshed: {overran if outcome.failure.overran else outcome.failure.how}"
                check, pause = DirectoryCheck(faults=(why,), failed=True, contents=contents), _AFTER_DEATH
        look = directory_look(operator, check, began_at, before)
        with self._lock:
            known.look, known.looking, known.covered, known.vain = look, False, began, False
            known.untold = look.news or known.untold
            known.due = self._clock() + (0.0 if known.pending else pause)
            if look.is_new:
                known.steps = [*known.steps, VersionStep(version, look.version, changed)][-_STEPS:]
            current = self._known.get(look.operator) is known and not self._closed
            self._lock.notify_all()
        if current and before and before.error and not look.error:
            self._back(look.operator)
        if current and self._looked is not None:
            self._looked(look)

    def _wanted(self, _: object) -> None:
        if self._closed:
            raise GatewaydError("it was ended")

    # --- mail that was filed without them -----------------------------------------------------------------------------

    def told(self, operator: str, *, failed: bool) -> None:
        """Note that mail was matched with an operator's directory, or that it could not be asked."""
        with self._lock:
            known = self._known.get(operator)
            if known is None:
                return
            back = not failed and known.retry_at is not None
            if not failed:
                known.retry_at, known.failures = None, 0
            elif known.retry_at is None:
                self._put_off(known)
        if back:
            self._back(operator)

    def due(self) -> Sequence[str]:
        """Return the operators whose mail that was filed without a directory is to be tried again now."""
        with self._lock:
            now = self._clock()
            due = {name: known for name, known in self._known.items() if known.retry_at is not None and known.retry_at <= now}
            for known in due.values():
                self._put_off(known)
        return sorted(due)

    def _put_off(self, known: _DirectoryState) -> None:
        known.failures += 1
        known.retry_at = self._clock() + _RETRY.wait(known.failures, jitter=0.0)

    def close(self) -> None:
        """End all waiting, and make no further looks."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
