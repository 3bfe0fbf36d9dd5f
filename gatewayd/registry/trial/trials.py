"""Try plugins, a few at a time, each in a process of its own with a deadline."""

from __future__ import annotations

import json
import os
import pickle
import re
import select
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.registry.trial.cache import TrialCache
from gatewayd.registry.trial.values import ORPHANED, TrialResult, TrialTask
from gatewayd.runtime.forkserver import fork, signal_name
from gatewayd.runtime.traces import Spot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gatewayd.registry.discovery import FoundPlugin
    from gatewayd.runtime.forkserver import Child

__all__ = ["Trials"]

#: What the fork server is asked for.
_PROGRAM = "gatewayd.registry.trial.program"
#: How many are tried at once.
_AT_ONCE = 4
#: Milliseconds after which it is asked whether to go on.
_LOOK = 100
#: Bytes of an answer: a larger one is none.
_LARGEST = 1 << 20
#: Seconds that a process may take until it imports anything: no plugin's time runs by then.
_START = 30.0
#: Seconds in which a process that has closed its end has ended, too.
_END = 5.0
#: A line of ``faulthandler``.
_FRAME = re.compile(r'File "([^"\n]+)", line (\d+) in ')


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """How plugins are tried."""

    #: Seconds and bytes of memory that an import may take.
    seconds: float = 20.0
    memory: int = 512 << 20
    #: Where it is remembered what became of it; None: in this process alone.
    file: Path | None = None
    #: Try what was of no use anew.
    again: bool = False
    #: Told the name and source of a plugin that is tried, ``after`` so many seconds of it.
    say: Callable[[str, str], None] = lambda _, __: None
    after: float = 0.0
    #: Told the same of a plugin before it is imported here.
    importing: Callable[[str, str], None] = lambda _, __: None
    #: Asked ten times a second; what it raises ends the trials.
    go_on: Callable[[], None] = lambda: None

    def verdicts(self, plugins: Sequence[FoundPlugin]) -> Mapping[FoundPlugin, TrialResult]:
        """Return what becomes of each; what is remembered is not tried."""
        memory = TrialCache(self.file)
        known = {one: verdict for one in plugins if (verdict := memory.get(one, faulty=not self.again))}
        fresh = dict(self._tried([one for one in plugins if one not in known]))
        memory.put({one: verdict for one, verdict in fresh.items() if verdict.error not in {_NO_PROCESS, _LOST}})
        return {**known, **fresh}

    def _tried(self, plugins: Sequence[FoundPlugin]) -> Iterator[tuple[FoundPlugin, TrialResult]]:
        lost: list[FoundPlugin] = []
        for trial in self._trials(plugins, _AT_ONCE):
            verdict = trial.verdict()
            if verdict.error == _LOST or ORPHANED in verdict.error:
                lost.append(trial.found)
            else:
                yield trial.found, verdict
        # One of them did that to all: each is tried once more, by itself.
        for trial in self._trials(lost, 1):
            yield trial.found, trial.verdict()

    def _trials(self, plugins: Sequence[FoundPlugin], at_once: int) -> Iterator[_Trial]:
        waiting, running = list(plugins), list[_Trial]()
        poll = select.poll()
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    running.append(_Trial(waiting.pop(0), self))
                    poll.register(running[-1].out, select.POLLIN)
                ready = {number for number, _ in poll.poll(_LOOK)}
                self.go_on()
                for one in [one for one in running if one.is_over(readable=one.out in ready)]:
                    running.remove(one)
                    poll.unregister(one.out)
                    yield one
        finally:
            for one in running:
                one.end()


_NO_PROCESS = "it can't be tried: no process can be started"
_LOST = "it can't be tried: its process was lost, together with the one that all are forked from"


class _Trial:
    """One plugin that is being tried."""

    def __init__(self, found: FoundPlugin, tries: Trials) -> None:
        self.found = found
        self._tries = tries
        self._told = False
        self._heard = b""
        self._began = time.monotonic()
        #: It has begun to import, and since then its time runs.
        self._ready = False
        self._late = False
        #: Nobody knows how it ended.
        self._lost = False
        #: None where no process could be started.
        self._child: Child | None = None
        self.out, theirs = os.pipe()
        life, self._life = os.pipe()
        given = os.memfd_create("task")
        try:
            task = TrialTask(found=found, path=tuple(sys.path), seconds=tries.seconds)
            os.write(given, pickle.dumps(task, 5))
            os.lseek(given, 0, os.SEEK_SET)
            with suppress(OSError):
                self._child = fork(_PROGRAM, [str(tries.memory)], files=(given, theirs, life), heard=False)
        finally:
            for number in (given, theirs, life):
                os.close(number)
        self._tell()

    def _tell(self) -> None:
        if not self._told and time.monotonic() - self._began >= self._tries.after:
            self._told = True
            self._tries.say(self.found.name, self.found.source)

    def is_over(self, *, readable: bool) -> bool:
        """Whether it has said all, or its time is over."""
        self._tell()
        piece = os.read(self.out, 1 << 16) if readable else None
        self._heard += piece or b""
        if self._heard and not self._ready:
            self._ready, self._began = True, time.monotonic()
        self._late = time.monotonic() - self._began > self._tries.seconds + (0.0 if self._ready else _START)
        return piece == b"" or self._answer() is not None or len(self._heard) > _LARGEST or self._late

    def _answer(self) -> TrialResult | None:
        line, end, _ = self._heard.rpartition(b"\n")
        if not end:
            return None
        with suppress(ValueError, TypeError, KeyError):
            return TrialResult.of(json.loads(line.rpartition(b"\n")[2]))
        return None

    def verdict(self) -> TrialResult:
        """End it, and return what became of it."""
        code = self.end()
        # What ended before it began, or with what it was forked from, says nothing of the plugin.
        if self._lost:
            return TrialResult(error=_LOST)
        if self._child is None or not (self._ready or self._late):
            return TrialResult(error=_NO_PROCESS)
        return self._answer() or self._refused(code)

    def _refused(self, code: int | None) -> TrialResult:
        if code is None and not self._late:
            error = "it closes files that are not its own when it is imported"
        elif code is None:
            error = f"it was not imported within {self._tries.seconds:g} s (plugins.deadline)"
        elif code < 0:
            error = f"its import is ended by signal {-code} ({signal_name(-code)})"
        else:
            error = f"it ends the process when it is imported, with exit code {code}"
        at = self._spot()
        return TrialResult(error=f"{error} ({at})", file=at.file, line=at.line) if at else TrialResult(error=error)

    def _spot(self) -> Spot | None:
        """Return where in the plugin's own code it was last."""
        frames = [(file, int(line)) for file, line in _FRAME.findall(self._heard.decode(errors="replace"))]
        if self.found.path is not None:
            return next((Spot(file, line) for file, line in frames if file == str(self.found.path)), None)
        top = self.found.module.partition(":")[0].partition(".")[0]
        return next((Spot(file, line) for file, line in frames if top in {Path(file).stem, *Path(file).parts}), None)

    def end(self) -> int | None:
        """End the process with its children; return its exit code, None where it had not ended by itself."""
        code = None
        if self._child is not None:
            # What has closed its end is about to end.
            ended = self._child.ended(0.0 if self._late or self._answer() else _END)
            code = self._child.code
            self._lost = ended and code is None and self._answer() is None
            self._child.kill()
            self._child.close()
        os.close(self.out)
        os.close(self._life)
        return code
