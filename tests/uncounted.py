"""Code whose lines are not counted for coverage."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from coverage import Coverage

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def uncounted() -> Iterator[None]:
    """Count no lines of this thread, nor of those that it starts, while the block lasts."""
    counting, in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        threading.settrace(in_threads)
        sys.settrace(counting)


@contextmanager
def counted_at_first(seconds: float) -> Iterator[None]:
    """Count lines for so long of this process's time, and none in the rest of the block: it goes over the same ones again and again.

    To count takes up to four times as long as the code itself.
    """
    counting = Coverage.current()
    if counting is None or sys.gettrace() is None:
        yield
        return
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        # Within a block that is not counted, nothing is stopped: it is asked again.
        if not stopped and sys.gettrace() is not None:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            counting.stop()
            stopped = True

    # Of the processor's time: a busy machine has as many lines counted as a quiet one. Processes that a test starts have no timer.
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        if stopped:
            counting.start()
            this_process_alone()


def this_process_alone() -> dict[str, str]:
    """Have no process counted that is started from now on; return the environment in which one would be."""
    return {name: os.environ.pop(name) for name in [*os.environ] if name.startswith("COVERAGE_PROCESS")}
