"""How long tests wait: a busy machine must not make them fail, and a quiet one must not wait in vain.

A test waits for what it expects, with a bound that is only met if it never comes. Where a test proves that something is not waited for,
that takes ``LONG``, and the test is done within ``AT_ONCE``. What promises a time is measured with a ``Stopwatch``.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

__all__ = ["AT_ONCE", "BUSY", "LONG", "Stopwatch"]

#: How many times as long as on a quiet machine everything may take.
BUSY = 8

#: Seconds within which is done what needs no waiting, on a busy machine.
AT_ONCE = 20.0
#: Seconds that take what must not be waited for.
LONG = 120.0

_PRESSURE = Path("/proc/pressure/cpu")


class Stopwatch:
    """Counts the seconds that something would have taken on a quiet machine.

    Time in which a task of this machine waited for a processor counts an eighth (docs.kernel.org/accounting/psi.html, "some"),
    as all time does where the kernel doesn't tell.
    """

    def __init__(self) -> None:
        self._began, self._hindered = time.monotonic(), _hindered()

    @property
    def seconds(self) -> float:
        """The seconds so far."""
        wall, hindered = self.wall, _hindered()
        if self._hindered is None or hindered is None:
            return wall / BUSY
        busy = min(wall, hindered - self._hindered)
        return wall - busy + busy / BUSY

    @property
    def wall(self) -> float:
        """The seconds that went by."""
        return time.monotonic() - self._began

    @property
    def slowness(self) -> float:
        """How many times as long as on a quiet machine everything took so far, at most ``BUSY``."""
        return self.wall / self.seconds


def _hindered() -> float | None:
    """The seconds since the machine's start in which some task waited for a processor; None where that isn't told."""
    try:
        told = re.match(r"some .*total=(\d+)", _PRESSURE.read_text())
    except OSError:
        return None
    return int(told[1]) / 1e6 if told else None
