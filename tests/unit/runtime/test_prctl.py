"""Processes that hold secrets write no core, whatever the limit says, and nobody but root looks into them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

#: Any user but root.
SOMEBODY = 62846
IMPORTED = "import os, signal, sys; from pathlib import Path; from gatewayd.runtime.prctl import forbid_dumps, set_name; "
DIES = "os.kill(os.getpid(), int(sys.argv[1]))"


def dumped(program: str, number: int, folder: Path) -> bool:
    """Run a program that ends by a signal, with no limit on cores, and return whether the kernel wrote a core of it."""
    script = 'cd "$0" && ulimit -c unlimited && exec "$@"'
    command = ["sh", "-c", script, str(folder), sys.executable, "-c", f"{IMPORTED}{program}", str(number)]
    _, status = os.waitpid(os.posix_spawn("/bin/sh", command, os.environ), 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == number
    return os.WCOREDUMP(status)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_P9_a_process_that_crashes_leaves_no_core_though_its_limit_allows_one(tmp_path: Path, number: int) -> None:
    if not dumped(DIES, number, tmp_path):
        pytest.skip("this machine writes no cores at all")
    for core in tmp_path.glob("core*"):
        core.unlink()
    assert not dumped(f"forbid_dumps(); {DIES}", number, tmp_path)
    # Nor does what it forks.
    forks = "forbid_dumps(); child = os.fork(); status = os.waitpid(child, 0)[1] if child else 0; assert not os.WCOREDUMP(status); "
    assert not dumped(forks + DIES, number, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("forbids", "seen"), [("", "True"), ("forbid_dumps()", "False")])
def test_P9_another_process_of_the_same_user_does_not_see_its_memory_and_environment(forbids: str, seen: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: there is nobody to become")
    looks = "os.access(f'/proc/{os.getppid()}/environ', os.R_OK)"
    program = (
        f"os.setgid({SOMEBODY}); os.setuid({SOMEBODY}); import ctypes; ctypes.CDLL(None).prctl(4, 1, 0, 0, 0); {forbids}\n"
        f"import subprocess; subprocess.run([sys.executable, '-c', \"import os; print({looks})\"], check=True)"
    )
    done = subprocess.run([sys.executable, "-c", IMPORTED + program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == seen


def test_a_process_that_can_not_be_dumped_has_its_name_and_its_own_files() -> None:
    """As a user who is not root."""
    becomes = f"os.getuid() or (os.setgid({SOMEBODY}), os.setuid({SOMEBODY})); "
    program = (
        f"{becomes}forbid_dumps(); set_name('gatewayd.worker'); "
        "print(Path('/proc/self/comm').read_text().strip(), 'Umask' in Path('/proc/self/status').read_text(), "
        "len(os.listdir('/proc/self/fd')) > 2, Path('/proc/self/statm').read_text() > '', "
        "Path(f'/proc/self/fd/{os.memfd_create(str())}').read_bytes() == b'')"
    )
    done = subprocess.run([sys.executable, "-c", IMPORTED + program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["gatewayd.worker", *["True"] * 4]


def test_P9_who_becomes_another_user_stays_without_cores(tmp_path: Path) -> None:
    """The kernel forgets it with the user; what holds then is up to the machine."""
    if os.geteuid() != 0:
        pytest.skip("not root: there is nobody to become")
    os.chown(tmp_path, SOMEBODY, SOMEBODY)
    program = (
        "from gatewayd.runtime.privileges import become_owner; import ctypes; "
        "become_owner(Path(os.environ['STATE'])); print(os.getuid(), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    environment = {**os.environ, "STATE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED + program], capture_output=True, text=True, check=True, timeout=60, env=environment
    )
    assert done.stdout.split() == [str(SOMEBODY), "0"]
