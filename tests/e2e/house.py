"""A whole gatewayd for a test: a config folder, and the command line run as its user runs it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import psycopg
import pytest

from tests.e2e.warm import Started, warm
from tests.naked import naked_times
from tests.patience import AT_ONCE, BUSY, Stopwatch
from tests.unit.matchers import WRONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent.parent

_T = TypeVar("_T")
#: A matcher links a record that the directory gave: one for each kind.
PRODUCTS = "".join(["id,code,title\n", *(f"{kind},{kind},\n" for kind in ("1", "good", "asks", "fine", "says", *WRONG))])
#: What a mail says is shown as it says it.
_MAIL = {("mail", "raw"), ("mail", "show"), ("mail", "attachment")}
#: A JWT: an access token, or what we sign for one. It may be in a file that a test wrote, and nowhere else.
_TOKEN = re.compile(rb"eyJ[\w-]{20,}\.[\w-]{20,}\.")
#: What the log says of a fault of the daemon's own, and Python of one that nobody caught.
_OWN_FAULTS = ("own fault", "Traceback (most recent call last)")


def until(what: str, seconds: float, happened: Callable[[], _T | None]) -> _T:
    """Wait until something has happened, and return it; fails after so many seconds of a quiet machine, saying what did not."""
    watch, began = Stopwatch(), time.monotonic()
    while not (found := happened()):
        assert watch.seconds < seconds, f"not within {seconds:g} s: {what}; last seen: {found!r}"
        # To ask may be a whole command: what is waited for needs the processor, too, and so do other tests.
        time.sleep(max(0.02, 3 * (time.monotonic() - began)))
        began = time.monotonic()
    return found


class Done(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Its output as lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


class Daemon:
    """A daemon that runs, as a process of its own; its log is in a file."""

    def __init__(self, process: subprocess.Popen[bytes] | Started, log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    @property
    def own_faults(self) -> list[str]:
        """What it said of faults that are its own."""
        return [line for line in self.log.splitlines() if any(word in line for word in _OWN_FAULTS)]

    def ready(self, seconds: float = 20) -> None:
        """Wait until it has begun to work."""
        until(
            f"the daemon has started\n{self.log}", seconds, lambda: "daemon started" in self.log or self.process.poll() is not None
        )
        assert self.process.poll() is None, self.log

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def stop(self, seconds: float = 5) -> float:
        """End it as systemd would, within so many seconds of a quiet machine, and return how many it took."""
        watch = Stopwatch()
        self.signal(signal.SIGTERM)
        assert self.process.wait(seconds * BUSY) == 0, self.log
        return watch.seconds

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait(AT_ONCE)

    def workers(self) -> list[int]:
        """The ids of its worker processes."""
        if os.geteuid() != 0:
            pytest.skip("not root: nobody else sees the open files of a process that can't be dumped")
        pipes = _pipes(self.process.pid)
        pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        return [pid for pid in pids if _name(pid) == "gatewayd.worker" and _pipes(pid) & pipes]


def _pipes(pid: int) -> set[str]:
    """The pipes that a process has open: each worker has one with the daemon that it is of."""
    found = set()
    with suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(str(path.readlink()))
    return {one for one in found if one.startswith("pipe:")}


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


class House:
    """A config folder with a state folder beside it."""

    def __init__(self, folder: Path, *, store: str = "") -> None:
        """``store`` is the URL of a database; by default it is SQLite's, in the state folder."""
        self.store = store
        self.folder = folder / "config"
        self.state = folder / "state"
        #: Where the database is, unless ``store`` says otherwise.
        self.database = self.state / "store/gatewayd.db"
        for name in ("operators", "accounts", "plugins"):
            (self.folder / name).mkdir(parents=True)
        named = f"store: {{kind: sql, url: {json.dumps(store)}}}\n" if store else ""
        self.write("gatewayd.yaml", f"state: {self.state}\nplugins: {{folder: plugins}}\n{named}")
        self.write("secret", "pass\n")
        self._daemons = count(1)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the config folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def account(
        self,
        name: str,
        kind: str,
        port: int,
        user: str,
        *,
        more: str = "",
        imports: str = "",
        security: str = "none",
        timeout: str = "20s",
        host: str = "localhost",
        folders: str = "[INBOX]",
    ) -> None:
        """Write an account of a server on this machine."""
        insecure = "insecure: true\n" if security == "none" else ""
        serves = "" if "operators:" in more or "user:" in more else "operators: [acme]\n"
        text = (
            f"kind: {kind}\n{serves}host: {host}\nport: {port}\nsecurity: {security}\n{insecure}username: {user}\n"
            f"password: !file secret\ntimeout: {timeout}\n{more}import:\n  folders: {folders}\n{imports}"
        )
        self.write(f"accounts/{name}.yaml", text)

    def operator(self, name: str, *, matchers: str = "[contacts, reservations]", more: str = "", **csv: str) -> None:
        """Write an operator with a csv directory of these files, and of the products that the matchers of ``tests.unit.matchers`` link."""
        for file, text in {"products": PRODUCTS, **csv}.items():
            written = self.write(f"{name}/{file}.csv", text)
            # As if it lay there for long, so that nobody waits for the rest of it.
            os.utime(written, (0, time.time() - 3600))
        (self.folder / name).mkdir(exist_ok=True)
        text = f"title: {name.title()} Tours\nbrands: [DB1, DB2]\ndirectory: {{kind: csv, folder: {name}}}\nmatchers: {matchers}\n{more}"
        self.write(f"operators/{name}.yaml", text)

    def start(self, *arguments: object, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command and do not wait for it."""
        command = [sys.executable, "-m", "gatewayd", "--config", str(self.folder), *map(str, arguments)]
        env = {**os.environ, "COLUMNS": "200", **(environment or {})}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=ROOT)

    def run(self, *arguments: object, environment: dict[str, str] | None = None, timeout: float = 600) -> Done:
        """Run a command to its end. With an environment of its own it is started anew, else it comes from the warm process."""
        if environment is None:
            done = Done(
                *warm().run(["--config", str(self.folder), *map(str, arguments)], {**os.environ, "COLUMNS": "200"}, timeout)
            )
        else:
            with self.start(*arguments, environment=environment) as process:
                out, err = process.communicate(timeout=timeout)
            done = Done(process.returncode, out, err)
        assert arguments[:2] in _MAIL or not _TOKEN.search(f"{done.out}{done.err}".encode()), f"{arguments}: it shows a token"
        assert arguments[:2] in _MAIL or not naked_times(done.out + done.err), f"{arguments}: a time without its zone"
        return done

    def good(self, *arguments: object) -> Done:
        """Run a command that must succeed."""
        done = self.run(*arguments)
        assert done.code == 0, f"{arguments}: exit code {done.code}\n{done.out}\n{done.err}"
        return done

    @contextmanager
    def daemon(self, *program: object, ready: bool = True) -> Iterator[Daemon]:
        """Run a daemon while the block lasts; in place of gatewayd itself, a ``program`` that is given its arguments."""
        log = self.state.parent / f"daemon-{next(self._daemons)}.log"
        arguments = ["--config", str(self.folder), "run"]
        process: subprocess.Popen[bytes] | Started
        with log.open("wb") as output:
            if program:
                command = [sys.executable, *map(str, program), *arguments]
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT)
            else:
                process = warm().start(arguments, os.environ, output.fileno(), output.fileno(), is_counted=False)
        daemon = Daemon(process, log)
        try:
            if ready:
                daemon.ready()
            yield daemon
            if process.poll() is None:
                daemon.stop()
            assert not daemon.own_faults
            assert not self._tokens(log)
        finally:
            # Shown where the test fails.
            print(f"{log.name}:\n{daemon.log}", file=sys.stderr)
            # It may be frozen. Nothing is sent to a process that has ended.
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(AT_ONCE)

    def _tokens(self, log: Path) -> list[Path]:
        """Return the files of the state folder, and the log, that have a token in them."""
        files = [log, *(path for path in self.state.rglob("*") if path.is_file())]
        return [path for path in files if path.exists() and _TOKEN.search(path.read_bytes())]

    def filed(self, *accounts: str) -> Counter[str]:
        """How often each Message-ID is filed, for whatever operator, in these accounts or in all; read beside everybody else."""
        rows = self.read("SELECT account, message_id FROM filing JOIN mail ON mail.id = filing.mail_id")
        return Counter(str(message_id) for account, message_id in rows if not accounts or account in accounts)

    def faults(self) -> list[str]:
        """What went wrong with mail that is filed."""
        return [f"{by}: {error}" for by, error in self.read('SELECT "by", error FROM fault')]

    def stored_digests(self) -> list[str]:
        """Digests of all stored raw mail, computed from the chunks themselves."""
        digests: dict[object, hashlib._Hash] = {}
        for content, data in self.read("SELECT content_id, data FROM chunk ORDER BY content_id, number"):
            digests.setdefault(content, hashlib.sha256()).update(data)
        return sorted(digest.hexdigest() for digest in digests.values())

    def read(self, query: str) -> list[Any]:
        """Ask the database itself, beside everybody else."""
        if self.store:
            with psycopg.connect(self.store) as postgresql:
                return postgresql.execute(query).fetchall()
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            return db.execute(query).fetchall()

    def status(self) -> dict[str, dict[str, Any]]:
        """How each account is, by name."""
        return {row["account"]: row for row in self.run("status", "--json").rows if row["type"] == "account"}
