"""Gives a worker process one task, kills it when a call takes too long, and says how far it came."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.api.directory import Contents
from gatewayd.errors import TransientError
from gatewayd.matching.worker import TaskAsking, TaskEnded, TaskNext, TaskReady
from gatewayd.matching.worker_process import WorkerDied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.api.values import Record
    from gatewayd.errors import GatewaydError
    from gatewayd.matching.guarded_calls import Admission, MatcherResult
    from gatewayd.matching.worker import Reply, TaskCall, WorkerTask
    from gatewayd.matching.worker_pool import WorkerPool
    from gatewayd.matching.worker_process import WorkerProcess
    from gatewayd.message.mail import Mail

__all__ = ["TaskFailure", "TaskOutcome", "TaskSeconds", "run_task"]

#: Seconds that a process may take to start: no call's time runs by then.
_START = 60.0
#: Seconds after which a call has taken long, and too long to be done before others.
_LONG, _TOO_LONG = 0.2, 1.0
#: Seconds after which it is asked at the latest whether it is still wanted.
_LOOK = 0.15
#: How many processes may turn out to be dead when they are sent something.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """A process ended, or was ended, before its work was done."""

    #: What it was at; None: the parser.
    call: TaskCall | None
    #: What happened, and what was expected.
    how: str
    overran: bool = False
    #: The operator's directory was asked something and did not answer.
    asking: bool = False


@dataclass(slots=True)
class TaskOutcome:
    """What came of a task."""

    results: dict[TaskCall, Admission | MatcherResult] = field(default_factory=dict)
    mails: tuple[Mail, ...] = ()
    faults: tuple[str, ...] = ()
    #: The directory could not be refreshed. What it holds, and whose contacts changed, see ``TaskEnded``.
    failed: bool = False
    contents: Contents = field(default_factory=Contents)
    changed: frozenset[str] | None = None
    #: What could not be built, and what a directory answered, see ``TaskEnded``.
    unbuilt: tuple[tuple[str, str], ...] = ()
    found: Mapping[str, Sequence[Record]] = field(default_factory=dict)
    #: None where it came to its end, or stopped because its memory was used up by calls before the next.
    failure: TaskFailure | None = None
    #: How long a process was at it, in seconds; and how long it took to start before.
    seconds: float = 0.0
    start: float = 0.0


class TaskSeconds:
    """How long the parser or a call may take; ``None`` as a call is the parser."""

    def __init__(self, deadline: float, of: Callable[[TaskCall], float] | None = None) -> None:
        self.deadline = deadline
        self._of = of

    def __call__(self, call: TaskCall | None) -> float:
        """Return how many."""
        return self.deadline if call is None or self._of is None else self._of(call)


def run_task(
    pool: WorkerPool, task: WorkerTask, seconds: TaskSeconds, wanted: Callable[[WorkerProcess | None], object]
) -> TaskOutcome:
    """Have a task done by a process of the pool. ``wanted`` is told which one, and what it raises ends it.

    Raises TransientError where no process can be had, or the mails can't be read now.
    """
    process = _sent(pool, task, wanted)
    one = _RunningTask(process, task, seconds, wanted)
    try:
        one.listen(pool)
        one.outcome.seconds = time.monotonic() - one.ready_at
        one.outcome.start = one.ready_at - one.began
        # From now on it may be somebody else's.
        wanted(None)
    except BaseException:
        pool.end(process)
        raise
    if one.outcome.failure is not None:
        pool.discard(process)
    elif one.spent:
        pool.end(process)
    else:
        pool.give_back(process)
    if one.error is not None:
        raise one.error
    return one.outcome


def _sent(pool: WorkerPool, task: WorkerTask, wanted: Callable[[WorkerProcess | None], object]) -> WorkerProcess:
    for left in reversed(range(_TRIES)):
        process = pool.take(lambda: wanted(None))
        try:
            process.send(task)
        except WorkerDied as died:
            # It died while it was idle.
            pool.discard(process)
            if not left:
                raise TransientError(f"no worker process can be had: {died}", advice="See what they logged.") from died
        else:
            return process
    raise AssertionError


class _RunningTask:
    """One task that a process is at."""

    def __init__(
        self, process: WorkerProcess, task: WorkerTask, seconds: TaskSeconds, wanted: Callable[[WorkerProcess | None], object]
    ) -> None:
        self._process = process
        self._task = task
        self._seconds = seconds
        self._wanted = wanted
        self._call: TaskCall | None = None
        #: Since when the call, or the parser, is at work; and since when the directory is asked something, if it is.
        self._since = time.monotonic()
        self._asked: float | None = None
        #: When it was sent, and when the process had taken it in.
        self.began = self.ready_at = self._since
        self.outcome = TaskOutcome()
        self.spent = False
        self.finished = False
        self.error: GatewaydError | None = None

    def listen(self, pool: WorkerPool) -> None:
        """Take in what the process finds out, until it is done or must be given up."""
        try:
            while not self.finished:
                reply = self._reply(pool)
                if reply is None:
                    self._fail("it did not answer in time", overran=True)
                else:
                    self._take_in(reply)
        except WorkerDied as died:
            self._fail(f"its process ended: {died}")

    def _fail(self, how: str, *, overran: bool = False) -> None:
        # Who asks again and again, each time for a little, is slow by himself.
        since = self._since if self._asked is None else self._asked
        asking = self._asked is not None and (not overran or time.monotonic() - since > self._patience / 2)
        self.outcome.failure = TaskFailure(self._call, how, overran, asking)
        self.finished = True

    @property
    def _patience(self) -> float:
        return self._seconds(self._call) if self._process.ready else _START

    def _reply(self, pool: WorkerPool) -> Reply | None:
        patience = self._patience
        while True:
            left = patience - (time.monotonic() - self._since)
            reply = self._process.receive(max(0.0, min(left, _LOOK)))
            if reply is not None or left <= 0:
                return reply
            self._wanted(self._process)
            if self._process.ready:
                self._slow(pool, patience - left)

    def _slow(self, pool: WorkerPool, seconds: float) -> None:
        if seconds >= _LONG and not self._process.overdue:
            pool.slow(self._process)
        if seconds >= _TOO_LONG and not self._process.calmed:
            self._process.calm()

    def _take_in(self, reply: Reply) -> None:
        if isinstance(reply, TaskAsking):
            self._asked = time.monotonic() if reply.busy else None
            return
        self._since, self._asked = time.monotonic(), None
        if isinstance(reply, TaskReady):
            self.ready_at = self._since
            return
        if isinstance(reply, TaskEnded):
            self.outcome.mails, self.outcome.faults, self.outcome.failed = reply.mails, reply.faults, reply.failed
            self.outcome.contents, self.outcome.changed = reply.contents, reply.changed
            self.outcome.unbuilt, self.outcome.found = reply.unbuilt, reply.found
            self.error, self.spent, self.finished = reply.error, reply.spent, True
            return
        if reply.result is not None and self._call is not None:
            try:
                self.outcome.results[self._call] = pickle.loads(reply.result)  # noqa: S301  our own worker's
            except Exception as error:  # noqa: BLE001  whatever a plugin's own class raises when it is made
                self._fail(f"what it found can't be read: {type(error).__name__}; expected plain text and records")
                return
        if isinstance(reply, TaskNext):
            self._call = None if reply.call is None else self._task.calls[reply.call]
        elif reply.result is None:
            self._fail("it used up the memory that it may have")
        else:
            self.spent = self.finished = True
