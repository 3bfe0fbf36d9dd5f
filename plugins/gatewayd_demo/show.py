"""What the demo does: both servers, mail that arrives, and a table of what became of it."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from rich.live import Live

from gatewayd import ConfigError
from gatewayd_demo import screen, world
from gatewayd_demo.gateway import Gateway, missing
from gatewayd_demo.mails import IRINA, MAILS, RESERVATIONS
from gatewayd_demo.servers import ImapServer, Pop3Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from gatewayd_demo.gateway import Filing
    from gatewayd_demo.mails import Arriving
    from gatewayd_demo.options import DemoOptions

__all__ = ["run"]

_ACCOUNTS = (RESERVATIONS, IRINA)
#: Seconds from a message that was filed to the next one.
_PAUSE = 1.0


def run(options: DemoOptions) -> int:
    """Run one round, or go on until Ctrl-C; return 0 if every expected filing was there."""
    console = screen.console()
    with _folder(options.keep) as folder, ExitStack() as stack:
        console.print("Starting an IMAP server and a POP3 server on this machine …")
        round_ = _Round(folder, stack)
        code = _once(round_, console) if options.once else _on_and_on(round_, console)
    screen.farewell(console, options.keep)
    return code


def _once(round_: _Round, console: Console) -> int:
    console.print(f"Delivering {len(MAILS)} messages to both mailboxes …")
    for mail in MAILS:
        round_.deliver(mail)
    console.print(f"Running `gatewayd import {' '.join(_ACCOUNTS)}` …")
    filings = round_.filings()
    wrong = missing(filings, round_.delivered)
    console.print(screen.table(filings, "What was filed, and what it is related to"))
    screen.verdict(console, filings, wrong)
    return 1 if wrong else 0


def _on_and_on(round_: _Round, console: Console) -> int:
    wrong: list[str] = []
    try:
        screen.welcome(console, round_.gateway.folder)
        with Live(screen.table([], "The first message is on its way …"), console=console, auto_refresh=False) as live:
            for number in count():
                round_.deliver(MAILS[number % len(MAILS)])
                filings = round_.filings()
                wrong = missing(filings, round_.delivered)
                live.update(screen.table(filings[: screen.rows(console)], screen.title(number + 1, wrong)), refresh=True)
                time.sleep(_PAUSE)
    except KeyboardInterrupt:
        console.print(f"Stopped after {len(round_.delivered)} messages; ending the servers.")
    screen.complaints(console, wrong)
    return 1 if wrong else 0


class _Round:
    """Both servers, the gatewayd that reads from them, and what was delivered so far."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        world.make(folder)
        self.gateway = Gateway(folder)
        #: Each message that was delivered, with the number of its Message-ID.
        self.delivered: list[tuple[Arriving, int]] = []
        imap = ImapServer(RESERVATIONS, world.password_file(folder, RESERVATIONS), folder / "imap-server.log")
        pop3 = Pop3Server(
            IRINA, world.password_file(folder, IRINA), folder / "pop3-server.log", folder=folder / "mailboxes" / IRINA
        )
        self._servers: dict[str, ImapServer | Pop3Server] = {
            RESERVATIONS: stack.enter_context(imap),
            IRINA: stack.enter_context(pop3),
        }
        world.write_accounts(folder, {name: server.port for name, server in self._servers.items()})

    def deliver(self, mail: Arriving) -> None:
        """Bring one message to its mailbox."""
        number = len(self.delivered) + 1
        self._servers[mail.account].deliver(mail.message(number, datetime.now(UTC)))
        self.delivered.append((mail, number))

    def filings(self) -> list[Filing]:
        """Import both accounts and return what the operators see."""
        self.gateway.collect(_ACCOUNTS)
        return self.gateway.filings()


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Give a folder for the config: one that stays, or one that is removed at the end."""
    if keep is not None:
        yield _kept(keep.absolute())
        return
    folder = Path(tempfile.mkdtemp(prefix="gatewayd-demo-"))
    try:
        yield folder
    finally:
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
