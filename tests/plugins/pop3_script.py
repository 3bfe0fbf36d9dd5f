"""A small scripted POP3 server, for what real servers can't be made to do."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd import Secret
from gatewayd_pop3.transport import Pop3, Pop3Session
from tests.plugins.scripted import serving

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from typing import BinaryIO

PASSWORD = "correct horse"


@dataclass
class Script:
    """A POP3 server of one mailbox that does what the test tells it, and remembers every command."""

    mails: list[bytes]
    uidls: list[bytes] | None = None
    capa: str = "TOP UIDL PIPELINING"
    #: Replies by command in place of the usual one; an empty one closes the connection.
    replies: dict[str, bytes] = field(default_factory=dict)
    #: How many bytes to send at most in one piece; 0: as many as there are.
    piece: int = 0
    heard: list[str] = field(default_factory=list)
    deleted: set[int] = field(default_factory=set)
    port: int = 0
    #: The command whose reply is the connection's last.
    last: str = ""
    ending: bool = False

    def reply(self, line: str) -> bytes:
        self.heard.append(line)
        word, _, rest = line.partition(" ")
        self.ending = line == self.last
        if (told := self.replies.get(line, self.replies.get(word))) is not None:
            return told
        # What comes may be TLS.
        first = rest.partition(" ")[0]
        number = int(first) if first.isascii() and first.isdigit() else 0
        if word in {"CAPA", "STAT", "LIST", "UIDL"}:
            return self.listing(word)
        if word in ("RETR", "TOP"):
            mail = self.mails[number - 1]
            return b"+OK\r\n" + stuffed(mail if word == "RETR" else mail.partition(b"\r\n\r\n")[0] + b"\r\n") + b".\r\n"
        if word == "DELE":
            self.deleted.add(number)
        return b"+OK\r\n"

    def listing(self, word: str) -> bytes:
        if word == "CAPA":
            return self.lines(self.capa.split())
        if word == "STAT":
            return b"+OK %d %d\r\n" % (len(self.mails), sum(map(len, self.mails)))
        if word == "LIST":
            return self.lines([f"{n} {len(mail)}" for n, mail in enumerate(self.mails, 1)])
        return b"+OK\r\n" + b"".join(b"%d %s\r\n" % (n, uidl) for n, uidl in enumerate(self.names(), 1)) + b".\r\n"

    def names(self) -> list[bytes]:
        return self.uidls if self.uidls is not None else [b"u%d" % n for n in range(1, len(self.mails) + 1)]

    @staticmethod
    def lines(words: list[str]) -> bytes:
        return "".join(f"{word}\r\n" for word in ["+OK", *words, "."]).encode()

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer, peer.makefile("rb") as file:
                self.talk(peer, file)

    def talk(self, peer: socket.socket, file: BinaryIO) -> None:
        self.ending = False
        answer = self.replies.get("greeting", b"+OK ready\r\n")
        while answer:
            size = self.piece or len(answer)
            try:
                for at in range(0, len(answer), size):
                    peer.sendall(answer[at : at + size])
                line = "" if self.ending else file.readline().decode("utf-8", "replace").rstrip("\r\n")
            except OSError:
                return
            answer = self.reply(line) if line else b""


def stuffed(mail: bytes) -> bytes:
    return (b"\r\n" + mail).replace(b"\r\n.", b"\r\n..")[2:]


class Stage:
    """Scripts that serve until the test ends."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def play(self, mails: list[bytes], **fields: object) -> Script:
        """Start a script; ``fields`` are those of ``Script``."""
        return self._stack.enter_context(serving(Script(mails, **fields)))  # type: ignore[arg-type]


def transport(port: int, **fields: object) -> Pop3:
    os.environ["POP3_TEST_PASSWORD"] = PASSWORD
    given = {"host": "127.0.0.1", "port": port, "security": "none", "insecure": True, "username": "irina", "timeout": "5s"}
    secret = Secret("env", "POP3_TEST_PASSWORD")
    return Pop3(Pop3.Options.model_validate({**given, "password": secret, **fields}), account="irina")


@contextmanager
def session(script: Script) -> Iterator[Pop3Session]:
    with closing(transport(script.port).open()) as opened:
        yield opened
