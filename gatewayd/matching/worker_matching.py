"""Match batches in worker processes, where a fault or an endless loop can't hurt the daemon."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError, PermanentError, joined
from gatewayd.matching.breakers import Breakers
from gatewayd.matching.directories import LONGEST, Directories
from gatewayd.matching.values import DirectoryAnswers, DirectoryCheck
from gatewayd.matching.worker_messages import TaskEnded, WorkerTask, pickle_spec
from gatewayd.matching.worker_pool import WorkerPool
from gatewayd.matching.worker_run import WorkerMatchRun
from gatewayd.matching.worker_tasks import run_task
from gatewayd.registry.guarded_directory import DirectoryFailed
from gatewayd.runtime.events import Events
from gatewayd.runtime.forkserver import prepare
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gatewayd.api.directory import Basis
    from gatewayd.api.values import Record
    from gatewayd.config import WorkersConfig
    from gatewayd.matching.values import DirectoryQuestion, MatchRequest, MatchRun, OperatorSpec
    from gatewayd.matching.worker_messages import PickledSpec
    from gatewayd.registry.loading import Registry

__all__ = ["WorkerMatching"]

#: How many processes there may be beyond the configured ones while some of those are at one call for long.
_MORE = 4
#: How many processes find out whom to blame; how many more refresh directories while the one that does is slow.
_APART, _MORE_LOOKS = 2, 16
#: Seconds for which a matcher is suspect that ended a process.
_SUSPECT = 600.0


class WorkerMatching(DirectoryAnswers):
    """A pool of worker processes. Every method may be called from any thread."""

    def __init__(
        self,
        registry: Registry,
        config: WorkersConfig,
        events: Events | None = None,
        *,
        breakers: Breakers | None = None,
        looks_apart: bool = True,
    ) -> None:
        """Start the fork server, which gets ready while the caller goes on.

        Without ``looks_apart`` the processes that match refresh directories, too: one visit at a time waits for both anyway.
        """
        self._registry = registry
        self.config = config
        self.events = events or Events()
        self.breakers = breakers or Breakers()
        self._lock = threading.Lock()
        self._specs: Mapping[str, OperatorSpec] = {}
        self._pickled: dict[tuple[str, tuple[str, ...]], tuple[OperatorSpec, PickledSpec]] = {}
        #: Until when a matcher is suspect for which a process ended, by operator and matcher.
        self._suspects: dict[tuple[str, str], float] = {}
        self._unsendable: dict[tuple[str, str], tuple[OperatorSpec, str]] = {}
        memory = config.memory_mib << 20
        #: The processes that match all mail; that find out whom to blame, at a lower priority; that refresh directories.
        more = _MORE if looks_apart else _MORE + _MORE_LOOKS
        self.pool = WorkerPool(max(config.processes, 1), more=more, memory=memory, keep=True)
        self.apart = WorkerPool(_APART, more=0, memory=memory, keep=False, calm=True)
        self.looks = WorkerPool(1, more=_MORE_LOOKS, memory=memory, keep=True) if looks_apart else self.pool
        self._pools = tuple(dict.fromkeys((self.pool, self.apart, self.looks)))
        looked = self.events.directory_looked_at if self.events.hears_of_directories else None
        self.directories = Directories(self.looks, lambda spec: self.pickled(spec, ()), self.events.directory_back, looked=looked)
        # Where it can't be started, whoever needs a process gets the error.
        with suppress(OSError):
            prepare()

    def begin(self, request: MatchRequest) -> MatchRun:
        """See ``Matching``. Specs are as in the config that runs now, however old the caller's are."""
        return WorkerMatchRun(self, replace(request, specs=tuple(map(self._current, request.specs))))

    def _current(self, spec: OperatorSpec) -> OperatorSpec:
        return self._specs.get(spec.operator.name, spec)

    def refresh(self, spec: OperatorSpec) -> list[str]:
        """See ``Matching``."""
        return self.directories.refresh(self._current(spec))

    def basis(self, spec: OperatorSpec) -> Basis | None:
        """See ``Matching``."""
        return self.directories.basis(self._current(spec))

    def changed(self, spec: OperatorSpec, version: str) -> Collection[str] | None:
        """See ``Matching``."""
        return self.directories.changed(spec.operator.name, version)

    def look(self, spec: OperatorSpec, *, accept: bool = False, patient: bool = False) -> DirectoryCheck:
        """See ``DirectoryAnswers``. It may take ``budget`` seconds, or as long as the daemon's looks."""
        longest = LONGEST if patient else self.config.budget
        unsendable = {by: why for by in ("", *(by for by, _ in spec.matchers)) if (why := self.unsendable(spec, by))}
        pickled = self.pickled(spec, [by for by, _ in spec.matchers if by not in unsendable])
        task = WorkerTask(specs={0: pickled}, refused={}, refresh=True, accept=accept)
        check = self._asked(task, longest, "workers.budget", "; `gatewayd directory load` waits longer").check
        return replace(check, unbuilt=(*((by or "directory", why) for by, why in unsendable.items()), *check.unbuilt))

    def ask(self, spec: OperatorSpec, question: DirectoryQuestion) -> Mapping[str, Sequence[Record]]:
        """See ``DirectoryAnswers``. It may take ``deadline`` seconds, and the refresh before it ``budget``."""
        if spec.directory is None:
            raise PermanentError(f"operator {spec.operator.name} has no directory: its file names none")
        # If its changes can't be taken over in time, it answers by the records that it has.
        bare = replace(spec, matchers=())
        self.look(bare)
        if why := self.unsendable(bare, ""):
            raise DirectoryFailed(why)
        task = WorkerTask(specs={0: self.pickled(bare, ())}, refused={}, question=question)
        ended = self._asked(task, self.config.deadline, "workers.deadline")
        if ended.check.failed:
            raise DirectoryFailed(joined(ended.check.faults))
        return ended.answer

    def _asked(self, task: WorkerTask, longest: float, name: str, more: str = "") -> TaskEnded:
        """Run a task for a person who waits; whatever goes wrong with it is a fault of the directory."""
        try:
            outcome = run_task(self.looks, task, longest, lambda _: None)
        except GatewaydError as error:
            return TaskEnded(check=DirectoryCheck(faults=(error.sentences,), failed=True))
        if outcome.failure is None:
            return outcome.ended
        overran = f"it did not come to its end within {longest:g} s (`{name}`){more}"
        how = overran if outcome.failure.overran else f"its process failed: {outcome.failure.how}"
        return TaskEnded(check=DirectoryCheck(faults=(how,), failed=True))

    def pickled(self, spec: OperatorSpec, matchers: Collection[str]) -> PickledSpec:
        """Return a spec with just these matchers, as workers read it. All of them can be sent; its directory is left out if not."""
        kept = tuple([by for by, _ in spec.matchers if by in matchers])
        directory = None if self.unsendable(spec, "") else spec.directory
        key = (spec.operator.name, kept)
        with self._lock:
            known = self._pickled.get(key)
            if known is None or known[0] != spec:
                part = replace(spec, matchers=tuple([one for one in spec.matchers if one[0] in kept]), directory=directory)
                known = self._pickled[key] = (spec, pickle_spec(part, self._registry))
            return known[1]

    def unsendable(self, spec: OperatorSpec, by: str) -> str:
        """Return why a matcher, or the directory for an empty ``by``, can't be sent to another process; empty where it can."""
        key = (spec.operator.name, by)
        with self._lock:
            known = self._unsendable.get(key)
            if known is not None and known[0] == spec:
                return known[1]
            one, why = tuple([matcher for matcher in spec.matchers if matcher[0] == by]), ""
            try:
                pickle_spec(replace(spec, matchers=one, directory=None if by else spec.directory), self._registry)
            except Exception as error:  # noqa: BLE001  whatever a plugin's class or options raise; it costs its own links only (P4)
                why = f"{where(error)}; expected a class at the top of its module, so that another process finds it"
            self._unsendable[key] = (spec, why)
            return why

    def suspect(self, operator: str, by: str) -> None:
        """Note that a process ended for a matcher: for a while batches for it go to processes apart."""
        with self._lock:
            self._suspects[operator, by] = time.monotonic() + _SUSPECT

    def is_suspect(self, operator: str, by: str) -> bool:
        """Whether a process ended for a matcher lately."""
        return self._suspects.get((operator, by), 0.0) > time.monotonic()

    @property
    def count(self) -> int:
        """How many processes there are."""
        return sum(pool.count for pool in self._pools)

    @property
    def deaths(self) -> int:
        """How many processes had to be replaced."""
        return sum(pool.deaths for pool in self._pools)

    def apply(self, registry: Registry, specs: Mapping[str, OperatorSpec], config: WorkersConfig) -> None:
        """Use this config from the next batch on; if code or bounds changed, processes are replaced as they become free."""
        with self._lock:
            changed = self._registry.files != registry.files or self.config != config
            self._registry, self._specs, self.config = registry, specs, config
            self._pickled.clear()
            self._unsendable.clear()
            if changed:
                self._suspects.clear()
            self.pool.limit = max(config.processes, 1)
            for pool in self._pools:
                pool.memory = config.memory_mib << 20
        self.directories.attend(specs)
        if changed:
            for pool in self._pools:
                pool.renew()

    def close(self) -> None:
        """End all processes."""
        self.directories.close()
        for pool in self._pools:
            pool.close()
