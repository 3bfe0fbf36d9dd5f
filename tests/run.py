"""What ``./gw test`` and ``./gw campaign`` run: format, lint, types, then all tests with their coverage.

Tests marked ``alone`` run first, two at a time and without counting lines, since they measure times or memory; they leave half of the
processors idle, in which types are checked. All others run in more than twice as many processes as there are processors, since they wait for half
of their time. What fails is run once more by itself, for all to see, and fails the whole if it fails again. A step may take as long as
it likes while it says something, as pytest does with each test that is done. Arguments go to pytest, which then runs alone, in one
process and without coverage: ``./gw test tests/unit -k mail``. ``./gw campaign servers`` runs what the campaign has in ``tests/servers``.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Lines of kernel and plugins that tests must reach, in percent.
_COVERED = 95

#: Seconds of silence after which a step is ended. pytest's own timeout, for each test, comes first and says where.
_SILENCE = 15 * 60.0
#: And seconds that it then has to end.
_PATIENCE = 30

_OK = "ok"

_FORMAT = ["-m", "ruff", "format", "--check", "--quiet", "."]
_LINT = ["-m", "ruff", "check", "--quiet", "."]
_COUNTED = ["--cov", "--cov-report="]
_AGAIN = ["--last-failed", "--last-failed-no-failures=none"]
_CAMPAIGN = ["-m", "campaign", "--timeout=3600"]
_TESTS = Path(__file__).parent
_REPORT = ["-m", "coverage", "report", "--skip-covered", f"--fail-under={_COVERED}"]


def _together() -> list[str]:
    # More than half of their time tests wait: for deadlines, for servers, for processes that they started.
    processes = 5 * len(os.sched_getaffinity(0)) // 2
    # What failed in an earlier run is no matter of this one.
    return [
        "-m",
        "pytest",
        "--cache-clear",
        "-m",
        "not campaign and not alone",
        f"--numprocesses={processes}",
        # Each process has a part of its own, see tests/conftest.py; one that is done takes of another's.
        "--dist=worksteal",
        *_COUNTED,
    ]


def _alone() -> list[str]:
    return ["-m", "pytest", "--cache-clear", "-m", "not campaign and alone", "--numprocesses=2", "--dist=load"]


def step(name: str, command: list[str], *, aside: bool = False, silence: float = _SILENCE) -> bool:
    """Run one step, a command of Python's, and say how it ended. What runs aside is shown in one piece when it is done."""
    # A block from aside may fall into a line of dots.
    begin = f"\n== {name}\n" if aside else f"== {name}\n"
    said = [begin.encode()]
    if not aside:
        _show(said.pop())
    started = time.monotonic()
    # What runs aside takes what time of a processor the others leave.
    program = ["nice", "-n", "19", sys.executable] if aside else [sys.executable]
    with subprocess.Popen([*program, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        end = _followed(process, said.append if aside else _show, silence)
    _show(b"".join([*said, f"== {name}: {end} ({time.monotonic() - started:.0f} s)\n".encode()]))
    return end == _OK


def _show(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _followed(process: subprocess.Popen[bytes], take: Callable[[bytes], object], silence: float) -> str:
    """Hand on what a step says until it has ended; end it if it says nothing for so long, however long it takes in all."""
    assert process.stdout is not None
    heard = time.monotonic()
    while time.monotonic() - heard < silence:
        if select.select([process.stdout], [], [], min(1.0, silence))[0]:
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                return "FAILED" if process.wait() else _OK
            take(data)
            heard = time.monotonic()
        elif process.poll() is not None:
            # Something that it started is left, and may still speak.
            return "FAILED" if process.returncode else _OK
    return _ended(process, silence)


def _ended(process: subprocess.Popen[bytes], silence: float) -> str:
    """End a step in the way in which pytest still ends what its tests started, else by force."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
    return f"FAILED: it was ended, since it had said nothing for {silence:g} s"


def _alone_with(arguments: list[str]) -> bool:
    """Run pytest as a person asks for it, on the terminal."""
    started = time.monotonic()
    print("== tests", flush=True)
    code = subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode
    print(f"== tests: {'FAILED' if code else _OK} ({time.monotonic() - started:.0f} s)", flush=True)
    return code == 0


def _tests(name: str, command: list[str], *, again: list[str]) -> bool:
    """Run tests; those that fail while others keep the machine busy get a second try by themselves, for all to see."""
    if step(name, command):
        return True
    return step(f"{name}, those that failed once more", ["-m", "pytest", *_AGAIN, *again])


def _everything() -> bool:
    passed = [step("format", _FORMAT), step("lint", _LINT)]
    with ThreadPoolExecutor(1) as pool:
        types = pool.submit(step, "types", ["-m", "mypy"], aside=True)
        # They find all tests, which compiles these: the processes of the others need not do so at the same time.
        passed.append(_tests("tests alone", _alone(), again=["-m", "not campaign and alone"]))
        passed.append(types.result())
    passed.append(_tests("tests", _together(), again=["-m", "not campaign and not alone"]))
    passed.append(step("coverage", _REPORT))
    return all(passed)


def _campaign(arguments: list[str]) -> list[str]:
    """Return what pytest is told: the whole campaign, what it has in a room of the tests, or what the arguments say themselves."""
    if not arguments:
        return _CAMPAIGN
    room, *others = arguments
    return [f"tests/{room}", *_CAMPAIGN, *others] if (_TESTS / room).is_dir() else arguments


def main(arguments: list[str]) -> int:
    """Run everything, or the tests that the arguments name; return 0 only if all of it passed."""
    # Where no bytecode is kept, each of the hundreds of processes that tests start compiles all of gatewayd anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if os.environ.get("GATEWAYD_CAMPAIGN"):
        passed = _alone_with(_campaign(arguments))
    elif arguments:
        passed = _alone_with(arguments)
    else:
        passed = _everything()
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
