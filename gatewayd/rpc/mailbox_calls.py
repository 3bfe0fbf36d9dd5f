"""The calls about a person's own mailboxes, and what they are answered with. Passwords come sealed for the daemon."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from gatewayd.rpc.answers import Value
from gatewayd.rpc.calls import Call

__all__ = [
    "AddMailbox",
    "ChangeMailboxPassword",
    "FindServers",
    "GetKey",
    "Kept",
    "PublicKey",
    "RemoveMailbox",
    "ServerRow",
    "Servers",
]

_Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=320)]
#: As ``gatewayd.sealing.sent_secrets.seal_for`` makes it, about what ``about_typed`` says.
_Sealed: TypeAlias = Annotated[str, Field(max_length=8000, repr=False)]
_Kind: TypeAlias = Literal["imap", "pop3"]
_Security: TypeAlias = Literal["tls", "starttls"]


class ServerRow(Value):
    """A server that may have a mailbox."""

    kind: _Kind
    host: str
    port: int
    security: _Security


class Servers(Value):
    """Servers that an address may be read from, the best first, and a hint."""

    servers: tuple[ServerRow, ...]
    hint: str


class PublicKey(Value):
    """By which passwords are sealed for the daemon."""

    key: str


class Kept(Value):
    """The account of the mailbox, or why the log-in failed; then nothing is kept."""

    account: str = ""
    problems: tuple[str, ...] = ()


class FindServers(Call):
    """Guess the servers of a mail address. Answered with ``Servers``."""

    call: Literal["find servers"] = "find servers"
    address: _Text


class GetKey(Call):
    """Get the key that passwords are sealed for. Answered with ``PublicKey``."""

    call: Literal["get key"] = "get key"


class AddMailbox(Call):
    """Log in to a mailbox, and keep it if that works. Answered with ``Kept``."""

    call: Literal["add mailbox"] = "add mailbox"
    kind: _Kind
    host: _Text
    port: Annotated[int, Field(ge=1, le=65535)]
    security: _Security
    address: _Text
    username: _Text
    password: _Sealed


class ChangeMailboxPassword(Call):
    """Log in to an own mailbox by another password, and keep that if it works. Answered with ``Kept``."""

    call: Literal["change mailbox password"] = "change mailbox password"
    account: _Text
    password: _Sealed


class RemoveMailbox(Call):
    """Remove an own mailbox and its password; its mail stays. Answered with ``Count``."""

    call: Literal["remove mailbox"] = "remove mailbox"
    account: _Text
