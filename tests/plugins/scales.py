"""What a server costs us: memory, processor and time of a visit, weighed in a process that does nothing else (P6, P8)."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd import GatewaydError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Cost", "Scales", "scales"]

#: What no account's server may cost: MiB, seconds of the processor, seconds in all on a busy machine, with steps of one second.
MIB, CPU, WALL = 64, 2, 60


@dataclass(frozen=True)
class Cost:
    """What one visit cost."""

    mib: float
    cpu: float
    wall: float
    #: The class of the error that it ended with; empty where it came to its end.
    error: str
    #: What was told of it.
    message: str = ""

    def is_borne(self, label: object) -> None:
        """Assert that it is within all bounds, and that nothing but one of the five errors came out."""
        assert self.mib < MIB, (label, self)
        assert self.cpu < CPU, (label, self)
        assert self.wall < WALL, (label, self)
        assert self.error in ("", "TransientError", "AnswerLost", "TooLarge", "PermanentError", "AuthError", "Goodbye"), (
            label,
            self,
        )


class Scales:
    """A process that does visits one by one, and says what each cost."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def weigh(self, *given: object) -> Cost:
        """Have it called once with these arguments, which JSON can hold."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(given) + "\n")
        self._process.stdin.flush()
        return Cost(**json.loads(self._process.stdout.readline()))


@contextmanager
def scales(visit: str) -> Iterator[Scales]:
    """Start the process; ``visit`` names what it calls, as ``module:function``. The servers are not in it."""
    command = [sys.executable, "-c", f"from tests.plugins.scales import serve; serve({visit!r})"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Scales(process)
        assert process.stdin
        process.stdin.close()


def serve(visit: str) -> None:
    """Do what comes by standard input, a line each."""
    module, _, name = visit.partition(":")
    call = getattr(importlib.import_module(module), name)
    _peak()
    floor = _peak()
    for line in sys.stdin:
        _peak()
        began, cpu, error, message = time.monotonic(), time.process_time(), "", ""
        try:
            call(*json.loads(line))
        except GatewaydError as caught:
            error, message = type(caught).__name__, caught.message
        except Exception as caught:  # noqa: BLE001  whatever it is, it is told
            error = repr(caught)
        cost = Cost(_peak() - floor, time.process_time() - cpu, time.monotonic() - began, error, message)
        print(json.dumps(vars(cost)), flush=True)


def _peak() -> float:
    """Return the peak of this program since it was last asked for, in MiB; it begins anew (proc(5))."""
    lines = Path("/proc/self/status").read_text().splitlines()
    Path("/proc/self/clear_refs").write_text("5")
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
