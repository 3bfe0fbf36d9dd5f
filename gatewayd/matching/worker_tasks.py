"""Run one task in a worker process, and kill the process where a call takes too long."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from gatewayd.errors import TransientError
from gatewayd.matching.worker_messages import TaskAsking, TaskEnded, TaskNext, TaskReady
from gatewayd.matching.worker_process import WorkerDied

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.matching.guarded_calls import Admission, MatcherResult
    from gatewayd.matching.worker_messages import Reply, TaskCall, WorkerTask
    from gatewayd.matching.worker_pool import WorkerPool
    from gatewayd.matching.worker_process import WorkerProcess

__all__ = ["CallSeconds", "TaskFailure", "TaskOutcome", "run_task"]

#: Seconds that a process may take to start: no call's time runs by then.
_START = 60.0
#: Seconds after which a call has taken long: then the process counts no longer as busy, and then others get the processor first.
_LONG, _TOO_LONG = 0.2, 1.0
#: Seconds between two calls of ``on_worker``.
_LOOK = 0.15
#: How many processes may turn out to be dead when a task is sent to them.
_TRIES = 5

#: How many seconds a call may take, or what returns that for each call; None is the parser.
CallSeconds: TypeAlias = "float | Callable[[TaskCall | None], float]"


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """A process ended, or was ended, before its task was done."""

    #: The call that it was at; None: the parser.
    call: TaskCall | None
    #: What happened.
    how: str
    overran: bool = False
    #: The operator's directory was asked something and did not answer.
    asking: bool = False


@dataclass(slots=True)
class TaskOutcome:
    """What came of a task."""

    results: dict[TaskCall, Admission | MatcherResult] = field(default_factory=dict)
    ended: TaskEnded = field(default_factory=TaskEnded)
    #: None where the task was done, or the process stopped between two calls because its memory was used up.
    failure: TaskFailure | None = None
    #: How long a process was at it, in seconds; and how long it took to start before.
    seconds: float = 0.0
    start: float = 0.0


def run_task(
    pool: WorkerPool, task: WorkerTask, seconds: CallSeconds, on_worker: Callable[[WorkerProcess | None], object]
) -> TaskOutcome:
    """Run a task in a pooled worker. An exception from ``on_worker(process)`` cancels it.

    Raises TransientError where no process can be had, and whatever error kept the worker from reading the mails.
    """
    process = _sent(pool, task, on_worker)
    run = _TaskRun(pool, process, task, seconds, on_worker)
    try:
        run.listen()
        # From now on it may be somebody else's.
        on_worker(None)
    except BaseException:
        pool.end(process)
        raise
    outcome = run.outcome
    if outcome.failure is not None:
        pool.discard(process)
    elif run.spent:
        pool.end(process)
    else:
        pool.give_back(process)
    if outcome.ended.error is not None:
        raise outcome.ended.error
    return outcome


def _sent(pool: WorkerPool, task: WorkerTask, on_worker: Callable[[WorkerProcess | None], object]) -> WorkerProcess:
    """Send a task to a process of the pool, and return that one."""
    for left in reversed(range(_TRIES)):
        process = pool.take(lambda: on_worker(None))
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


class _TaskRun:
    """One task that a process works on."""

    def __init__(
        self,
        pool: WorkerPool,
        process: WorkerProcess,
        task: WorkerTask,
        seconds: CallSeconds,
        on_worker: Callable[[WorkerProcess | None], object],
    ) -> None:
        self._pool = pool
        self._process = process
        self._task = task
        self._seconds = seconds
        self._on_worker = on_worker
        self._call: TaskCall | None = None
        #: Since when the call, or the parser, is at work; and since when the directory is asked something, if it is.
        self._since = time.monotonic()
        self._asked: float | None = None
        #: When the process had read the task.
        self._ready_at = self._since
        self.outcome = TaskOutcome()
        #: The process has used up its memory.
        self.spent = False
        self._finished = False

    def listen(self) -> None:
        """Take in the replies of the process, until it is done or has failed."""
        began = self._since
        try:
            while not self._finished:
                reply = self._reply()
                if reply is None:
                    self._fail("it did not answer in time", overran=True)
                else:
                    self._take_in(reply)
        except WorkerDied as died:
            self._fail(f"its process ended: {died}")
        self.outcome.seconds = time.monotonic() - self._ready_at
        self.outcome.start = self._ready_at - began

    def _fail(self, how: str, *, overran: bool = False) -> None:
        # A matcher that asks again and again, each time for a little, is slow itself.
        since = self._since if self._asked is None else self._asked
        asking = self._asked is not None and (not overran or time.monotonic() - since > self._patience / 2)
        self.outcome.failure = TaskFailure(self._call, how, overran, asking)
        self._finished = True

    @property
    def _patience(self) -> float:
        if not self._process.ready:
            return _START
        return self._seconds(self._call) if callable(self._seconds) else self._seconds

    def _reply(self) -> Reply | None:
        """Return the next reply; None where there is none in time."""
        patience, process = self._patience, self._process
        while True:
            took = time.monotonic() - self._since
            reply = process.receive(max(0.0, min(patience - took, _LOOK)))
            if reply is not None or took >= patience:
                return reply
            self._on_worker(process)
            if process.ready and took >= _LONG and not process.overdue:
                self._pool.slow(process)
            if process.ready and took >= _TOO_LONG and not process.calmed:
                process.calm()

    def _take_in(self, reply: Reply) -> None:
        if isinstance(reply, TaskAsking):
            self._asked = time.monotonic() if reply.busy else None
            return
        self._since, self._asked = time.monotonic(), None
        if isinstance(reply, TaskReady):
            self._ready_at = self._since
            return
        if isinstance(reply, TaskEnded):
            self.outcome.ended, self.spent, self._finished = reply, reply.spent, True
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
            self.spent = self._finished = True
