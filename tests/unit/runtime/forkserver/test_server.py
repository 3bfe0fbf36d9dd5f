"""The fork server goes on without room for files or standard files, is replaced, and ends with who asked for it."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gatewayd.runtime import forkserver
from tests.e2e.house import ROOT
from tests.patience import Stopwatch
from tests.unit.forked_children import LONG, SLEEP, child
from tests.unit.matching.test_worker_matching import parent_of, runs
from tests.unit.supervised import until


def test_signals_that_who_starts_the_server_does_not_want_are_the_servers_all_the_same() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})
    try:
        forkserver.close()
        with child() as (one, found):
            assert one.ended(LONG)
            assert (one.code, found["blocked"]) == (0, 0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_where_the_server_is_killed_the_next_child_comes_from_another(number: signal.Signals) -> None:
    with child(SLEEP) as (one, _):
        first = parent_of(one.pid)
        os.kill(first, number)
        assert one.ended(LONG)
        assert one.code is None
        with child() as (other, _):
            assert parent_of(other.pid) != first
            assert other.ended(LONG)
            assert other.code == 0
        one.kill()
        until(lambda: not runs(one.pid))


def test_a_server_that_is_stopped_is_given_up_and_the_next_child_comes_from_another() -> None:
    with child(SLEEP) as (one, _):
        first = parent_of(one.pid)
        os.kill(first, signal.SIGSTOP)
        watch = Stopwatch()
        with child() as (other, _):
            assert parent_of(other.pid) != first
        assert watch.seconds < LONG
        until(lambda: not runs(first))
        assert runs(one.pid)
    until(lambda: not runs(one.pid))


def test_where_the_server_has_no_room_for_files_that_is_said_and_it_goes_on() -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: nobody else sees the open files of a process that can't be dumped")
    with child() as (one, _):
        server = parent_of(one.pid)
        one.ended(LONG)
    until(lambda: not Path(f"/proc/{one.pid}").exists())
    soft, hard = resource.prlimit(server, resource.RLIMIT_NOFILE)
    refused: list[int | None] = []
    # Room for one more is room to say why not.
    least = 1 + len(list(Path(f"/proc/{server}/fd").iterdir()))
    for most in range(least, least + 12):
        resource.prlimit(server, resource.RLIMIT_NOFILE, (most, hard))
        try:
            with child() as (one, found):
                assert found["files"] == sorted({0, 1, 2, found["given"]})
                assert one.ended(LONG)
                assert parent_of(one.pid) == server
        except OSError as error:
            refused.append(error.errno)
    assert set(refused) == {errno.EMFILE}
    resource.prlimit(server, resource.RLIMIT_NOFILE, (soft, hard))
    with child() as (one, _):
        assert one.ended(LONG)
        assert one.code == 0


CLOSED = """
import os, sys
sys.argv[1:] and sys.__stderr__.close()
from tests.unit.forked_children import child
with child() as (one, found):
    assert found["files"] == sorted({0, 1, 2, found["given"]}), found["files"]
    assert one.ended(60) and one.code == 0
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_standard_files_that_are_closed_are_no_fault(closed: str) -> None:
    # What is wrong is said to whoever hears it.
    command = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, CLOSED]
    done = subprocess.run(command, check=False, timeout=LONG, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_standard_error_that_the_program_itself_has_closed_is_no_fault() -> None:
    subprocess.run([sys.executable, "-c", CLOSED, "closed"], check=True, timeout=LONG, cwd=ROOT)


ASKER = """
import os, sys
from tests.unit.forked_children import SLEEP, child
from tests.unit.matching.test_worker_matching import parent_of
with child(sys.argv[2] + SLEEP) as (one, found):
    while sys.argv[2] and os.getpgid(one.pid) == one.pid:
        pass
    print(one.pid, parent_of(one.pid), flush=True)
    os.kill(os.getpid(), int(sys.argv[1])) if sys.argv[1] != "0" else os._exit(0)
"""


@pytest.mark.parametrize("does", ["", "os.setpgid(0, os.getpgid(os.getppid())); "])
@pytest.mark.parametrize("number", [0, signal.SIGKILL, signal.SIGTERM])
def test_server_and_children_end_with_who_asked_for_them(number: int, does: str) -> None:
    command = [sys.executable, "-c", ASKER, str(int(number)), does]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as asker:
        assert asker.stdout
        # Both may be gone by now.
        pids = [int(one) for one in asker.stdout.readline().split()]
        asker.wait(LONG)
    assert len(pids) == 2
    until(lambda: not any(map(runs, pids)))
