"""One worker process: how it ends, and that it never outlives its parent."""

from __future__ import annotations

import os
import pickle
import resource
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import TransientError
from gatewayd.matching import RawMail
from gatewayd.matching.worker_messages import TaskCall, TaskEnded, TaskNext, TaskReady, WorkerTask, pickle_spec
from gatewayd.matching.worker_process import WorkerDied, WorkerProcess
from gatewayd.message.mail import BytesSource
from tests.leaks import open_files
from tests.unit.matchers import plugin, raw_mails, registry, spec
from tests.unit.matching.test_worker_matching import runs
from tests.unit.supervised import until

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = 128 << 20


@pytest.fixture
def process() -> Iterator[WorkerProcess]:
    one = WorkerProcess(MEMORY)
    yield one
    one.kill()


def replies(process: WorkerProcess) -> Iterator[object]:
    while True:
        reply = process.receive(20)
        yield reply
        if reply is None or isinstance(reply, TaskEnded):
            return


def task(folder: Path, does: str = "return None", *, number: int = 1) -> WorkerTask:
    """A task of one call of a matcher that does this."""
    found = registry(folder, plugin({"does": does}))
    pickled = pickle_spec(spec(found, "acme", "does", folder=folder), found)
    return WorkerTask(
        raw_mails=raw_mails(number, *range(1, number + 1)), specs={7: pickled}, calls=(TaskCall(7, "does"),), refused={}
    )


def test_it_says_what_it_begins_with_and_what_it_found(process: WorkerProcess, tmp_path: Path) -> None:
    process.send(task(tmp_path, number=2))
    said = list(replies(process))
    assert said[:3] == [TaskReady(), TaskNext(None), TaskNext(0)] or said[:2] == [TaskReady(), TaskNext(0)]
    assert isinstance(said[-1], TaskEnded)
    assert [mail.subject for mail in said[-1].mails] == ["guilty 1", "guilty 2"]
    assert process.alive
    assert process.ready


@pytest.mark.parametrize(
    ("does", "how"),
    [
        ("os._exit(3)", "it exited with 3"),
        ("os.kill(os.getpid(), 9)", r"it was ended by signal 9 \(SIGKILL\)"),
        ("os.kill(os.getpid(), 40)", r"it was ended by signal 40 \(unknown\)"),
        ("os.closerange(3, 100); time.sleep(1000)", "it closed the connection"),
    ],
)
def test_how_it_ended_is_told(process: WorkerProcess, does: str, how: str, tmp_path: Path) -> None:
    process.send(task(tmp_path, does))
    with pytest.raises(WorkerDied, match=how):
        list(replies(process))


def test_an_answer_that_makes_no_sense_is_a_death(process: WorkerProcess, tmp_path: Path) -> None:
    process.send(task(tmp_path, "os.write(int(sys.argv[1]), b'\\0\\0\\0\\4junk')"))
    with pytest.raises(WorkerDied, match="its answer can't be read: UnpicklingError"):
        list(replies(process))


def test_an_answer_that_is_too_long_is_never_taken_in(process: WorkerProcess, tmp_path: Path) -> None:
    process.send(task(tmp_path, "os.write(int(sys.argv[1]), b'\\x7f\\0\\0\\0'); time.sleep(1000)"))
    with pytest.raises(WorkerDied, match="its answer can't be had: bad message length"):
        list(replies(process))


def test_what_is_sent_to_a_dead_one_says_so(process: WorkerProcess) -> None:
    process.end()
    until(lambda: not process.alive)
    with pytest.raises(WorkerDied, match="SIGKILL"):
        process.send(WorkerTask(raw_mails=(RawMail(1, BytesSource(b"x" * (1 << 20))),), specs={}, refused={}))
    process.calm()
    process.kill()
    process.kill()


def test_where_none_can_be_started_that_passes_and_nothing_is_left_open() -> None:
    before, refused = open_files(), 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in range(3, 64):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        try:
            WorkerProcess(MEMORY).kill()
        except TransientError:
            refused += 1
        else:
            break
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert refused > 3
    assert open_files() <= before


def test_modules_of_the_folder_where_the_daemon_was_started_are_not_taken_for_pythons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pickle.py").write_text("raise RuntimeError('not me')\n")
    monkeypatch.chdir(tmp_path)
    one = WorkerProcess(MEMORY)
    try:
        one.send(task(tmp_path / "plugins"))
        assert isinstance(list(replies(one))[-1], TaskEnded)
    finally:
        one.kill()


PARENT = """
import sys, time
from pathlib import Path
from gatewayd.matching.worker_process import WorkerProcess
from tests.unit.matching.test_worker_process import task

process = WorkerProcess(128 << 20)
if sys.argv[2]:
    process.send(task(Path(sys.argv[1]), sys.argv[2]))
    while not Path(sys.argv[1], "there").exists():
        time.sleep(0.01)
print(process.pid, flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize(
    "does",
    [
        "",
        "time.sleep(1000)",
        "re.match(r'(a+)+$', 'a' * 60 + 'b')",
        "os.fork(); time.sleep(1000)",
        "subprocess.run(['sleep', '1000'])",
        "exec('import signal; signal.signal(signal.SIGIO, signal.SIG_IGN)'); time.sleep(1000)",
    ],
)
def test_it_ends_with_its_parent_whatever_it_is_at(does: str, tmp_path: Path) -> None:
    there = f"Path({str(tmp_path / 'there')!r}).touch(); "
    command = [sys.executable, "-c", PARENT, str(tmp_path), does and there + does]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert parent.stdout
    pid = int(parent.stdout.readline())
    time.sleep(0.2)
    group = members(pid)
    assert pid in group
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: not [one for one in group if runs(one)])


def test_it_ends_without_a_word_if_its_parent_is_gone_before_its_answer() -> None:
    """Its parent may be killed at any time, and the signal of ``LIFE`` may come later than the end of the connection."""
    ours, theirs = socket.socketpair()
    life, _ = pipe = os.pipe()
    program = "import sys; from gatewayd.matching.worker import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", program, str(theirs.fileno()), str(life), str(MEMORY)]
    worker = subprocess.Popen(command, stderr=subprocess.PIPE, pass_fds=(theirs.fileno(), life), start_new_session=True)
    theirs.close()
    with Connection(ours.detach()) as parent:
        parent.send_bytes(pickle.dumps(WorkerTask(raw_mails=raw_mails(1), specs={}, refused={})))
    try:
        assert (worker.communicate(timeout=60)[1], worker.returncode) == (b"", 0)
    finally:
        worker.kill()
        for one in pipe:
            os.close(one)


def members(group: int) -> list[int]:
    """The processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[2]) == group:
            found.append(int(path.parent.name))
    return found
