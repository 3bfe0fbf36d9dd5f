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
from gatewayd.registry.trial.values import ORPHANED, TrialResult
from gatewayd.runtime.forkserver import fork, signal_name
from gatewayd.runtime.traces import Spot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gatewayd.registry.discovery import FoundPlugin
    from gatewayd.runtime.forkserver import Child

__all__ = ["Trials"]

#: The program that the fork server runs for a trial.
_PROGRAM = "gatewayd.registry.trial.program"
#: How many plugins are tried at once.
_AT_ONCE = 4
#: Milliseconds between two calls of ``go_on``.
_LOOK = 100
#: The largest answer in bytes; a larger one is not read.
_LARGEST = 1 << 20
#: Seconds that a process may take to start; the plugin's own deadline begins after that.
_START = 30.0
#: Seconds that a process may take to end once it has closed its output.
_END = 5.0
#: A frame in a traceback of ``faulthandler``.
_FRAME = re.compile(r'File "([^"\n]+)", line (\d+) in ')


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """How plugins are tried: deadlines, memory, and callbacks."""

    #: An import's deadline in seconds, and its memory in bytes.
    seconds: float = 20.0
    memory: int = 512 << 20
    #: The file that keeps the results; None: only this process remembers them.
    file: Path | None = None
    #: Try those again that failed before.
    again: bool = False
    #: Called with the name and source of a plugin whose trial has taken ``after`` seconds.
    say: Callable[[str, str], None] = lambda _, __: None
    after: float = 0.0
    #: Called with the name and source of a plugin before it is imported in this process.
    importing: Callable[[str, str], None] = lambda _, __: None
    #: Called ten times a second; an exception from it ends the trials.
    go_on: Callable[[], None] = lambda: None

    def results(self, plugins: Sequence[FoundPlugin]) -> Mapping[FoundPlugin, TrialResult]:
        """Return the result for each plugin; those whose result is remembered are not tried."""
        cache = TrialCache(self.file)
        known = {found: result for found in plugins if (result := cache.get(found, faulty=not self.again))}
        fresh: dict[FoundPlugin, TrialResult] = {}
        lost: list[FoundPlugin] = []
        for trial in self._trials([found for found in plugins if found not in known], _AT_ONCE):
            result = fresh[trial.found] = trial.result()
            if result.error == _LOST or ORPHANED in result.error:
                lost.append(trial.found)
        # One of them ended the fork server, and so affected the others: try each once more, by itself.
        fresh |= {trial.found: trial.result() for trial in self._trials(lost, 1)}
        cache.put({found: result for found, result in fresh.items() if result.error not in {_NO_PROCESS, _LOST}})
        return {**known, **fresh}

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
    """The trial of one plugin, in a child process."""

    def __init__(self, found: FoundPlugin, tries: Trials) -> None:
        self.found = found
        self._tries = tries
        self._told = False
        self._heard = b""
        self._began = time.monotonic()
        #: It has started, and its deadline runs from ``_began``.
        self._ready = False
        self._late = False
        #: It ended, but the fork server could not report how.
        self._lost = False
        #: None if no process could be started.
        self._child: Child | None = None
        self.out, theirs = os.pipe()
        life, self._life = os.pipe()
        given = os.memfd_create("task")
        try:
            os.write(given, pickle.dumps((found, sys.path, tries.seconds), 5))
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
        """Whether it has answered, ended or overrun; ``readable``: its output can be read."""
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

    def result(self) -> TrialResult:
        """End the trial, and return its result."""
        code = self.end()
        # If the process ended before it began, or together with the fork server, the plugin may be sound.
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
        """Return the last line of the plugin's own code in the traceback that was written; None if there is none."""
        frames = [(file, int(line)) for file, line in _FRAME.findall(self._heard.decode(errors="replace"))]
        if self.found.path is not None:
            return next((Spot(file, line) for file, line in frames if file == str(self.found.path)), None)
        top = self.found.module.partition(":")[0].partition(".")[0]
        return next((Spot(file, line) for file, line in frames if top in {Path(file).stem, *Path(file).parts}), None)

    def end(self) -> int | None:
        """End the process with its children; return its exit code, None if it had not ended by itself."""
        code = None
        if self._child is not None:
            # It has closed its output, and so is about to end.
            ended = self._child.ended(0.0 if self._late or self._answer() else _END)
            code = self._child.code
            self._lost = ended and code is None and self._answer() is None
            self._child.kill()
            self._child.close()
        os.close(self.out)
        os.close(self._life)
        return code
