"""Access tokens for the tests of what logs in with them, and servers that take or refuse them as they are told."""

from __future__ import annotations

import itertools
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from gatewayd import Credential, Token, TokenSource
from gatewayd_imap.transport import Imap
from gatewayd_pop3.transport import Pop3
from gatewayd_smtp.forwarder import Smtp

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import BinaryIO

    from gatewayd import Session
    from gatewayd_smtp.forwarder import SmtpCourier

Protocol: TypeAlias = Literal["IMAP", "POP3", "SMTP"]
PROTOCOLS: tuple[Protocol, ...] = ("IMAP", "POP3", "SMTP")
MECHANISMS = ("XOAUTH2", "OAUTHBEARER")
ADVICE = "Give the app the right to this mailbox, for {}."

_AUTHORITIES: dict[int, Authority] = {}
_COUNT = itertools.count()


class Seal(Credential):
    """Gives the tokens of an ``Authority``."""

    kind = "seal"
    serves_all_users = True

    class Options(Credential.Options):
        number: int

    options: Options

    def obtain(self, user: str, resource: str) -> Token:
        assert (user, resource) == ("", "")
        return Token(_AUTHORITIES[self.options.number].new(), 3600)

    def advice(self, protocol: str) -> str:
        return ADVICE.format(protocol)


class Authority:
    """Makes tokens, and remembers those that it gave."""

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make
        self._number = next(_COUNT)
        _AUTHORITIES[self._number] = self
        self.given: list[str] = []
        # As the config does; else the tokens go with the last account.
        self._kept = self.source

    def new(self) -> str:
        """Return a new token."""
        self.given.append(self._make())
        return self.given[-1]

    @property
    def source(self) -> TokenSource:
        """A credential that has its tokens from here, as another account's file makes it."""
        return TokenSource(Seal(Seal.Options(number=self._number)))


def authority() -> Authority:
    """Return one whose tokens are as long as Microsoft's."""
    number = itertools.count(1)
    return Authority(lambda: f"eyJ0eXAiOiJKV1QifQ.{next(number)}" + "aZ09-_" * 330)


def open_account(protocol: Protocol, port: int, credential: TokenSource, **fields: object) -> Session | SmtpCourier:
    """Log in at this machine, as an account does. The caller closes what is returned."""
    given = {"host": "localhost", "port": port, "security": "none", "insecure": True, "timeout": "120s", "credential": credential}
    given |= {"username": "sales@acme.example", **fields}
    if protocol == "SMTP":
        return Smtp(Smtp.Options.model_validate(given), name="acme-out").open()
    kind = Imap if protocol == "IMAP" else Pop3
    return kind(kind.Options.model_validate(given), account="sales").open()


@dataclass(frozen=True, kw_only=True)
class Words:
    """How a protocol says it: ``TAG`` stands for IMAP's tag, ``MECHANISM`` for what is offered."""

    greeting: bytes
    #: Replies by the beginning of a command; to others it says ``well``.
    replies: dict[bytes, bytes]
    auth: bytes
    challenge: bytes
    well: bytes
    no: bytes


#: Greetings and refusals are Microsoft's.
_WORDS = {
    "IMAP": Words(
        greeting=b"* OK The Microsoft Exchange IMAP4 service is ready.\r\n",
        replies={
            b"CAPABILITY": b"* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=MECHANISM SASL-IR UIDPLUS IDLE\r\nTAG OK done\r\n",
            b"EXAMINE": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n* OK [UIDNEXT 4] next\r\nTAG OK done\r\n",
            b"UID SEARCH": b"* SEARCH 1 2 3\r\nTAG OK done\r\n",
        },
        auth=b"AUTHENTICATE ",
        challenge=b"+ ",
        well=b"TAG OK done\r\n",
        no=b"TAG NO AUTHENTICATE failed.\r\n",
    ),
    "POP3": Words(
        greeting=b"+OK The Microsoft Exchange POP3 service is ready.\r\n",
        replies={
            b"CAPA": b"+OK\r\nSASL PLAIN MECHANISM\r\nUIDL\r\nTOP\r\n.\r\n",
            b"UIDL": b"+OK\r\n.\r\n",
            b"LIST": b"+OK\r\n.\r\n",
        },
        auth=b"AUTH ",
        challenge=b"+ ",
        well=b"+OK\r\n",
        no=b"-ERR Authentication failure: unknown user name or bad password.\r\n",
    ),
    "SMTP": Words(
        greeting=b"220 DB1.example Microsoft ESMTP MAIL Service ready\r\n",
        replies={b"EHLO": b"250-SIZE 157286400\r\n250 AUTH LOGIN MECHANISM\r\n"},
        auth=b"AUTH ",
        challenge=b"334 ",
        well=b"235 2.7.0 well\r\n",
        no=b"535 5.7.3 Authentication unsuccessful [DB1.example]\r\n",
    ),
}


@dataclass
class Door:
    """A server that asks for a token, scripted; Microsoft refuses at once, Gmail and Dovecot give a ``reason`` before."""

    protocol: Protocol
    mechanism: str = "XOAUTH2"
    #: How many log-ins are refused.
    refuses: int = 0
    reason: bytes = b""
    #: In place of Microsoft's refusal.
    no: bytes = b""
    #: Replies in place of the usual ones.
    replies: dict[bytes, bytes] = field(default_factory=dict)
    #: It closes the connection behind a refusal.
    closes: bool = False
    port: int = 0
    connections: int = 0
    commands: list[bytes] = field(default_factory=list)
    #: Our messages, and our answers to reasons, out of base64.
    messages: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            with peer, peer.makefile("rb") as file, suppress(OSError):
                self.talk(peer, file)

    def talk(self, peer: socket.socket, file: BinaryIO) -> None:
        words = _WORDS[self.protocol]
        known = {**words.replies, **self.replies}
        peer.sendall(words.greeting)
        for line in file:
            tag, _, command = line.strip().partition(b" ") if self.protocol == "IMAP" else (b"", b"", line.strip())
            self.commands.append(command)
            told = next((known[name] for name in known if command.upper().startswith(name)), words.well)
            let_in = True
            if command.startswith(words.auth) and words.auth not in self.replies:
                let_in = self.let_in(peer, file)
                told = words.well if let_in else (self.no or words.no)
            peer.sendall(told.replace(b"TAG", tag).replace(b"MECHANISM", self.mechanism.encode()))
            if self.closes and not let_in:
                return

    def let_in(self, peer: socket.socket, file: BinaryIO) -> bool:
        challenge = _WORDS[self.protocol].challenge
        peer.sendall(challenge + b"\r\n")
        self.messages.append(b64decode(file.readline().strip(), validate=True))
        self.refuses -= 1
        if self.refuses >= 0 and self.reason:
            peer.sendall(challenge + self.reason + b"\r\n")
            self.answers.append(b64decode(file.readline().strip(), validate=True))
        return self.refuses < 0
