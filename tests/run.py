"""What ``./gw test`` and ``./gw campaign`` run: format, lint, types, then all tests with their coverage.

Tests run in as many processes as there are processors and one more, for the one that waits; those marked ``alone`` afterwards, one by one
and without counting lines, since they have times to keep.
What fails is run once more by itself, and fails the whole if it fails again: some tests have a time to keep, on a machine that is busy.
Types are checked meanwhile. Arguments go to pytest, which then runs alone, in one process and without coverage:
``./gw test tests/unit -k mail``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from tempfile import TemporaryFile

#: Lines of kernel and plugins that tests must reach, in percent.
_COVERED = 95

#: Seconds after which a step is ended, whatever it does. pytest's own timeout, for each test, comes first and says where.
_LONGEST = 20 * 60
#: And seconds that it then has to end.
_PATIENCE = 30

_OK = "ok"

_FORMAT = ["ruff", "format", "--check", "--quiet", "."]
_LINT = ["ruff", "check", "--quiet", "."]
_COUNTED = ["--cov", "--cov-report="]
_AGAIN = ["--last-failed", "--last-failed-no-failures=none"]
_REPORT = ["coverage", "report", "--skip-covered", f"--fail-under={_COVERED}"]


def _together() -> list[str]:
    processes = len(os.sched_getaffinity(0)) + 1
    # What failed in an earlier run is no matter of this one.
    return [
        "pytest",
        "--cache-clear",
        "-m",
        "not campaign and not alone",
        f"--numprocesses={processes}",
        # Tests that wait and tests that compute go side by side: end to end in one process, units in the others, until one is done.
        "--dist=worksteal",
        *_COUNTED,
    ]


def _alone() -> list[str]:
    return ["pytest", "-m", "not campaign and alone"]


def _step(name: str, command: list[str], *, aside: bool = False, longest: float | None = _LONGEST) -> bool:
    """Run one step and say how it ended. What runs aside is shown in one piece when it is done."""
    # A block from aside may fall into a line of dots.
    begin = f"\n== {name}\n" if aside else f"== {name}\n"
    if not aside:
        print(begin, end="", flush=True)
    started = time.monotonic()
    with TemporaryFile() as said:
        output = said if aside else None
        with subprocess.Popen([sys.executable, "-m", *command], stdout=output, stderr=output) as process:
            end = _ended(process, longest)
        said.seek(0)
        block = begin + said.read().decode() if aside else ""
    print(f"{block}== {name}: {end} ({time.monotonic() - started:.0f} s)", flush=True)
    return end == _OK


def _tests(name: str, command: list[str], *, again: list[str]) -> bool:
    """Run tests; those that fail while others keep the machine busy get a second try by themselves, for all to see."""
    if _step(name, command):
        return True
    return _step(f"{name}, those that failed once more", ["pytest", *_AGAIN, *again])


def _ended(process: subprocess.Popen[bytes], longest: float | None) -> str:
    """Wait for a step; end it where it takes too long, first in the way in which pytest still ends what its tests started."""
    try:
        return "FAILED" if process.wait(longest) else _OK
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
    return f"FAILED: it was ended after {longest} s"


def _everything() -> bool:
    passed = [_step("format", _FORMAT), _step("lint", _LINT)]
    with ThreadPoolExecutor(1) as pool:
        types = pool.submit(_step, "types", ["mypy"], aside=True)
        passed.append(_tests("tests", _together(), again=["-m", "not campaign and not alone"]))
        passed.append(types.result())
    passed.append(_tests("tests alone", _alone(), again=["-m", "not campaign and alone"]))
    passed.append(_step("coverage", _REPORT))
    return all(passed)


def main(arguments: list[str]) -> int:
    """Run everything, or the tests that the arguments name; return 0 only if all of it passed."""
    if os.environ.get("GATEWAYD_CAMPAIGN"):
        passed = _step("tests", ["pytest", *(arguments or ["-m", "campaign", "--timeout=3600"])], longest=None)
    elif arguments:
        passed = _step("tests", ["pytest", *arguments], longest=None)
    else:
        passed = _everything()
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
