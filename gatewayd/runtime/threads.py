"""Start the threads of this process: named daemon threads, and executors of them.

The threads of ``concurrent.futures`` are joined when the process ends, so one that hangs in a connect keeps the process alive.
These threads are not joined.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from gatewayd.errors import kept

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["VisitSlot", "WorkerThreads", "started"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def started(work: Callable[[], object], name: str) -> threading.Thread:
    """Start one named thread that never keeps the process from ending."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


class WorkerThreads(Executor):
    """An executor of ``count`` daemon threads that work on one queue."""

    def __init__(self, count: int, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Future[object], Callable[[], object]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._ended = False
        self._threads = [started(self._work, name if count == 1 else f"{name}-{number}") for number in range(1, count + 1)]

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Run ``fn`` as soon as a thread is free; raises RuntimeError after ``shutdown``."""
        future: Future[_T] = Future()
        with self._lock:
            if self._ended:
                raise RuntimeError("these threads have been told to end")
            self._jobs.put((future, partial(fn, *args, **kwargs)))  # type: ignore[arg-type]
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  as Executor has it
        """Accept no more work; queued work is still done, or cancelled with ``cancel_futures``."""
        with self._lock:
            first, self._ended = not self._ended, True
        # A thread may take the last job at the same moment.
        with suppress(Empty):
            while cancel_futures:
                job = self._jobs.get_nowait()
                if job is not None:
                    job[0].cancel()
        for _ in self._threads if first or cancel_futures else ():
            self._jobs.put(None)
        if wait:
            self.join(None)

    def join(self, timeout: float | None) -> bool:
        """Wait at most ``timeout`` seconds for the threads to end; return whether all have."""
        until = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            thread.join(None if until is None else max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            _do(*job)
            # Otherwise a session that belongs to the job would stay open until the next job comes.
            del job


def _do(future: Future[object], work: Callable[[], object]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        done = work()
    except BaseException as error:  # noqa: BLE001  the caller gets it from the future
        future.set_exception(kept(error))
    else:
        future.set_result(done)


class VisitSlot(WorkerThreads):
    """Room for one visit at a time: its own thread, and one for its session."""

    def __init__(self, number: int) -> None:
        #: One thread, for everything that a session does.
        self.fetcher = WorkerThreads(1, f"session-{number}")
        try:
            super().__init__(1, f"visit-{number}")
        except RuntimeError:
            # No thread is to be had: the other one must not be one fewer for whoever comes next.
            self.fetcher.shutdown(wait=False)
            raise

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  as Executor has it
        """Let both threads end when they are done."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        self.fetcher.shutdown(wait=False)
        if wait:
            self.join(None)

    def join(self, timeout: float | None) -> bool:
        """Wait at most ``timeout`` seconds for both threads to end; return whether they have."""
        until = None if timeout is None else time.monotonic() + timeout
        visitor = super().join(timeout)
        return self.fetcher.join(None if until is None else max(0.0, until - time.monotonic())) and visitor
