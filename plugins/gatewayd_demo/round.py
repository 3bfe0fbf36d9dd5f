"""Run one demo: its servers, the gatewayd between them, the mail that was delivered, and the expected results."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING

from gatewayd_demo import world
from gatewayd_demo.gateway import SENDER, Gateway, missing
from gatewayd_demo.mails import (
    ADDRESSES,
    ANSWER,
    ANSWERED,
    FORWARDED,
    IRINA,
    NEWSLETTERS,
    OFFERED,
    OUT,
    REPLY,
    RESERVATIONS,
    SALES,
)
from gatewayd_demo.servers import DaemonServer, DemoSmtpServer, ImapServer, Office365Server, Pop3Server, WebServer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from gatewayd_demo.gateway import Filing, OfferedLine, SentLine
    from gatewayd_demo.mails import Arriving

__all__ = ["ACCOUNTS", "PERSON", "DemoRun"]

#: Seconds that a daemon has for what it has to do, and between two looks at what went out.
_PATIENCE, _NAP = 30.0, 0.1
#: Who logs in to the pages.
PERSON = f"{SENDER}/irina"
#: What is imported from.
ACCOUNTS = (RESERVATIONS, IRINA, SALES)


class DemoRun:
    """All servers run from its making until ``stack`` is closed."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        #: Where the pages are.
        self.address = world.make(folder)
        self.gateway = Gateway(folder)
        #: Each message that was delivered, with the number of its Message-ID.
        self.delivered: list[tuple[Arriving, int]] = []
        #: What the operators see, newest first, and what acme sent, oldest first.
        self.filings: Sequence[Filing] = ()
        self.sent: Sequence[SentLine] = ()
        #: The one by which ``PERSON`` logs in to the pages.
        self.password = secrets.token_urlsafe(12)
        self._replies = 0
        self._mailboxes: dict[str, ImapServer | Pop3Server | Office365Server]
        self._senders: dict[str, DemoSmtpServer | Office365Server]
        self._start(folder, stack)
        # Rules fire for new mail. What a mailbox holds when it is first looked at is none.
        self.gateway.collect(ACCOUNTS)

    def _start(self, folder: Path, stack: ExitStack) -> None:
        """Start all servers, and write the files of their accounts."""
        imap = ImapServer(folder / "imap-server.log", RESERVATIONS, world.password_file(folder, RESERVATIONS))
        pop3 = Pop3Server(
            folder / "pop3-server.log", IRINA, world.password_file(folder, IRINA), folder=folder / "mailboxes" / IRINA
        )
        secret = world.password_file(folder, SALES)
        office365 = Office365Server(folder / "office365-server.log", ADDRESSES[SALES], secret, folder=folder / "office365")
        smtp = DemoSmtpServer(folder / "smtp-server.log", folder / "outside")
        for server in (imap, pop3, office365, smtp):
            stack.enter_context(server)
        for number, mail in enumerate(OFFERED, start=1):
            imap.deliver(mail.message(number, datetime.now(UTC)), folder=NEWSLETTERS)
        self._mailboxes = {RESERVATIONS: imap, IRINA: pop3, SALES: office365}
        self._senders = {OUT: smtp, SALES: office365}
        world.write_accounts(folder, {RESERVATIONS: imap.port, IRINA: pop3.port, OUT: smtp.port})
        world.write_office365(folder, office365.port, client=office365.client, ca_file=office365.ca_file)

    def watch(self, stack: ExitStack) -> None:
        """Have a daemon look after the accounts from now on, and the pages show them, until ``stack`` is closed."""
        folder = self.gateway.folder
        stack.enter_context(DaemonServer(folder / "daemon.log", folder))
        self.gateway.set_password(PERSON, self.password)
        stack.enter_context(WebServer(folder / "web.log", folder))

    @property
    def example(self) -> int:
        """The id of a mail that came for the operator whose commands are shown."""
        return min((one["id"] for one in self.filings if (one["operator"], one["direction"]) == (SENDER, "in")), default=1)

    def deliver(self, mail: Arriving, *, answering: str = "") -> None:
        """Bring one message to its mailbox."""
        number = len(self.delivered) + 1
        self._mailboxes[mail.account].deliver(mail.message(number, datetime.now(UTC), answering=answering))
        self.delivered.append((mail, number))

    def collect(self) -> None:
        """Import all accounts, send what is due, and see what there is."""
        self.gateway.collect(ACCOUNTS)
        self.gateway.send()
        self.look()

    def look(self) -> None:
        """See what there is."""
        self.filings, self.sent = self.gateway.filings(), self.gateway.sent()

    def offered(self) -> Sequence[OfferedLine]:
        """Look at what people may choose from."""
        return self.gateway.offered(NEWSLETTERS)

    def await_all(self) -> None:
        """Wait until the daemon has brought and sent what it has to, but not for ever."""
        until = time.monotonic() + _PATIENCE
        self.look()
        while self.wrong() and time.monotonic() < until:
            self.look()

    def reply(self) -> None:
        """Answer the last message of that name from the desk, and have the answer answered."""
        ids = {mail.message_id(number) for mail, number in self.delivered if mail.name == ANSWERED}
        asked = next(one for one in self.filings if one["operator"] == SENDER and one["message_id"] in ids)
        before = len(self._answers(asked["message_id"]))
        self.gateway.reply(asked["id"], REPLY)
        self.gateway.send()
        self._replies += 1
        until = time.monotonic() + _PATIENCE
        # Where a daemon runs, it may be the one that sends it.
        while len(answers := self._answers(asked["message_id"])) <= before and time.monotonic() < until:
            time.sleep(_NAP)
        if len(answers) > before:
            self.deliver(ANSWER, answering=answers[-1])

    def _answers(self, message_id: str) -> list[str]:
        """Return the Message-IDs of what went out in answer to a message."""
        found = [BytesHeaderParser().parsebytes(raw) for raw in self._senders[OUT].taken()]
        return [str(one["Message-ID"]) for one in found if message_id in str(one["In-Reply-To"])]

    def wrong(self) -> list[str]:
        """Return in words what is not as it has to be."""
        names = Counter(mail.name for mail, _ in self.delivered)
        # Whoever tries what is offered sends mails of his own.
        own = Counter(one["account"] for one in self.sent if not one["cause"].startswith("rule"))
        own[OUT] = max(own[OUT], self._replies)
        wrong = missing(self.filings, self.delivered)
        undelivered = [f"delivery {one['id']} is {one['state']}" for one in self.sent if one["state"] != "delivered"]
        if undelivered:
            return wrong + undelivered
        for account, forwarded in FORWARDED.items():
            expected, taken = names[forwarded] + own[account], len(self._senders[account].taken())
            if taken != expected:
                wrong.append(f"expected {expected} mails through {account}, found {taken}")
        return wrong
