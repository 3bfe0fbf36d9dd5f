"""A house that sends: its outgoing account at a real SMTP server, whose mail reaches real mailboxes where it is for one of them."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import House, until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot
    from gatewayd.testing.servers.smtp import ReceivedMessage, SmtpServer, Step

__all__ = ["Sending", "by_message_id", "message_id", "post_office", "quiet", "received"]

_RULE = "forward: [{when: {}, to: duty}]\n"
#: Waits are short, so that a test sees many tries.
_LIMITS = "limits: {backoff: 1s, auth_pause: 1s, forwards_per_hour: 100000}\n"


class Sending:
    """One house with a mailbox that is imported and an account that sends."""

    def __init__(
        self,
        folder: Path,
        dovecot: Dovecot,
        smtp_port: int,
        *,
        duty: str = "duty@target.example",
        target: str = "",
        rules: str = _RULE,
        limits: str = _LIMITS,
        name: str = "own",
        store: str = "",
    ) -> None:
        self.house = House(folder, store=store)
        self.user = f"{folder.parent.name}-{folder.name}-{name}"
        self._dovecot = dovecot
        dovecot.user(self.user, "pass")
        self.house.write("gatewayd.yaml", (self.house.folder / "gatewayd.yaml").read_text() + limits)
        target = target or f"{{kind: smtp, account: out, to: [{duty}]}}"
        self.house.operator(
            "acme",
            matchers="[contacts, reservations, threads]",
            more=f"targets:\n  duty: {target}\n{rules}",
            reservations="id,code,title\nR1,B-756,Rome\n",
        )
        self.house.account("inbox", "imap", dovecot.ports["imap"], self.user, imports="  every: 1s\n")
        self.house.write(
            "accounts/out.yaml",
            f"kind: smtp\noperators: [acme]\nhost: localhost\nport: {smtp_port}\nsecurity: none\ninsecure: true\ntimeout: 10s\n"
            f"send: {{system: true, from: {{name: Acme, address: {name}@acme.example}}}}\n",
        )

    def begin(self) -> None:
        """Import the empty mailbox: what comes from now on is new, and rules fire for it."""
        self.house.good("import", "inbox")

    def come(self, *messages: bytes) -> None:
        """Put messages into the mailbox."""
        self._dovecot.deliver(self.user, messages)

    def bring(self, number: int, *, seed: int) -> list[str]:
        """Put so many messages into the mailbox, and return their Message-IDs."""
        messages = booking_messages(number, seed=seed)
        self.come(*messages)
        return [message_id(raw) for raw in messages]

    def deliveries(self) -> list[dict[str, Any]]:
        """All deliveries, newest first, as the database has them; read beside everybody else."""
        columns = ("id", "mail_id", "message_id", "state", "words", "cause")
        rows = self.house.read(f"SELECT {', '.join(columns)} FROM delivery ORDER BY id DESC")
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def states(self) -> Counter[str]:
        """How many deliveries are in each state."""
        return Counter(str(one["state"]) for one in self.deliveries())

    def settled(self, number: int, seconds: float) -> None:
        """Wait until there are so many deliveries, and none of them waits."""

        def done() -> bool:
            states = self.states()
            return states.total() >= number and not states["waiting"]

        until(f"{number} deliveries came to their end; now {self.states()}", seconds, done)


def post_office(server: SmtpServer, dovecot: Dovecot, users: Mapping[str, str]) -> None:
    """Have mail for these addresses put into the mailboxes of these users, as their servers would."""

    def taken(step: Step, _argument: str) -> str | None:
        if step == "taken":
            message = server.messages[-1]
            for address in message.recipients:
                if address in users:
                    dovecot.deliver(users[address], [received(message)])
        return None

    server.answer = taken


def received(message: ReceivedMessage) -> bytes:
    """Return a mail as its last server leaves it in a mailbox (RFC 5321 section 4.4)."""
    trace = (
        f"Return-Path: <{message.sender}>\r\nReceived: from {message.hello} by smtp.example; Sun, 22 Nov 2026 12:00:00 +0000\r\n"
    )
    return trace.encode() + message.data


def message_id(raw: bytes) -> str:
    """Return the first Message-ID of a message."""
    found = re.search(rb"(?mi)^Message-ID:\s*(<\S+>)", raw)
    assert found, raw[:2000]
    return found[1].decode()


def by_message_id(messages: Sequence[ReceivedMessage]) -> Counter[str]:
    """How often each Message-ID was taken."""
    return Counter(message_id(one.data) for one in messages)


def quiet(what: Callable[[], int], expected: int, seconds: float) -> None:
    """See that a number stays as it is for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert what() == expected
        time.sleep(0.05)
