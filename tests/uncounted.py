"""Code whose lines are not counted for coverage."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from coverage import Coverage

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How many blocks of a kind reached nothing new, one after the other; and how many are enough to count no more.
_barren: Counter[str] = Counter()
_ENOUGH = 10


@contextmanager
def uncounted() -> Iterator[None]:
    """Count no lines of this thread, nor of those that it starts, while the block lasts.

    Where none are counted anyhow nothing is set: Python 3.11 refuses a trace function that is set while another thread sets one.
    """
    counting, in_threads = sys.gettrace(), threading.gettrace()
    if counting is in_threads is None:
        yield
        return
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        threading.settrace(in_threads)
        sys.settrace(counting)


@contextmanager
def counted_while_new(kind: str, seconds: float) -> Iterator[None]:
    """Count the lines of a block until it has run for so many seconds without reaching one that is new to this process.

    A block is not counted at all if the ten before it of its kind reached nothing new. Seconds are of the process's own time.
    Counting makes code up to four times as slow, and most tests run lines that others ran before.
    """
    counting = Coverage.current()
    if counting is None or sys.gettrace() is None:
        yield
        return
    if _barren[kind] >= _ENOUGH:
        with uncounted():
            yield
        return
    begun = reached = _reached(counting)
    stopped = False

    def look(*_: object) -> None:
        nonlocal reached, stopped
        before, reached = reached, _reached(counting)
        # Within a block that is not counted, nothing is stopped: it is asked again.
        if reached == before and not stopped and sys.gettrace() is not None:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            counting.stop()
            stopped = True

    # Of the processor's time: a busy machine has as many lines counted as a quiet one. Processes that a test starts have no timer.
    handler = signal.signal(signal.SIGVTALRM, look)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, handler)
        if stopped:
            counting.start()
            this_process_alone()
        _barren[kind] = 0 if _reached(counting) > begun else _barren[kind] + 1


def _reached(counting: Coverage) -> int:
    """Return how many lines this process is known to have reached."""
    assert counting._collector is not None
    return sum(map(len, [*counting._collector.data.values()]))


def this_process_alone() -> dict[str, str]:
    """Have no process counted that is started from now on; return the environment in which one would be."""
    return {name: os.environ.pop(name) for name in [*os.environ] if name.startswith("COVERAGE_PROCESS")}
