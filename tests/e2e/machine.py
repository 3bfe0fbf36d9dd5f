"""A Debian with a real systemd, booted in a container: for what only systemd itself can prove.

The root file system is built once, in ``.cache`` of the checkout, and never changed: each machine writes into memory.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.built import built_once
from tests.e2e.house import ROOT, Done
from tests.patience import BUSY, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

#: The Debian whose Python is ours, so that it runs what is installed for ours.
SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}
_PACKAGES = "systemd,systemd-sysv,dbus,python3"
#: Seconds between two looks: each is some processes in the machine.
_PAUSE = 0.3
_NO, _PIPE = subprocess.DEVNULL, subprocess.PIPE
_LEAN = ["man", "doc", "locale", "info"]
PROGRAM = "/usr/local/lib/gatewayd/bin/gatewayd"
_SITE = f"/usr/local/lib/gatewayd/lib/python3.{sys.version_info.minor}/site-packages"
_SCRIPT = "#!/usr/local/lib/gatewayd/bin/python3\nfrom gatewayd.__main__ import main\n\nmain()\n"


def missing() -> str:
    """What keeps this host from booting a machine with our Python; empty if nothing does."""
    if sys.version_info[:2] not in SUITES:
        return f"no Debian has Python {sys.version_info.major}.{sys.version_info.minor}"
    return unable()


def unable() -> str:
    """What keeps this host from running another Debian; empty if nothing does."""
    if os.geteuid() != 0:
        return "not root"
    absent = [tool for tool in ("systemd-nspawn", "mmdebstrap", "nsenter") if not shutil.which(tool)]
    return f"no {', '.join(absent)}" if absent else ""


def _tree() -> Path:
    """The root file system, built if it isn't there yet."""
    suite = SUITES[sys.version_info[:2]]

    def build(new: Path) -> None:
        lean = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEAN]
        _done("mmdebstrap", "--quiet", "--variant=minbase", f"--include={_PACKAGES}", *lean, suite, new)
        _done("chroot", new, "python3", "-m", "venv", "--without-pip", "/usr/local/lib/gatewayd")
        script = new / PROGRAM.lstrip("/")
        script.write_text(_SCRIPT)
        script.chmod(0o755)
        (new / "usr/local/bin/gatewayd").symlink_to(PROGRAM)
        (new / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")

    return built_once(ROOT / ".cache" / f"{suite}-1", build)


def _done(*command: object) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def _site(folder: Path) -> Path:
    """What pip installs of this checkout, with its dependencies from where they are installed on this host."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    _done(*pip, "--no-build-isolation", "--no-deps", "--target", folder, ROOT)
    (folder / "host.pth").write_text("/srv/site\n")
    return folder


class Machine:
    """A booted machine; the network is the host's."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log
        self._leader = 0

    @classmethod
    @contextmanager
    def booted(cls, folder: Path) -> Iterator[Self]:
        """Boot a machine with gatewayd in it; it ends with the block."""
        binds = {_site(folder / "site"): _SITE, sysconfig.get_path("purelib"): "/srv/site"}
        flags = ["--quiet", "--register=no", "--keep-unit", "--volatile=overlay", "--console=pipe", "--link-journal=no"]
        command = [
            "systemd-nspawn",
            *flags,
            f"--directory={_tree()}",
            *(f"--bind-ro={here}:{there}" for here, there in binds.items()),
        ]
        log = folder / "console"
        with log.open("wb") as console:
            process = subprocess.Popen([*command, "--boot"], stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        machine = cls(process, log)
        try:
            machine._boot()
            yield machine
        finally:
            # Nothing of it is kept, so nobody needs to shut it down. The host is not touched.
            if machine._leader:
                os.kill(machine._leader, signal.SIGKILL)
            process.terminate()
            process.wait(30)

    def _boot(self) -> None:
        until = time.monotonic() + 60 * BUSY
        while time.monotonic() < until and self._process.poll() is None:
            self._leader = self._child()
            if self._leader and self.run("systemctl is-system-running --wait").out.strip() in {"running", "degraded"}:
                return
            time.sleep(0.1)
        raise AssertionError(f"the machine does not boot: {self._log.read_text(errors='replace')}")

    def _child(self) -> int:
        found = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(found[0]) if found else 0

    def run(self, command: str, *, timeout: float = 60 * BUSY) -> Done:
        """Run a shell command as root in the machine."""
        inside = [
            "nsenter",
            f"--target={self._leader}",
            "--all",
            "env",
            "-i",
            "PATH=/usr/local/bin:/usr/bin:/usr/sbin",
            "sh",
            "-c",
            command,
        ]
        # In a session of its own, so that no `kill 0` in there reaches us.
        with subprocess.Popen(inside, stdin=_NO, stdout=_PIPE, stderr=_PIPE, text=True, start_new_session=True) as process:
            out, err = process.communicate(timeout=timeout)
        return Done(process.returncode, out, err)

    def good(self, command: str, *, timeout: float = 60 * BUSY) -> str:
        """Run a command that must succeed; return what it said."""
        done = self.run(command, timeout=timeout)
        assert done.code == 0, f"{command}: exit code {done.code}\n{done.out}{done.err}\n{self.journal()}"
        return done.out + done.err

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file of the machine."""
        inside = [
            "nsenter",
            f"--target={self._leader}",
            "--all",
            "sh",
            "-c",
            f"mkdir -p $(dirname {path}); cat >{path}; chmod {mode:o} {path}",
        ]
        subprocess.run(inside, input=text, text=True, check=True, timeout=10 * BUSY)

    def show(self, name: str) -> str:
        """A property of the service (systemctl show)."""
        return self.good(f"systemctl show --value --property={name} gatewayd").strip()

    def until(self, name: str, text: str, *, seconds: float = 20) -> None:
        """Wait until a property of the service is a text, for so many seconds of a quiet machine."""
        watch = Stopwatch()
        while self.show(name) != text:
            assert watch.seconds < seconds, f"{name} is {self.show(name)!r}, expected {text!r}\n{self.journal()}"
            time.sleep(_PAUSE)

    def says(self, text: str, *, times: int = 1, seconds: float = 20) -> None:
        """Wait until the service has said something so many times, for so many seconds of a quiet machine."""
        watch = Stopwatch()
        while self.journal().count(text) < times:
            assert watch.seconds < seconds, f"{text!r} is not said {times} times:\n{self.journal()}"
            time.sleep(_PAUSE)

    def journal(self) -> str:
        """What the service said."""
        return self.run("journalctl --no-pager --output=cat --unit=gatewayd | tail -n 60").out
