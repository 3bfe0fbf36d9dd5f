"""A process that has gatewayd imported already, and forks a process of its own for each command.

To start Python and to import takes most commands longer than what they do, and the tests run hundreds of them. A command
is forked from a process that has done nothing but import, so that nothing of one command is seen by the next; that it then
does what a fresh ``python -m gatewayd`` does is tested in ``test_warm.py``.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ROOT = Path(__file__).parent.parent.parent

#: How many commands with the same words and options have their lines counted in a run; counting makes one take twice as long.
_COUNTED = 4


class Ended(NamedTuple):
    """How a command ended; a negative code is the signal that ended it."""

    code: int
    out: str
    err: str


class Started:
    """A command that runs; what tests use of ``subprocess.Popen``. Whoever starts it waits for its end."""

    def __init__(self, answer: socket.socket) -> None:
        self._lines = answer.makefile("rb", buffering=0)
        self.pid = int(self._lines.readline() or _lost())
        self.returncode: int | None = None
        # One thread waits, another one kills.
        self._door = threading.Lock()

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        with self._door:
            if self.returncode is None and self._says(0):
                self.returncode = int(self._lines.readline() or _lost())
                self._lines.close()
            return self.returncode

    def wait(self, timeout: float) -> int:
        """Return its exit code; raises TimeoutExpired."""
        if self.returncode is None and not self._says(timeout):
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        code = self.poll()
        assert code is not None
        return code

    def _says(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._lines, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


def _lost() -> NoReturn:
    raise RuntimeError(f"{__name__} has ended, see standard error, or did not say how a command ended")


class Warm:
    """The process, seen from the tests. Threads may share it: its commands run beside each other."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "tests.e2e.warm_process", str(theirs.fileno())]
            null = subprocess.DEVNULL
            self._process = subprocess.Popen(
                command, stdin=null, stdout=null, pass_fds=[theirs.fileno()], cwd=_ROOT, env={**os.environ, **counted}
            )

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], out: int, err: int, *, is_counted: bool = True
    ) -> Started:
        """Start a command, as ``python -m gatewayd`` would, which writes to these files; its lines need not be counted."""
        counts = is_counted and is_one_of_few(arguments)
        answer, theirs = socket.socketpair()
        with answer:
            with theirs:
                request = json.dumps([list(arguments), dict(environment), counts]).encode()
                socket.send_fds(self._control, [request], [theirs.fileno(), out, err])
            return Started(answer)

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], timeout: float) -> Ended:
        """Run one command to its end."""
        # Files and not pipes: nobody has to read while the command runs.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            command = self.start(arguments, environment, out.fileno(), err.fileno())
            try:
                code = command.wait(timeout)
            except subprocess.TimeoutExpired:
                command.kill()
                raise
            for file in (out, err):
                file.seek(0)
            return Ended(code, *(file.read().decode().replace("\r\n", "\n") for file in (out, err)))

    @property
    def ended(self) -> bool:
        """Whether the process is there no more."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End the process, and wait until it has written what it knows of coverage."""
        self._control.close()
        self._process.wait(60)


_started: list[Warm] = []
#: The environment in which its lines are counted; empty where nobody counts.
counted: dict[str, str] = {}
#: A folder of all processes of a run, with a file for each command that is counted.
_folders: list[Path] = []


def count(environment: Mapping[str, str], folder: Path) -> None:
    """Have a few commands of each kind counted, by any process that names this folder."""
    counted.update(environment)
    _folders[:] = [folder]


def is_one_of_few(arguments: Sequence[str]) -> bool:
    """Whether a command is of a kind of which few were counted; it is then counted as one of them."""
    kind = " ".join(sorted({word.partition("=")[0] for word in arguments if word.isalpha() or word.startswith("--")}))
    name = sha256(kind.encode()).hexdigest()
    for file in (folder / f"{name}-{number}" for folder in _folders for number in range(_COUNTED)):
        with suppress(FileExistsError):
            file.touch(exist_ok=False)
            return True
    return False


def warm() -> Warm:
    """Return the process; it is started when it is first asked for."""
    if not _started or _started[-1].ended:
        _started.append(Warm())
    return _started[-1]


def close() -> None:
    """End what was started."""
    while _started:
        _started.pop().close()
