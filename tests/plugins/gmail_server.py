"""Stand before a real Dovecot and speak as Gmail does: X-GM-EXT-1, and an X-GM-MSGID for each message.

Dovecot gives copies of a message one X-GUID, whichever folders they lie in: the number is made of that. So a message that is copied
to a folder is one that got a label, a move between folders is a change of labels, and a deletion takes a label away.
Source: developers.google.com/workspace/gmail/imap/imap-extensions.
"""

from __future__ import annotations

import re
import socket
import threading
from contextlib import ExitStack, suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from tests.patience import LONG
from tests.plugins.imap_site import DovecotSite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from gatewayd.testing.servers import Dovecot
    from gatewayd_imap.transport import Imap

__all__ = ["ALL_MAIL", "Gmail", "GmailSite"]

ALL_MAIL = "[Gmail]/All Mail"
_GUID = re.compile(rb'X-GUID ("?)([^\s()"]+)\1')
_CAPABILITY = re.compile(rb"(CAPABILITY IMAP4rev1)")
_LITERAL = re.compile(rb"\{([0-9]+)\}\r\n$")


class Gmail:
    """A proxy; serve it by ``serving``. What is set on it holds for the lines that come then."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        #: Whether it says that it is Gmail; else it passes all on as it is.
        self.announces = True
        #: What all messages are called, whichever they are; None: each has its own number.
        self.calls_all: int | None = None
        #: The messages whose bytes went through, as (bytes).
        self.bodies: list[bytes] = []

    def number(self, guid: bytes) -> int:
        """Return what a message is called."""
        return self.calls_all or int.from_bytes(sha256(guid).digest()[:8]) or 1

    def serve(self, listener: socket.socket) -> None:
        """See ``serving``."""
        with ExitStack() as stack, suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for one in (client, server):
                    stack.callback(one.close)
                pairs = ((client, server, self._asked), (server, client, self._answered))
                threads = [threading.Thread(target=self._pass_on, args=pair) for pair in pairs]
                for thread in threads:
                    thread.start()
                    stack.callback(thread.join, LONG)
                for one in (client, server):
                    stack.callback(_shut, one)

    def _pass_on(self, source: socket.socket, to: socket.socket, changed: object) -> None:
        with source.makefile("rb") as file, suppress(OSError):
            for line in file:
                self._line(line, file, to, answers=changed == self._answered)
        _shut(to)

    def _line(self, line: bytes, file: BinaryIO, to: socket.socket, *, answers: bool) -> None:
        to.sendall(self._answered(line) if answers else self._asked(line))
        if found := _LITERAL.search(line):
            literal = file.read(int(found[1]))
            if b"BODY[] " in line:
                self.bodies.append(literal)
            to.sendall(literal)

    def _asked(self, line: bytes) -> bytes:
        return line.replace(b"X-GM-MSGID", b"X-GUID")

    def _answered(self, line: bytes) -> bytes:
        if self.announces:
            line = _CAPABILITY.sub(rb"\1 X-GM-EXT-1", line, count=1)
        return _GUID.sub(lambda found: b"X-GM-MSGID %d" % self.number(found[2]), line) if line.startswith(b"* ") else line


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


class GmailSite(DovecotSite):
    """A new mailbox behind a ``Gmail``."""

    def __init__(self, dovecot: Dovecot, gmail: Gmail, *, user: str = "", password: str = "correct horse") -> None:
        super().__init__(dovecot, user=user, password=password)
        self.gmail = gmail
        self.host, self.port = "127.0.0.1", gmail.port

    def transport(self, **fields: object) -> Imap:
        return super().transport(**{"port": self.gmail.port, "ca_file": None, **fields})

    def label(self, position: int, *labels: str, folder: str = ALL_MAIL) -> None:
        """Let a message of a folder, counted from 0, have labels."""
        self._select(folder, position, [("COPY", f'"{label}"') for label in labels])

    def relabel(self, position: int, folder: str, to: str) -> None:
        """Move a message from one label to another."""
        self._select(folder, position, [("MOVE", f'"{to}"')])

    def _select(self, folder: str, position: int, commands: Sequence[tuple[str, str]]) -> None:
        uid = self.dovecot.snapshot(self.user, folder).uids[position]
        with self.dovecot.client(self.user) as imap:
            imap.select(f'"{folder}"')
            for command, where in commands:
                status, answer = imap.uid(command, str(uid), where)
                assert status == "OK", answer
