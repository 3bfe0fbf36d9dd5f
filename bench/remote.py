"""``./gw bench remote``: how long it takes until mail that is offered is listed, and what memory that takes.

A mailbox of ``--messages`` messages (50,000 where it is not said) and one of a tenth of them, on one Dovecot, by an account with
``take: chosen``. Commands run as their user runs them, start-up included. A page is also measured without it: in a process that has
listed one already, with config, store and question made anew.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from bench import measure
from gatewayd.testing.servers import Dovecot
from gatewayd.testing.servers.proxy import FaultProxy

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

#: Lists a page several times, and prints the seconds of the fastest but the first, which imports what it needs.
_WARM = """
import sys, time
from contextlib import redirect_stdout
from io import StringIO
from gatewayd.cli import run

took = []
for _ in range(6):
    with redirect_stdout(StringIO()):
        began = time.perf_counter()
        code = run(sys.argv[1:])
        took.append(time.perf_counter() - began)
    assert code == 0, code
print(min(took[1:]))
"""
#: A shorter piece of a server's is a word that it is done.
_ANSWER = 150


class Seen(NamedTuple):
    """One mailbox, listed."""

    messages: int
    #: Seconds of the first command in all, and of it after the last answer of the server; its peak in MiB.
    first: float
    behind: float
    peak: float
    #: Seconds of one that asks the server, and has nothing new; of one for the next page; of that in a process that has started;
    #: and of one that lists nothing.
    again: float
    page: float
    warm: float
    empty: float


class _Answers:
    """Remembers when a server said something last."""

    def __init__(self) -> None:
        self.last = 0.0

    def __call__(self, _: int, who: Literal["client", "server"], piece: bytes) -> None:
        if who == "server" and len(piece) > _ANSWER:
            self.last = time.monotonic()


def main(given: argparse.Namespace) -> int:
    """Measure few and many messages, and print what was seen."""
    folder = Path(tempfile.mkdtemp(prefix="gatewayd-bench-"))
    try:
        with Dovecot() as dovecot:
            seen = [_measure(dovecot, folder / str(count), count) for count in (given.messages // 10, given.messages)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{'messages':>8}  {'first':>6}  {'behind':>6}  {'again':>6}  {'page':>6}  {'warm':>6}  {'empty':>6}  {'peak MiB':>8}")
    for one in seen:
        times = f"{one.first:>6.2f}  {one.behind:>6.2f}  {one.again:>6.2f}  {one.page:>6.2f}  {one.warm:>6.3f}  {one.empty:>6.2f}"
        print(f"{one.messages:>8,}  {times}  {one.peak:>8.0f}")
    return 0


def _measure(dovecot: Dovecot, folder: Path, count: int) -> Seen:
    user, answers = f"bench-{count}", _Answers()
    print(f"delivering {count:,} messages", flush=True)
    dovecot.user(user, "pass")
    dovecot.deliver(user, _messages(count))
    dovecot.snapshot(user)
    with FaultProxy(dovecot.host, dovecot.ports["imap"]) as proxy:
        proxy.hear = answers
        config = _config(folder, proxy.port, user)
        first = _run(config, "remote", "--operator", "acme")
        behind = time.monotonic() - answers.last
        again = _run(config, "remote", "--operator", "acme")
        further = ("remote", "--operator", "acme", "--before", str(count // 2))
        page = _run(config, *further)
        warm = _warm(config, *further)
        empty = _run(config, "remote", "--operator", "acme", "--before", "1")
    return Seen(
        messages=count,
        first=first.wall,
        behind=behind,
        peak=first.peak,
        again=again.wall,
        page=page.wall,
        warm=warm,
        empty=empty.wall,
    )


def _messages(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield (
            f"Message-ID: <{number}@bench.example>\r\nDate: Mon, 05 Jan 2026 10:00:00 +0100\r\n"
            f"From: Anna {number} <anna{number % 999}@example.com>\r\n"
            f"To: reservations@example.com\r\nSubject: Booking {number}\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
        ).encode()


def _config(folder: Path, port: int, user: str) -> Path:
    config = folder / "config"
    for name in ("operators", "accounts"):
        (config / name).mkdir(parents=True)
    (config / "secret").write_text("pass")
    (config / "gatewayd.yaml").write_text(f"state: {folder / 'state'}\n")
    (config / "operators/acme.yaml").write_text("matchers: []\n")
    (config / "accounts/main.yaml").write_text(
        f"kind: imap\noperators: [acme]\nhost: localhost\nport: {port}\nsecurity: none\ninsecure: true\n"
        f"username: {user}\npassword: !file secret\nimport: {{folders: [INBOX], take: chosen}}\n"
    )
    return config


def _run(config: Path, *arguments: str) -> measure.Sample:
    return measure.run([sys.executable, "-m", "gatewayd", "--config", str(config), *arguments], 1, str(config / "log"))


def _warm(config: Path, *arguments: str) -> float:
    command = [sys.executable, "-c", _WARM, "--config", str(config), *arguments]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
