"""Worker processes: mail is examined where a fault or an endless loop can't hurt the daemon (design section 5)."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.examine import Examining
from gatewayd.supervisor.breakers import Breakers
from gatewayd.supervisor.examination import WorkersExamination
from gatewayd.supervisor.process import Died, Process
from gatewayd.supervisor.threads import Threads
from gatewayd.worker import Ended, Labour, seal

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.config import WorkersConfig
    from gatewayd.examine import Examination, Order, Recipe
    from gatewayd.plugins import Registry
    from gatewayd.worker import Sealed

__all__ = ["WorkerEvents", "Workers"]

#: How many processes there may be beyond the configured ones while some of those are at one call for long.
_MORE = 4
#: Seconds between two looks at an operator's directory.
_REFRESH = 5.0
#: Seconds after which whoever waits for a free process looks again.
_LOOK = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEvents:
    """Who is told of what; called by the thread that examines."""

    #: A process died or overran: operator and matcher (empty for the parser), and how.
    ended: Callable[[str, str, str], None] = lambda _, __, ___: None
    #: A matcher's breaker was ``opened`` or ``closed``: operator, matcher, what.
    breaker: Callable[[str, str, str], None] = lambda _, __, ___: None
    #: An operator's directory came back after it could not be refreshed.
    directory_back: Callable[[str], None] = lambda _: None


@dataclass(slots=True)
class _Directory:
    """What is known of one operator's directory."""

    recipe: Recipe
    door: threading.Lock = field(default_factory=threading.Lock)
    #: When it was last looked at; None: never.
    at: float | None = None
    faults: list[str] = field(default_factory=list)
    failed: bool = False
    asked: bool = False


class Workers(Examining):
    """A pool of worker processes. Every method may be called from any thread."""

    def __init__(self, registry: Registry, config: WorkersConfig, events: WorkerEvents | None = None) -> None:
        """Start the first process at once: it gets ready while the caller does other things."""
        self._registry = registry
        self.config = config
        self.events = events or WorkerEvents()
        self.breakers = Breakers()
        #: How many processes had to be replaced.
        self.deaths = 0
        self._door = threading.Condition()
        self._idle: list[Process] = []
        self._all: set[Process] = set()
        self._generation = 0
        self._closed = False
        self._sealed: dict[str, tuple[Recipe, Sealed]] = {}
        self._directories: dict[str, _Directory] = {}
        self._refreshing: Threads | None = None
        self._idle.append(self._start())

    def begin(self, order: Order) -> Examination:
        """See ``Examining``."""
        return WorkersExamination(self, order)

    def sealed(self, recipe: Recipe) -> Sealed:
        """Return the recipe as workers take it."""
        name = recipe.operator.name
        with self._door:
            known = self._sealed.get(name)
            if known is None or known[0] != recipe:
                known = self._sealed[name] = (recipe, seal(recipe, self._registry))
            return known[1]

    # --- processes --------------------------------------------------------------------------------------------------

    def take(self, tick: Callable[[], None] = lambda: None) -> Process:
        """Return a process that is free, which the caller then must ``give_back`` or ``discard``.

        Processes that are at one call for long don't count, within bounds: others must not wait for them.
        """
        while True:
            with self._door:
                if self._idle:
                    return self._idle.pop()
                slow = sum(process.overdue for process in self._all)
                if len(self._all) < self.config.processes + min(slow, _MORE):
                    return self._start()
                self._door.wait(_LOOK)
            tick()

    def _start(self) -> Process:
        process = Process(self.config.memory_mib << 20)
        process.generation = self._generation
        self._all.add(process)
        return process

    def give_back(self, process: Process) -> None:
        """Take back a process that has done its work."""
        if self._closed or process.overdue or process.generation != self._generation:
            self._end(process)
            return
        with self._door:
            self._idle.append(process)
            self._door.notify()

    def discard(self, process: Process) -> None:
        """End a process that is of no use any more."""
        self.deaths += 1
        self._end(process)

    def _end(self, process: Process) -> None:
        process.kill()
        with self._door:
            self._all.discard(process)
            self._door.notify()

    def slow(self, process: Process) -> None:
        """Take note that a process has been at one call for long."""
        process.calm()
        with self._door:
            self._door.notify()

    @property
    def count(self) -> int:
        """How many processes there are."""
        return len(self._all)

    def renew(self, registry: Registry) -> None:
        """Work with other code from now on: processes are replaced as they become free."""
        with self._door:
            self._registry = registry
            self._generation += 1
            self._sealed.clear()
            idle, self._idle = self._idle, []
        for process in idle:
            self._end(process)

    def close(self) -> None:
        """End all processes."""
        self._closed = True
        with self._door:
            processes, self._idle = list(self._all), []
        for process in processes:
            self._end(process)
        if self._refreshing:
            self._refreshing.shutdown(wait=False)

    # --- directories ------------------------------------------------------------------------------------------------

    def refresh(self, recipe: Recipe) -> list[str]:
        """See ``Examining``. Waits only for the first look at a directory; later ones go on apart, every few seconds."""
        name = recipe.operator.name
        with self._door:
            known = self._directories.get(name)
            if known is None or known.recipe != recipe:
                known = self._directories[name] = _Directory(recipe)
        if known.at is None:
            with known.door:
                if known.at is None:
                    self._look(known)
        elif not known.asked and time.monotonic() - known.at > _REFRESH:
            known.asked = True
            self._apart().submit(self._look, known)
        faults, known.faults = known.faults, []
        return faults

    def _apart(self) -> Threads:
        with self._door:
            if self._refreshing is None:
                self._refreshing = Threads(1, "directories")
            return self._refreshing

    def _look(self, known: _Directory) -> None:
        """Let one process build what there is to build; without a deadline, for that may take minutes."""
        if known.recipe.directory is None or known.recipe.faulty:
            known.at = time.monotonic()
            return
        process = self.take()
        try:
            process.send(Labour(recipes=(self.sealed(known.recipe),), refused={}, refresh=True))
            while (reply := process.receive(_LOOK)) is None:
                if not process.overdue:
                    self.slow(process)
        except Died as died:
            self.discard(process)
            faults, failed = [f"the directory's process ended: {died}"], True
        else:
            self.give_back(process)
            faults, failed = (list(reply.faults), reply.failed) if isinstance(reply, Ended) else ([], False)
        known.faults, known.at, known.asked = faults, time.monotonic(), False
        was, known.failed = known.failed, failed
        if was and not failed:
            self.events.directory_back(known.recipe.operator.name)
