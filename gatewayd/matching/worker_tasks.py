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

#: Seconds that a process may take to start; no call's deadline runs meanwhile.
_START = 60.0
#: Seconds after which a slow process no longer counts as busy, and after which its scheduling priority is lowered.
_LONG, _TOO_LONG = 0.2, 1.0
#: Seconds between two calls of ``on_worker``.
_LOOK = 0.15
#: How many processes ``run_task`` tries: an idle one may have died.
_TRIES = 5

#: The seconds that each call may take, or a function that returns them for a call; None is the parser.
CallSeconds: TypeAlias = "float | Callable[[TaskCall | None], float]"


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Why a process ended, or was ended, before its task was done."""

    #: The call that was under way; None: the parser.
    call: TaskCall | None
    #: What happened.
    how: str
    overran: bool = False
    #: The operator's directory was asked something and did not answer.
    asking: bool = False


@dataclass(slots=True)
class TaskOutcome:
    """The results of a task, and its failure if it failed."""

    results: dict[TaskCall, Admission | MatcherResult] = field(default_factory=dict)
    ended: TaskEnded = field(default_factory=TaskEnded)
    #: None if the task was done, or if the process stopped between two calls because its memory was used up.
    failure: TaskFailure | None = None
    #: How long the process worked on it, and how long it took to start before that, in seconds.
    seconds: float = 0.0
    start: float = 0.0


def run_task(
    pool: WorkerPool, task: WorkerTask, seconds: CallSeconds, on_worker: Callable[[WorkerProcess | None], object]
) -> TaskOutcome:
    """Run a task in a pooled worker. An exception from ``on_worker(process)`` cancels it.

    Raises TransientError if no process can be had, and the error that kept the worker from reading the mails.
    """
    process = _sent(pool, task, on_worker)
    run = _TaskRun(pool, process, task, seconds, on_worker)
    try:
        run.listen()
        # From now on another task may have the process.
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
    """Send a task to a process of the pool, and return the process."""
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


@dataclass(slots=True, eq=False)
class _TaskRun:
    """One task that a process works on."""

    pool: WorkerPool
    process: WorkerProcess
    task: WorkerTask
    seconds: CallSeconds
    on_worker: Callable[[WorkerProcess | None], object]
    outcome: TaskOutcome = field(default_factory=TaskOutcome)
    #: The process has used up its memory.
    spent: bool = False
    _call: TaskCall | None = None
    #: When the call, or the parser, began; and when it asked the directory something, if it waits for an answer.
    _since: float = field(default_factory=time.monotonic)
    _asked: float | None = None
    #: When the process had read the task.
    _ready_at: float = 0.0
    _finished: bool = False

    def listen(self) -> None:
        """Take in the replies of the process, until it is done or has failed."""
        began = self._ready_at = self._since
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
        # If a matcher asks many times and each answer comes soon, the matcher is slow and not the directory.
        since = self._since if self._asked is None else self._asked
        asking = self._asked is not None and (not overran or time.monotonic() - since > self._patience / 2)
        self.outcome.failure = TaskFailure(self._call, how, overran, asking)
        self._finished = True

    @property
    def _patience(self) -> float:
        if not self.process.ready:
            return _START
        return self.seconds(self._call) if callable(self.seconds) else self.seconds

    def _reply(self) -> Reply | None:
        """Return the next reply; None if it does not come in time."""
        patience, process = self._patience, self.process
        while True:
            took = time.monotonic() - self._since
            reply = process.receive(max(0.0, min(patience - took, _LOOK)))
            if reply is not None or took >= patience:
                return reply
            self.on_worker(process)
            if process.ready and took >= _LONG and not process.overdue:
                self.pool.slow(process)
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
            self._call = None if reply.call is None else self.task.calls[reply.call]
        elif reply.result is None:
            self._fail("it used up the memory that it may have")
        else:
            self.spent = self._finished = True
