"""Run a command and measure it from outside: wall time, CPU time and peak memory of it and its children."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: A small process starts the command, so that its peak memory does not begin with that of a large parent. The peak is that of the
#: sum of the peaks of the processes that run at a time, so it is not told too small where they have theirs at different times.
_LAUNCHER = """
import json, os, resource, signal, subprocess, sys, threading, time

def look(pid):
    peak = 0
    try:
        with open(f"/proc/{pid}/status") as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as children:
                peak += sum(look(child) for child in children.read().split())
    except (OSError, StopIteration):
        pass
    return peak

started = time.monotonic()
log, seconds, *command = sys.argv[1:]
running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(log, "wb"), start_new_session=True)
late = threading.Timer(float(seconds), lambda: os.killpg(running.pid, signal.SIGKILL))
late.start()
ended = threading.Event()
seen = [0]

def watch():
    while not ended.wait(0.1):
        seen[0] = max(seen[0], look(running.pid))

threading.Thread(target=watch, daemon=True).start()
code = running.wait()
late.cancel()
ended.set()
wall = time.monotonic() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
peak = max(seen[0], used.ru_maxrss) / 1024
print(json.dumps([code, wall, used.ru_utime + used.ru_stime, peak]))
"""


#: Seconds after which a program that does not end is killed.
_PATIENCE = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run of one command."""

    messages: int
    wall: float
    cpu: float
    #: MiB.
    peak: float

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.wall


def run(command: Sequence[str], messages: int, log: str, env: Mapping[str, str] | None = None) -> Sample:
    """Run a command to its end; raises RuntimeError with what it said if it fails, or hangs."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", _LAUNCHER, log, str(_PATIENCE), *command], capture_output=True, text=True, check=True, env=env
    )  # fmt: skip
    code, wall, cpu, peak = json.loads(done.stdout)
    if code:
        with open(log, encoding="utf-8", errors="replace") as said:  # noqa: PTH123
            raise RuntimeError(f"{command[0]} exited with {code}: {said.read()[-2000:]}")
    return Sample(messages=messages, wall=wall, cpu=cpu, peak=peak)


def table(samples: Mapping[str, Sequence[Sample]]) -> None:
    """Print the median of every row, with the range of its rates."""
    width = max(len(name) for name in samples)
    print(f"{'':<{width}}  {'messages/s':>10}  {'range':>15}  {'CPU s/10k':>9}  {'peak MiB':>8}")
    for name, row in samples.items():
        rates = [sample.rate for sample in row]
        cpu = statistics.median(sample.cpu * 10_000 / sample.messages for sample in row)
        peak = max(sample.peak for sample in row)
        spread = f"{min(rates):,.0f}-{max(rates):,.0f}"
        print(f"{name:<{width}}  {statistics.median(rates):>10,.0f}  {spread:>15}  {cpu:>9.2f}  {peak:>8.0f}")
