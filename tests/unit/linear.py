"""Time against size: what reads bytes from outside takes no more than linear time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T", bytes, str)


def assert_linear(read: Callable[[T], object], unit: T, size: int = 60_000) -> None:
    """Four times as much may take a bit more than four times as long, not sixteen times."""
    took = []
    for length in (size, 4 * size):
        text = unit * (length // len(unit))
        started = time.process_time()
        read(text)
        took.append(time.process_time() - started)
    assert took[1] < max(0.4, 9 * took[0]), took
