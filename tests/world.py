"""A folder that stands for ``/``, in which a page of the docs is followed from top to bottom as its reader would.

Commands run as one user, against a real server. What is replaced stands in ``World.local``, and nothing else is; what is
systemd's to do is done by ``World.systemctl``, with the unit that was installed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import ROOT, until
from tests.patience import AT_ONCE, LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatewayd.testing.servers import Dovecot
    from gatewayd.testing.servers.smtp import ReceivedMessage, SmtpServer

UNITS = "/etc/systemd/system"
UNIT = f"{UNITS}/gatewayd.service"
USER, PASSWORD = "reservations@example.com", "a secret"
VOUCHER = b"From: Anna <anna@nord.example>\r\nTo: reservations@example.com\r\nSubject: Voucher V12345678\r\nMessage-ID: <v@nord.example>\r\n\r\nHi\r\n"
URGENT = VOUCHER.replace(b"Voucher", b"Urgent:").replace(b"<v@", b"<u@")


class Block(NamedTuple):
    page: Path
    language: str
    #: The file that it is; empty for commands.
    name: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert page.read_text().count("```") == 2 * len(found), f"{page.name}: a block without a language"
    return [Block(page, *one) for one in found]


class World:
    """The folder, and the daemon that runs in it."""

    def __init__(self, folder: Path, dovecot: Dovecot, smtp: SmtpServer) -> None:
        self.root = folder
        self.dovecot = dovecot
        #: Takes mail over TLS from who logs in as ``USER`` with ``PASSWORD``.
        self.smtp = smtp
        #: What each block of commands said.
        self.said: dict[str, str] = {}
        #: The lines that were systemd's to do.
        self.by_systemd: list[str] = []
        self._daemon: subprocess.Popen[bytes] | None = None
        self._notified = ""
        self._log = folder / "daemon.log"
        for name in ("etc/systemd/system", "usr/local/bin", "usr/local/lib", "var/lib", "var/backups"):
            (self.root / name).mkdir(parents=True)

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def local(self, text: str) -> str:
        """The text of a block, or of a file that was installed, as it is done here."""
        python = f"lib/python3.{sys.version_info.minor}/site-packages"
        program = "/usr/local/lib/gatewayd/bin/gatewayd"
        replaced = {
            # Paths below this folder.
            r"(?<![\w/.])/(?=(etc|usr/local|var)/)": f"{self.root}/",
            # A set-up within the set-up, and tests within the test.
            r"\./gw demo": f"{sys.executable} -m gatewayd demo --once",
            r"\./gw test": f"{sys.executable} -m tests.run --collect-only -q tests/test_readme.py",
            # The system is the machine's own.
            r"(?m)^apt-get install .*$": "true",
            # What is installed here is there without the network, at the versions that the lock file says or not at all.
            r"python3 -m venv (\S+)": rf"\g<0>; echo {sysconfig.get_path('purelib')} >\1/{python}/here.pth",
            # Into this folder, with what is said of it as it is on a server.
            r"(?m)^gatewayd install$": f"gatewayd --config /etc/gatewayd install --root {self.root} --program {program}",
            # Servers that are really there.
            r"host: imap\.example\.com": f"host: localhost\nport: {self.dovecot.ports['imaps']}\nca_file: {self.dovecot.ca_file}",
            r"host: smtp\.example\.com": f"host: {self.smtp.host}\nport: {self.smtp.port}\nca_file: {self.smtp.ca_file}",
        }
        for old, new in replaced.items():
            text = re.sub(old, new, text)
        return text

    def follow(self, block: Block) -> None:
        """Do what a block says: write the file, or run the commands."""
        self._before(block)()
        if block.name:
            path = self.path(block.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.local(block.text))
            return
        assert block.language == "sh", f"{block.page.name} shows a block that is neither a file nor commands: {block.text}"
        self.said[block.text] = self.run(block.text)

    def run(self, text: str) -> str:
        """Run commands; each must succeed. Return what they said."""
        return "".join(self.systemctl(part) if part.startswith("systemctl ") else self._shell(part) for part in _parts(text))

    def _shell(self, text: str) -> str:
        command = ["sh", "-eu", "-c", self.local(text)]
        done = subprocess.run(command, cwd=ROOT, env=self._environment(), capture_output=True, text=True, timeout=500, check=False)
        assert done.returncode == 0, f"{text}\nended with {done.returncode}: {done.stdout}{done.stderr}"
        if "gatewayd install" in text:
            for name in (UNIT, "/etc/gatewayd/gatewayd.yaml"):
                self._localize(self.path(name))
        return done.stdout + done.stderr

    def _localize(self, path: Path) -> None:
        if str(self.root) not in path.read_text():
            path.write_text(self.local(path.read_text()))

    def _environment(self) -> dict[str, str]:
        programs = [self.root / "usr/local/bin", Path(sys.executable).parent, os.environ["PATH"], "/usr/sbin"]
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GATEWAYD", "PYTHON", "COVERAGE"))},
            "PATH": os.pathsep.join(map(str, programs)),
            "GATEWAYD_CONFIG": str(self.path("/etc/gatewayd")),
            "PIP_NO_INDEX": "1",
            # What is imported is compiled then: to compile all of the rest takes half a minute of a processor.
            "PIP_NO_COMPILE": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "COLUMNS": "250",
        }

    # --- what systemd does on a server ------------------------------------------------------------------------------

    def systemctl(self, line: str) -> str:
        """Do what systemd does for a line, as far as a reader of the page can tell: it starts, reloads and ends the daemon."""
        self.by_systemd.append(line)
        _, verb, *_ = line.split()
        if verb in {"stop", "restart"}:
            self.stop()
        if verb in {"enable", "start", "restart"}:
            self._start()
        if verb == "reload":
            with self._listener() as listener:
                self._running().send_signal(signal.SIGHUP)
                _heard(listener, "RELOADING=1")
                _heard(listener, "READY=1")
        return ""

    def _start(self) -> None:
        (command,) = re.findall(r"^ExecStart=(.*)$", self.path(UNIT).read_text(), re.MULTILINE)
        with self._listener() as listener, self._log.open("ab") as log:
            environment = self._environment() | {"NOTIFY_SOCKET": self._notified}
            self._daemon = subprocess.Popen(shlex.split(command), env=environment, stdout=log, stderr=log)
            _heard(listener, "READY=1")
        # A person is slower than that.
        until("every account is checked", 60, self._checked)

    def _checked(self) -> bool:
        accounts = [json.loads(line) for line in self._shell("gatewayd status --json || true").splitlines() if '"account"' in line]
        imports = [one for one in accounts if one["condition"] != "sending"]
        return bool(imports) and all(one["checked_at"] and one["condition"] == "watching" for one in imports)

    def _listener(self) -> closing[socket.socket]:
        if self._daemon is None:
            # Abstract: the path of a file would be too long for a socket.
            self._notified = f"@gatewayd-{secrets.token_hex(8)}"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.settimeout(LONG)
        listener.bind(f"\0{self._notified[1:]}")
        return closing(listener)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._daemon is not None, "no daemon runs"
        assert self._daemon.poll() is None, self.log
        return self._daemon

    @property
    def log(self) -> str:
        """What the daemon has said so far."""
        return self._log.read_text()

    def stop(self) -> None:
        """End the daemon, if there is one, as systemd would."""
        if self._daemon is not None:
            self._running().terminate()
            assert self._daemon.wait(AT_ONCE) == 0, self.log
            self._daemon = None

    # --- what a person does between the blocks ----------------------------------------------------------------------

    def fill_in(self) -> None:
        """The passwords and the directory that README speaks of, and a mailbox with mail."""
        self.dovecot.user(USER, PASSWORD)
        self.dovecot.deliver(USER, [VOUCHER, *booking_messages(2)])
        for name in ("reservations", "acme-out"):
            self.path(f"/etc/gatewayd/credentials/{name}").write_text(f"{PASSWORD}\n")
        shutil.copytree(ROOT / "config/acme", self.path("/etc/gatewayd/acme"))
        with self.path("/etc/gatewayd/acme/reservations.csv").open("a") as file:
            file.write("R9,12345678,Rome in May\n")

    def work_on(self) -> None:
        """Mail that comes after the backup, one of which a rule sends on."""
        self.dovecot.deliver(USER, [*booking_messages(3, seed=2), URGENT])
        until("the daemon has imported it", 30, lambda: self._shell("gatewayd mail list --json").count("\n") == 8)
        until("the rule has sent it on", 30, lambda: self.sent_to("duty@example.com"))
        self.said["after the backup"] = self._shell("gatewayd mail list --json")

    def sent_to(self, address: str) -> list[ReceivedMessage]:
        """What went out to an address."""
        return [one for one in self.smtp.messages if one.recipients == (address,)]

    def look_closely(self) -> None:
        """What is to be seen before all is removed; the daemon ends first."""
        self.stop()
        self.said["log"] = self.log
        self.said["plugins"] = self._shell("gatewayd plugins list")
        python = "/usr/local/lib/gatewayd/bin/python"
        self.said["where"] = self._shell(
            f"cd / && {python} -c 'import gatewayd, gatewayd_sql; print(gatewayd.__file__, gatewayd_sql.__file__)'"
        )
        self.said["verify"] = self._shell(f"SYSTEMD_UNIT_PATH={UNITS}: systemd-analyze verify --recursive-errors=yes {UNIT}")
        self.said["unit"] = self._shell(f"systemd-analyze cat-config --root={self.root} systemd/system/gatewayd.service")

    def _before(self, block: Block) -> Callable[[], None]:
        steps = {"check --online": self.fill_in, ".db-wal": self.work_on, "rm -r /etc": self.look_closely}
        return next((step for words, step in steps.items() if words in block.text and not block.name), lambda: None)


def _parts(text: str) -> Iterator[str]:
    """Lines for systemd one by one, and what stands between them."""
    part = ""
    for line in text.splitlines(keepends=True):
        if line.startswith("systemctl "):
            yield from filter(None, [part])
            yield line.strip()
            part = ""
        else:
            part += line
    yield from filter(None, [part])


def _heard(listener: socket.socket, word: str) -> None:
    while word not in listener.recv(4096).decode().splitlines():
        pass
