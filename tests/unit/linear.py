"""Time against size: what reads bytes from outside takes no more than linear time."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING, TypeVar

from tests.uncounted import uncounted

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T", bytes, str)


def cpu_seconds(call: Callable[[], object]) -> float:
    """Return what a call costs of the processor. Its lines are not counted for coverage, which would take longer than the call."""
    with uncounted():
        began = time.process_time()
        call()
        return time.process_time() - began


def assert_linear(read: Callable[[T], object], unit: T, size: int = 60_000) -> None:
    """Four times as much may take a bit more than four times as long, not sixteen times."""
    small, large = (unit * (length // len(unit)) for length in (size, 4 * size))
    for left in (2, 1, 0):
        with uncounted():
            took = [cpu_seconds(lambda: read(small)), cpu_seconds(lambda: read(large))]
        if took[1] < max(0.4, 9 * took[0]):
            return
        # A machine that is busy is slow once or twice.
        assert left, took


def peak(call: Callable[[], object]) -> int:
    """Return how many bytes a call takes at once beyond what was there; patterns included."""
    with uncounted():
        tracemalloc.start()
        try:
            call()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
