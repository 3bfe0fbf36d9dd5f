"""Mailboxes that a daemon looks after: mail keeps coming into them, and in the end each message is proven to be filed once."""

from __future__ import annotations

import hashlib
import random
import re
import threading
from collections import Counter
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.testing.servers import Dovecot
    from tests.e2e.house import House

_SEEDS = count(1)


class Mailboxes:
    """The accounts of one house, each with a mailbox of its own at one server."""

    def __init__(self, house: House, dovecot: Dovecot) -> None:
        self.house, self._dovecot = house, dovecot
        # Each test has a folder of its own, and its mailboxes names of their own.
        self._prefix = f"{house.state.parent.name}-"
        #: The Message-IDs of what was sent to each account.
        self.sent: dict[str, set[str]] = {}
        self._digests: list[str] = []

    def add(
        self, name: str, *, kind: str = "imap", host: str = "localhost", port: int = 0, timeout: str = "20s", imports: str = ""
    ) -> None:
        """Add an account; without a port it is at the server itself."""
        user = self._prefix + name
        self._dovecot.user(user, "pass")
        if "Imported" in imports:
            with self._dovecot.client(user) as client:
                client.create("Imported")
        port = port or self._dovecot.ports[kind]
        self.house.account(name, kind, port, user, host=host, timeout=timeout, imports=imports)
        self.sent[name] = set()

    def send(self, account: str, *, more: Sequence[bytes] = (b"",)) -> None:
        """Put messages that nobody has seen before into an account's mailbox, each with more bytes at its end."""
        messages = [raw + end for raw, end in zip(booking_messages(len(more), seed=next(_SEEDS)), more, strict=True)]
        self.sent[account] |= {_message_id(raw) for raw in messages}
        self._digests += [hashlib.sha256(raw).hexdigest() for raw in messages]
        self._dovecot.deliver(self._prefix + account, messages)

    @contextmanager
    def arriving(self, rate: float) -> Iterator[None]:
        """Let ``rate`` messages a second arrive, at any of the accounts, while the block lasts."""
        end = threading.Event()
        rng = random.Random(rate)
        names = sorted(self.sent)

        def arrive() -> None:
            while not end.wait(1 / rate):
                self.send(rng.choice(names))

        thread = threading.Thread(target=arrive, name="arriving")
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def left(self, *accounts: str) -> int:
        """How many messages are not filed yet, of these accounts or of all."""
        return sum(len(self.sent[name] - self.house.filed(name).keys()) for name in accounts or self.sent)

    def filed(self, *accounts: str, seconds: float) -> None:
        """Wait until all mail of these accounts, or of all, is filed."""
        until(f"all mail is filed of {accounts or 'all accounts'}", seconds, lambda: not self.left(*accounts))

    def begin(self) -> None:
        """Let each account have mail, and import it, so that all is there that only the first mail needs."""
        for name in self.sent:
            self.send(name)
        self.house.good("import")

    def prove(self) -> None:
        """Each message was filed exactly once, byte for byte, and nothing else; and no step failed that stays so."""
        for name, ids in self.sent.items():
            assert self.house.filed(name) == dict.fromkeys(ids, 1), name
            (folder,) = self.house.good("audit", name, "--json").rows
            assert folder["proven"], folder
            assert folder["states"] == ({"filed": len(ids)} if ids else {})
        assert Counter(self.house.stored_digests()) == Counter(self._digests)
        assert self.house.faults() == []


def _message_id(raw: bytes) -> str:
    found = re.search(rb"(?mi)^Message-ID:\s*(<\S+>)", raw)
    assert found
    return found[1].decode()
