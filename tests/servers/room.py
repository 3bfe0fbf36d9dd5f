"""A room for a foreign server: a Debian of its own, whose network is this machine's, and whose changes are forgotten.

The root file system is built once, in ``.cache`` of the checkout: nothing is installed on the machine itself, where the servers
would start by themselves and keep each other out.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.built import built_once
from tests.e2e.house import ROOT, Done, until
from tests.patience import AT_ONCE, BUSY, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = ["Here", "Room"]

#: Seconds that a server has to end by itself.
_PATIENCE = 5.0

_LEAN = ["man", "doc", "locale", "info"]
_ENVIRONMENT = ["env", "--chdir=/", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root"]

#: Mounts the tree with a layer of memory over it, and waits. Its arguments are the tree and a folder to mount on.
_INIT = """
set -e
mount -t tmpfs -o mode=755 room "$2"
cd "$2"
mkdir layer work root
mount -t overlay -o "lowerdir=$1,upperdir=layer,workdir=work" overlay root
mount -t proc proc root/proc
mount -t tmpfs -o mode=755 dev root/dev
(
    umask 0
    for node in null:3 zero:5 full:7 random:8 urandom:9; do mknod "root/dev/${node%:*}" c 1 "${node#*:}"; done
    mkdir -m 1777 root/dev/shm
)
ln -s /proc/self/fd root/dev/fd
echo '127.0.0.1 localhost' >root/etc/hosts
# Its wait takes in all processes that have lost their parents.
exec chroot root sh -c 'sleep infinity & echo up; wait'
"""


class Room:
    """A Debian in which servers run as root until the block ends; each of its processes ends with it."""

    def __init__(self, suite: str, packages: Sequence[str], folder: Path) -> None:
        """``folder`` is an empty one, to mount on."""
        self._tree = _tree(suite, packages)
        self._folder = folder
        self._pid = 0
        self.log: list[str] = []
        self._syslog: socket.socket | None = None

    def __enter__(self) -> Self:
        flags = ["--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]
        command = ["unshare", *flags, "sh", "-c", _INIT, "sh", str(self._tree), str(self._folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"up\n", "the room can't be mounted; see what it said"
        (self._pid,) = _children(self._process.pid)
        self._keepers = {self._pid, *_children(self._pid)}
        self._syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._syslog.bind(str(self.path("/dev/log")))
        self.path("/dev/log").chmod(0o666)
        threading.Thread(target=self._hear, args=(self._syslog,), daemon=True, name="syslog").start()
        return self

    def __exit__(self, *_: object) -> None:
        # With the first process of a room all others end.
        self._process.kill()
        self._process.communicate(timeout=AT_ONCE)
        assert self._syslog is not None
        with suppress(OSError):
            self._syslog.shutdown(socket.SHUT_RDWR)
        self._syslog.close()

    def _hear(self, syslog: socket.socket) -> None:
        with suppress(OSError):
            while said := syslog.recv(1 << 16):
                self.log.append(said.decode(errors="replace"))

    def path(self, name: str) -> Path:
        """A path of the room, as this machine has it."""
        return Path(f"/proc/{self._pid}/root/{name.lstrip('/')}")

    def write(self, name: str, text: str, *, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> Path:
        """Write a file of the room."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        os.chown(path, *owner)
        return path

    def ids(self, user: str) -> tuple[int, int]:
        """The numbers of a user and of its group in there."""
        passwd = (line.split(":") for line in self.path("/etc/passwd").read_text().splitlines())
        return next((int(fields[2]), int(fields[3])) for fields in passwd if fields[0] == user)

    def run(self, command: str) -> Done:
        """Run a shell command in there, as root."""
        done = subprocess.run(
            [*self._inside(), *_ENVIRONMENT, "sh", "-c", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=60 * BUSY,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def good(self, command: str) -> str:
        """Run a command that must succeed; return what it said."""
        done = self.run(command)
        assert done.code == 0, f"{command}: exit code {done.code}\n{done.out}{done.err}\n{self.said()}"
        return done.out

    def start(self, *command: str) -> None:
        """Start a server that stays in the foreground, and let it be."""
        with self.path("/output").open("ab") as output:
            subprocess.run(
                [*self._inside(), *_ENVIRONMENT, "setsid", "--fork", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=True,
                timeout=60 * BUSY,
            )

    def _inside(self) -> list[str]:
        return ["nsenter", f"--target={self._pid}", "--mount", "--pid", "--root", "--wd=/"]

    def stop_all(self) -> None:
        """End all that runs in there, as a machine that is switched off does."""

        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self._pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            watch = Stopwatch()
            while self._pids() and watch.seconds < _PATIENCE:
                time.sleep(0.02)
        until("all processes of the room have ended", AT_ONCE, lambda: not self._pids())

    def _pids(self) -> set[int]:
        namespace = Path(f"/proc/{self._pid}/ns/pid").readlink()
        found = set()
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and (entry / "ns/pid").readlink() == namespace:
                    found.add(int(entry.name))
        return found - self._keepers

    def said(self) -> str:
        """What the servers said so far, for a person who wants to know why."""
        output = self.path("/output")
        return "\n".join([*self.log, output.read_text(errors="replace") if output.exists() else ""])[-4000:]


class Here(Room):
    """This machine itself, in a folder, for a server that is a Python package: what it is asked of a room it does here."""

    def __init__(self, suite: str, packages: Sequence[str], folder: Path) -> None:
        del suite, packages
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()

    def path(self, name: str) -> Path:
        """A path of its own."""
        return self._folder / name.lstrip("/")

    def start(self, *command: str) -> None:
        """Start a server."""
        with self.path("/output").open("ab") as output:
            self._processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output))

    def stop_all(self) -> None:
        """End what was started."""
        for process in self._processes:
            process.kill()
            process.wait(AT_ONCE)
        self._processes.clear()

    def said(self) -> str:
        """What the server said so far."""
        return self.path("/output").read_text(errors="replace")[-4000:]


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _tree(suite: str, packages: Sequence[str]) -> Path:
    lean = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEAN]
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}", *lean, suite]

    def build(new: Path) -> None:
        subprocess.run([*command, str(new)], stdin=subprocess.DEVNULL, check=True, timeout=1200 * BUSY)

    return built_once(ROOT / ".cache" / f"{suite}-serves-{'-'.join(packages)[:100]}", build)
