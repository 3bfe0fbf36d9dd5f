"""``./gw bench idle``: what accounts cost that wait for mail: memory, CPU and wake-ups of ``gatewayd run``, seen from outside.

An account's cost is the difference between a daemon with many accounts and one with a few. All of them wait in IDLE
at one Dovecot, each in an empty mailbox of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gatewayd.testing.servers import Dovecot

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_FEW = 10
#: Seconds until all accounts must wait, and that they then wait unmeasured, so that each has proved itself once.
_START, _SETTLE = 300.0, 75.0


class Seen(NamedTuple):
    """One daemon, waiting."""

    accounts: int
    #: Seconds from start until all accounts waited.
    start: float
    #: KiB of the daemon that no other process shares.
    private: int
    #: Percent of a core, of the daemon and of its workers.
    cpu: float
    workers: float
    #: Voluntary context switches of all its threads, a second.
    wakes: float


class _Used(NamedTuple):
    cpu: float
    workers: float
    switches: int


def main(given: argparse.Namespace) -> int:
    """Measure few and many accounts, plain and with TLS, and print what an account costs."""
    for security in ("none", "tls"):
        folder = Path(tempfile.mkdtemp(prefix="gatewayd-bench-"))
        try:
            with Dovecot(sessions=given.accounts) as dovecot:
                few, many = (
                    _measure(dovecot, folder / str(count), security, count, given.seconds) for count in (_FEW, given.accounts)
                )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        _print("plain" if security == "none" else "TLS", few, many)
    return 0


def _print(name: str, few: Seen, many: Seen) -> None:
    each = (many.private - few.private) / (many.accounts - few.accounts)
    print(f"{name}: {each:.1f} KiB an account, {many.accounts / many.start:.0f} log-ins a second at the start", flush=True)
    for seen in (few, many):
        print(
            f"  {seen.accounts:>5} accounts: {seen.private / 1024:.1f} MiB, {seen.cpu:.2f} % of a core "
            f"(workers {seen.workers:.2f} %), {seen.wakes:.1f} wake-ups a second, all waited after {seen.start:.1f} s",
            flush=True,
        )


def _measure(dovecot: Dovecot, folder: Path, security: str, accounts: int, seconds: float) -> Seen:
    config = _config(dovecot, folder, security, accounts)
    with daemon(config, folder / "log") as running:
        began = time.monotonic()
        _until_all_wait(folder, accounts)
        start = time.monotonic() - began
        time.sleep(_SETTLE)
        before = used_by(running.pid)
        time.sleep(seconds)
        after = used_by(running.pid)
        private = private_of(running.pid)
    return Seen(
        accounts=accounts,
        start=start,
        private=private,
        cpu=100 * (after.cpu - before.cpu) / seconds,
        workers=100 * (after.workers - before.workers) / seconds,
        wakes=(after.switches - before.switches) / seconds,
    )


def _config(dovecot: Dovecot, folder: Path, security: str, accounts: int) -> Path:
    """Write a config folder: one operator with an empty directory and the usual matchers, and so many accounts."""
    config = folder / "config"
    for name in ("operators", "accounts", "acme"):
        (config / name).mkdir(parents=True)
    (config / "secret").write_text("pass")
    (config / "gatewayd.yaml").write_text(f"state: {folder / 'state'}\n")
    (config / "operators/acme.yaml").write_text("directory: {kind: csv, folder: acme}\nmatchers: [contacts, reservations]\n")
    (config / "acme/persons.csv").write_text("id,name,email\n")
    tls = security == "tls"
    how = f"security: tls\nca_file: {dovecot.ca_file}\n" if tls else "security: none\ninsecure: true\n"
    for number in range(accounts):
        dovecot.user(f"idle{number}", "pass")
        (config / f"accounts/idle{number}.yaml").write_text(
            f"kind: imap\noperators: [acme]\nhost: localhost\nport: {dovecot.ports['imaps' if tls else 'imap']}\n{how}"
            f"username: idle{number}\npassword: !file secret\nimport: {{folders: [INBOX]}}\n"
        )
    return config


@contextmanager
def daemon(config: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``gatewayd run`` while the block lasts."""
    command = [sys.executable, "-m", "gatewayd", "--config", str(config), "run"]
    with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said) as running:
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()


def _until_all_wait(folder: Path, accounts: int) -> None:
    """Wait until the store says of all accounts that they are watched; raises RuntimeError with the log's end."""
    end = time.monotonic() + _START
    while time.monotonic() < end:
        time.sleep(0.5)
        if _watched(folder / "state/store/gatewayd.db") == accounts:
            return
    said = (folder / "log").read_text(errors="replace")[-2000:]
    raise RuntimeError(f"not all of {accounts} accounts wait after {_START:g} s:\n{said}")


def _watched(database: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM health WHERE condition = 'watching'").fetchone()[0])
    except sqlite3.OperationalError:
        # It is only just being made.
        return 0


def private_of(pid: int) -> int:
    """Return the KiB of a process that nobody shares (smaps_rollup)."""
    found = re.findall(r"^Private_\w+:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return sum(map(int, found))


def used_by(pid: int) -> _Used:
    """Return the seconds of CPU that a daemon and its children have used by now, and how often its threads went to sleep."""
    switches = 0
    children: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (thread / "status").read_text(), re.MULTILINE)
        switches += int(found[1]) if found else 0
        children += map(int, (thread / "children").read_text().split())
    return _Used(_cpu(pid), sum(map(_cpu, children)), switches)


def _cpu(pid: int) -> float:
    # Behind the command's name: state, then utime and stime as the 14th and 15th field (proc_pid_stat(5)).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
