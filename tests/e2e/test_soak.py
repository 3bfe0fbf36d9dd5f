"""Mail that keeps coming to many accounts: filed once each, soon, and in the same memory. All of it is measured from outside."""

from __future__ import annotations

import itertools
import os
import random
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import pytest

from gatewayd.testing.messages import booking_messages, person
from gatewayd.testing.servers import Dovecot
from gatewayd.testing.servers.proxy import FaultProxy
from tests.e2e.house import ROOT, House
from tests.patience import AT_ONCE, BUSY, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: What is promised, in seconds from the server's word to the row; and what is asked of a machine that may be busy.
MEDIAN, MOST = 0.1, 0.4
BUSY_MEDIAN, BUSY_MOST = 0.3, 2.0
#: KiB that a process may grow by between warm-up and end: SQLite's caches are bounded, and a malloc's holes differ.
GROWTH = 8 << 10
#: Seconds that a worker process may take to get ready.
BEGINNING = 3.0

_EXISTS = re.compile(rb"^\* (\d+) EXISTS", re.MULTILINE)
_LOGIN = re.compile(rb'LOGIN "?(\w+)')


class Ear:
    """Listens at the proxy: when the server first said that a mail exists, in whatever answer, by user and UID."""

    def __init__(self) -> None:
        #: Nothing is deleted, so a message's number is its UID.
        self.announced: dict[tuple[str, int], float] = {}
        #: Who has waited in IDLE at least once.
        self.idle: set[str] = set()
        self._users: dict[int, str] = {}
        self._ends: dict[int, bytes] = {}
        self._counts: dict[str, int] = {}

    def __call__(self, connection: int, sender: Literal["client", "server"], piece: bytes) -> None:
        if sender == "client":
            if login := _LOGIN.search(piece):
                self._users[connection] = login[1].decode()
            return
        user = self._users.get(connection)
        if user is None:
            return
        lines, end, rest = (self._ends.get(connection, b"") + piece).rpartition(b"\n")
        self._ends[connection] = rest
        if b"+ idling" in lines + end:
            self.idle.add(user)
        for told in _EXISTS.findall(lines):
            self._count(user, int(told))

    def _count(self, user: str, count: int) -> None:
        now, before = time.monotonic(), self._counts.get(user, 0)
        self.announced.update({(user, uid): now for uid in range(before + 1, count + 1)})
        self._counts[user] = max(before, count)


class Reader:
    """A second reader of the store: when each mail's row was first seen, by account and UID."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.seen: dict[tuple[str, int], float] = {}
        self._ids: set[int] = set()
        #: All mails up to this one were seen. Ids are given when mail is listed, so a higher one may be filed before.
        self._all_until = 0

    def look(self) -> None:
        rows = self._db.execute("SELECT id, account, key FROM mail WHERE id > ?", (self._all_until,)).fetchall()
        now = time.monotonic()
        for number, account, key in rows:
            if number not in self._ids:
                self._ids.add(number)
                self.seen[account, int(key.rpartition(":")[2])] = now
        while self._all_until + 1 in self._ids:
            self._all_until += 1
            self._ids.remove(self._all_until)


class Soak(NamedTuple):
    accounts: int
    #: Mails a second, and for how many seconds.
    rate: float
    seconds: float


def kib(pid: int) -> int:
    """The memory of a process that is in use, in KiB."""
    found = re.search(r"^Rss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def age(pid: int) -> float:
    """For how many seconds a process has run (proc_pid_stat(5), field 22)."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def memory(daemon: int) -> dict[int, int]:
    """KiB of the daemon and its workers, by process id; without those that have only just begun."""
    children = (thread.read_text().split() for thread in Path(f"/proc/{daemon}/task").glob("*/children"))
    return {pid: kib(pid) for pid in (daemon, *map(int, itertools.chain(*children))) if age(pid) > BEGINNING}


@contextmanager
def running(house: House, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon without the weight of counting coverage; it must end well."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-m", "gatewayd", "--config", str(house.folder), "run"]
    with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said, env=environment, cwd=ROOT) as daemon:
        try:
            yield daemon
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(AT_ONCE) == 0
        finally:
            daemon.kill()


def prepare(house: House, soak: Soak, server: Dovecot, port: int) -> list[str]:
    people = [person(number) for number in range(100)]
    persons = "".join(f"P{number},{name},{email}\n" for number, (name, email) in enumerate(people))
    house.operator("acme", persons=f"id,name,email\n{persons}")
    users = [f"user{number}" for number in range(soak.accounts)]
    for user in users:
        server.user(user, "pass")
        server.deliver(user, [])
        house.account(user, "imap", port, user)
    return users


def until(what: str, seconds: float, true: Callable[[], bool]) -> None:
    watch = Stopwatch()
    while not true():
        assert watch.seconds < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.01)


def deliver(soak: Soak, server: Dovecot, users: Sequence[str], reader: Reader) -> Iterator[float]:
    """Deliver at the soak's pace, then wait for all of it to be filed; yield the time that has gone by, again and again."""
    rng = random.Random(1)
    messages = list(booking_messages(round(soak.rate * soak.seconds)))
    waiting = iter(enumerate(messages))
    began = time.monotonic()
    following = next(waiting, None)
    while len(reader.seen) < len(messages):
        gone = time.monotonic() - began
        while following is not None and following[0] / soak.rate <= gone:
            server.deliver(rng.choice(users), [following[1]])
            following = next(waiting, None)
        reader.look()
        yield gone
        assert gone < soak.seconds + 60 * BUSY, f"{len(reader.seen)} of {len(messages)} mails are filed"
        time.sleep(0.002)


def check(soak: Soak, tmp_path: Path, *, median: float, most: float) -> None:
    house, ear, watch = House(tmp_path), Ear(), Stopwatch()
    with (
        Dovecot(sessions=soak.accounts, mailbox_idle_check_interval="1 s") as server,
        FaultProxy("127.0.0.1", server.ports["imap"]) as proxy,
    ):
        proxy.hear = ear
        users = prepare(house, soak, server, proxy.port)
        with running(house, tmp_path / "log") as daemon:
            until("all accounts wait", 60, lambda: len(ear.idle) == soak.accounts)
            with closing(sqlite3.connect(f"file:{house.database}?mode=ro", uri=True)) as db:
                reader = Reader(db)
                warm: dict[int, int] = {}
                for gone in deliver(soak, server, users, reader):
                    if not warm and gone > soak.seconds / 3:
                        warm = memory(daemon.pid)
            end = memory(daemon.pid)
        delays = sorted(seen - ear.announced[mail] for mail, seen in reader.seen.items())
        report(soak, delays, warm, end)
        proven(house, users, reader)
    assert statistics.median(delays) < median * watch.slowness
    assert delays[len(delays) * 95 // 100] < most * watch.slowness
    assert warm.keys() <= end.keys(), "a worker process was replaced"
    assert all(end[pid] - warm[pid] < GROWTH for pid in warm), f"memory in KiB: {warm}, then {end}"


def report(soak: Soak, delays: Sequence[float], warm: dict[int, int], end: dict[int, int]) -> None:
    at = {share: delays[min(len(delays) - 1, len(delays) * share // 100)] * 1000 for share in (5, 50, 95, 99, 100)}
    print(f"{soak}: ms from EXISTS to the row: " + ", ".join(f"{share} %: {ms:.0f}" for share, ms in at.items()))
    print("MiB, daemon and workers: " + ", ".join(f"{kib >> 10} then {end.get(pid, 0) >> 10}" for pid, kib in warm.items()))


def proven(house: House, users: Sequence[str], reader: Reader) -> None:
    """Every account's ledger says what the server has, and each mail is filed once."""
    for user in users:
        (audit,) = house.good("audit", user, "--json").rows
        mails = sum(account == user for account, _ in reader.seen)
        assert audit["proven"]
        assert audit["states"] == ({"filed": mails} if mails else {})
        assert audit["on_server"] == mails


@pytest.mark.alone
def test_mail_that_keeps_coming_is_filed_once_and_soon(tmp_path: Path) -> None:
    check(Soak(accounts=20, rate=5, seconds=10), tmp_path, median=BUSY_MEDIAN, most=BUSY_MOST)


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_a_soak_of_two_hundred_accounts(tmp_path: Path) -> None:
    check(Soak(accounts=200, rate=50, seconds=120), tmp_path, median=MEDIAN, most=MOST)
