"""A small scripted IMAP server, for what real servers can't be made to do."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd import Secret
from gatewayd_imap.transport import Imap, ImapSession
from tests.plugins.scripted import serving

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

PASSWORD = "correct horse"
OPENED = b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n* OK [UIDNEXT 4] next\r\n"


@dataclass
class Script:
    """An IMAP server that answers commands as the test tells it, and remembers every command without its tag."""

    #: What it says before its tagged OK, by the beginning of a command; ``TAG`` stands for the tag where it is not OK.
    replies: dict[str, bytes] = field(default_factory=dict)
    greeting: bytes = b"* OK ready\r\n"
    heard: list[str] = field(default_factory=list)
    port: int = 0
    _defaults = {  # noqa: RUF012  a table
        "CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN UIDPLUS MOVE\r\n",
        "AUTHENTICATE": b"+ \r\n",
        "EXAMINE": OPENED,
        "SELECT": OPENED,
        "UID SEARCH": b"* SEARCH 1 2 3\r\n",
        "LOGOUT": b"* BYE\r\n",
    }

    def reply(self, tag: bytes, command: str) -> bytes:
        self.heard.append(command)
        known = {**self._defaults, **self.replies}
        told = next((known[name] for name in sorted(known, key=len, reverse=True) if command.startswith(name)), b"")
        return told.replace(b"TAG", tag) if b"TAG" in told else told + (b"" if told[:1] == b"+" else tag + b" OK done\r\n")

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer, peer.makefile("rb") as file:
                self.talk(peer, file)

    def talk(self, peer: socket.socket, file: BinaryIO) -> None:
        try:
            peer.sendall(self.greeting)
            for line in file:
                tag, _, command = line.strip().partition(b" ")
                if not command:
                    # The second line of AUTHENTICATE.
                    self.heard.append(tag.decode())
                    continue
                answer = self.reply(tag, command.decode())
                peer.sendall(answer)
                if answer.startswith(b"+"):
                    self.heard.append(file.readline().strip().decode())
                    peer.sendall(tag + b" OK done\r\n")
                if command == b"LOGOUT" or answer.endswith(b"HANG UP\r\n"):
                    return
        except OSError:
            return

    def asked(self, word: str) -> list[str]:
        """Return the commands that hold a word."""
        return [command for command in self.heard if re.search(word, command)]


def transport(script: Script, folder: Path, password: str = PASSWORD, **fields: object) -> Imap:
    secret = folder / "secret"
    secret.write_text(password)
    given = {
        "host": "127.0.0.1",
        "port": script.port,
        "security": "none",
        "insecure": True,
        "username": "anna",
        "password": Secret("file", str(secret)),
        "timeout": "5s",
    }
    return Imap(Imap.Options.model_validate({**given, **fields}), account="reservations")


@contextmanager
def session(script: Script, folder: Path) -> Iterator[ImapSession]:
    with serving(script):
        opened = transport(script, folder).open()
        try:
            yield opened
        finally:
            opened.close()
