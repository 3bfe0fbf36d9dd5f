"""The course of the demo: start servers, deliver mail, forward and answer it, and show the results in tables."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, cycle
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live

from gatewayd import ConfigError
from gatewayd_demo import screen
from gatewayd_demo.mails import ANSWERED, MAILS, NEWSLETTERS
from gatewayd_demo.round import ACCOUNTS, PERSON, DemoRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from gatewayd_demo.mails import Arriving
    from gatewayd_demo.options import DemoOptions

__all__ = ["run"]

#: Seconds from a message that was filed to the next one.
_PAUSE = 1.0
#: How the name of a folder begins that is removed at the end; the process id follows.
_PREFIX = "gatewayd-demo-"


def run(options: DemoOptions) -> int:
    """Run one round, or go on until Ctrl-C; return 0 if every expected filing was there."""
    console = screen.console()
    with _folder(options.keep) as folder, ExitStack() as stack:
        console.print("Starting an IMAP server, a POP3 server, a stand-in for Office 365 and an SMTP server on this machine …")
        round_ = DemoRun(folder, stack)
        code = _once(round_, console) if options.once else _on_and_on(round_, console, stack)
    screen.farewell(console, options.keep, round_.example)
    return code


def _once(round_: DemoRun, console: Console) -> int:
    console.print(f"Delivering {len(MAILS)} messages to three mailboxes …")
    for mail in MAILS:
        round_.deliver(mail)
    console.print(f"Running `gatewayd import {' '.join(ACCOUNTS)}` and `gatewayd outbox deliver` …")
    round_.collect()
    console.print("Answering one of them by `gatewayd mail reply`, and having its sender's colleague answer that …")
    round_.reply()
    round_.collect()
    wrong = round_.wrong()
    console.print(screen.table(round_.filings, "What was filed, and what it is related to"))
    console.print(screen.outbox(round_.sent, "What went out"))
    offered = screen.offered(round_.offered(), f"What waits in {NEWSLETTERS} for somebody to choose it (`gatewayd remote`)")
    console.print(offered)
    screen.verdict(console, round_.filings, round_.sent, wrong)
    return 1 if wrong else 0


def _on_and_on(round_: DemoRun, console: Console, stack: ExitStack) -> int:
    wrong: list[str] = []
    try:
        console.print("Starting the daemon, `gatewayd run`, and the pages, `gatewayd web` …")
        round_.watch(stack)
        first, *others = MAILS
        _bring(round_, first)
        folder = round_.gateway.folder
        screen.welcome(console, folder, round_.example, address=round_.address, person=PERSON, password=round_.password)
        with Live(screen.table([], "The next message is on its way …"), console=console, auto_refresh=False) as live:
            for mail in chain(others, cycle(MAILS)):
                _bring(round_, mail)
                wrong = round_.wrong()
                shown = round_.filings[: screen.rows(console)]
                title = screen.title(len(round_.delivered), wrong)
                live.update(Group(screen.table(shown, title), screen.outbox(round_.sent[-3:], "What went out")), refresh=True)
                time.sleep(_PAUSE)
    except KeyboardInterrupt:
        console.print(f"Stopped after {len(round_.delivered)} messages; ending the servers.")
    screen.complaints(console, wrong)
    return 1 if wrong else 0


def _bring(round_: DemoRun, mail: Arriving) -> None:
    """Let one message come to the daemon, and answer it if it is the one that is answered."""
    round_.deliver(mail)
    round_.await_all()
    if mail.name == ANSWERED:
        round_.reply()
        round_.await_all()


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Give a folder for the config: one that stays, or one that is removed at the end."""
    if keep is not None:
        yield _kept(keep.absolute())
        return
    _sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(temporary: Path) -> None:
    """Remove the folders of demos of ours that were killed."""
    for folder in temporary.glob(f"{_PREFIX}[0-9]*-*"):
        with suppress(OSError, ValueError):
            process = int(folder.name.removeprefix(_PREFIX).partition("-")[0])
            ours = folder.lstat().st_uid == os.geteuid() and folder.is_dir() and not folder.is_symlink()
            if ours and not Path(f"/proc/{process}").exists():
                shutil.rmtree(folder, ignore_errors=True)


def _kept(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        used = any(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"--keep {folder}: {error.strerror}", advice="Name a folder that can be made.") from error
    if used:
        raise ConfigError(f"--keep {folder}: expected a new or an empty folder", advice="Name another folder, or empty this one.")
    return folder
