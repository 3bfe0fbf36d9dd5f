"""A child of the fork server is as one that was started now, and ends with all that it has forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gatewayd.runtime import forkserver
from tests.e2e.house import ROOT
from tests.unit.forked_children import LONG, SLEEP, child
from tests.unit.matching.test_worker_matching import parent_of, runs
from tests.unit.matching.test_worker_process import members
from tests.unit.supervised import until


def test_a_child_finds_what_one_that_was_started_now_would_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with child():
        # The server runs, and knows nothing of what follows.
        pass
    monkeypatch.setenv("LATER", "1")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.delenv("PATH")
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o027)
    try:
        with child() as (one, found):
            assert one.ended(LONG)
    finally:
        os.umask(before)
    assert (found["pid"], found["group"]) == (one.pid, one.pid)
    assert found["environment"] == dict(os.environ)
    assert (found["zone"], found["folder"], found["umask"]) == ("JST", str(tmp_path), 0o027)
    assert found["argv"] == ["tests.unit.forked", str(found["given"]), ""]
    assert found["files"] == sorted({0, 1, 2, found["given"]})
    assert found["input"]
    assert (found["handled"], found["blocked"]) == ([True, True], 0)


def test_a_working_folder_that_is_gone_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with child() as (one, _):
        assert one.ended(LONG)
        assert one.code == 0


def test_a_child_has_nothing_of_another_one() -> None:
    with child(SLEEP), child(SLEEP), child() as (_, found):
        assert found["files"] == sorted({0, 1, 2, found["given"]})


@pytest.mark.parametrize(
    ("does", "code"),
    [("", 0), ("sys.exit(3)", 3), ("os._exit(4)", 4), ("1 / 0", 1), ("os.kill(os.getpid(), 9)", -9), ("os.abort()", -6)],
)
def test_how_it_ended_is_known(does: str, code: int) -> None:
    with child(does) as (one, _):
        assert one.ended(LONG)
        assert one.ended()
        assert one.code == code


def test_its_number_is_nobody_elses_until_it_is_let_go_of() -> None:
    with child() as (one, _):
        assert one.ended(LONG)
        assert Path(f"/proc/{one.pid}").exists()
        one.kill()
    until(lambda: not Path(f"/proc/{one.pid}").exists())


def test_one_that_is_let_go_of_ends_with_what_it_has_forked() -> None:
    with child(f"os.fork(); {SLEEP}") as (one, _):
        until(lambda: len(members(one.pid)) == 2)
        assert not one.ended(0.05)
        assert one.code is None
    # Where nobody takes in the orphans of this machine, what it had forked stays an entry.
    until(lambda: not any(map(runs, members(one.pid))))


def test_one_that_is_killed_takes_along_what_it_has_forked() -> None:
    with child(f"os.fork(); {SLEEP}") as (one, _):
        until(lambda: len(members(one.pid)) == 2)
        one.kill()
        until(lambda: not any(map(runs, members(one.pid))))


def test_one_that_is_killed_says_so_and_others_go_on() -> None:
    with child(SLEEP) as (one, _), child(SLEEP) as (other, _):
        one.kill()
        assert one.ended(LONG)
        assert one.code == -9
        assert not other.ended()


def test_others_may_have_the_processor_first() -> None:
    with child(SLEEP) as (one, _):
        before = os.getpriority(os.PRIO_PROCESS, one.pid)
        one.calm(before + 5)
        assert os.getpriority(os.PRIO_PROCESS, one.pid) == before + 5


def test_a_child_that_kills_its_parent_kills_nobody_of_us() -> None:
    with child("os.kill(os.getppid(), 9); time.sleep(0.1)") as (one, _):
        assert one.ended(LONG)
    with child() as (other, _):
        assert other.ended(LONG)
        assert other.code == 0


def test_one_that_joined_another_group_ends_all_the_same() -> None:
    for end in (forkserver.Child.kill, forkserver.Child.close):
        with child(f"os.setpgid(0, os.getpgid(os.getppid())); {SLEEP}") as (one, _):
            until(lambda: os.getpgid(one.pid) != one.pid)
            end(one)
            until(lambda: not runs(one.pid))


def test_what_it_has_printed_is_not_lost_when_it_is_killed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    forkserver.close()
    with child(f"print('hello'); {SLEEP}", heard=True) as (one, _):
        until(lambda: "hello" in capfd.readouterr().err)
        assert not one.ended()


def test_its_end_is_quick_and_loses_nothing_that_it_printed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    forkserver.close()
    late = f"import atexit; atexit.register(open, {str(tmp_path / 'late')!r}, 'w')"
    with child(f"{late}; print('half a line', end='')", heard=True) as (one, _):
        assert one.ended(LONG)
        assert one.code == 0
    assert "half a line" in capfd.readouterr().err
    assert not (tmp_path / "late").exists(), "to undo all that was imported copies the memory that is shared"


def test_a_child_that_has_closed_what_it_prints_to_ends_well() -> None:
    with child("sys.stdout.close(); sys.stderr = None") as (one, _):
        assert one.ended(LONG)
        assert one.code == 0


def test_what_it_prints_is_heard_where_it_is_wanted(capfd: pytest.CaptureFixture[str]) -> None:
    for heard in (True, False):
        with child("print('hello'); print('there', file=sys.stderr)", heard=heard) as (one, _):
            assert one.ended(LONG)
        said = capfd.readouterr()
        assert (sorted(said.err.split()), said.out) == (["hello", "there"] if heard else [], "")


def test_a_process_that_we_fork_has_the_same_server_and_leaves_it_to_us() -> None:
    with child(SLEEP) as (one, _):
        server = parent_of(one.pid)
        pid = os.fork()
        if not pid:
            with child() as (theirs, _):
                same = parent_of(theirs.pid) == server and theirs.ended(LONG) and theirs.code == 0
            forkserver.close()
            os._exit(0 if same else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        with child() as (ours, _):
            assert parent_of(ours.pid) == server
        assert not one.ended()


def test_where_the_server_is_let_go_of_its_children_end() -> None:
    with child(SLEEP) as (one, _):
        forkserver.close()
        until(lambda: not runs(one.pid))
        assert one.ended(LONG)


def test_a_child_whose_asker_is_gone_does_not_begin(tmp_path: Path) -> None:
    with child(SLEEP) as (one, _):
        server = parent_of(one.pid)
        os.kill(server, signal.SIGSTOP)
        askers = [_asks(f"Path({str(tmp_path / str(number))!r}).touch()") for number in range(8)]
        time.sleep(0.3)
        for pid in askers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.kill(server, signal.SIGCONT)
        with child() as (other, _):
            assert parent_of(other.pid) == server
            assert other.ended(LONG)
    assert list(tmp_path.iterdir()) == []


def _asks(does: str) -> int:
    """A process of ours that asks for a child."""
    pid = os.fork()
    if not pid:
        forkserver.fork("tests.unit.forked", [does], files=[os.open(os.devnull, os.O_WRONLY)], heard=False)
        os._exit(0)
    return pid


NOBODY = """
import os
from gatewayd.runtime import forkserver

def group():
    ours, theirs = os.pipe()
    child = forkserver.fork("tests.unit.forked", ["os.write(int(given), str(os.getgid()).encode())"], files=[theirs], heard=False)
    os.close(theirs)
    with os.fdopen(ours) as said:
        said.readline()
        found = int(said.read())
    child.close()
    return found

assert group() != 65534
os.setgid(65534)
assert group() == 65534, group()
"""

SHUT = """
import os, sys
from gatewayd.runtime import forkserver
from tests.unit.forked_children import child
os.chdir(sys.argv[1])
# What root could do beyond that, no child can do for it.
os.setresuid(65534, 65534, 65534)
with child() as (one, found):
    assert found["folder"] == sys.argv[1], found["folder"]
    assert one.ended(60) and one.code == 0
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_working_folder_that_may_not_be_entered_is_no_fault(tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o700)
    try:
        subprocess.run([sys.executable, "-c", ""], user=65534, check=True)
    except PermissionError:
        pytest.skip("this Python is not everybody's")
    subprocess.run([sys.executable, "-c", SHUT, shut], check=True, timeout=LONG, cwd=ROOT)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_process_that_became_somebody_else_has_no_child_of_whom_it_was() -> None:
    subprocess.run([sys.executable, "-c", NOBODY], check=True, timeout=LONG)
