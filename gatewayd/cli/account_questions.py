"""What is asked about a mailbox at the keyboard: address, server, user name, password."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import click

from gatewayd.api.roles import Transport
from gatewayd.cli import output
from gatewayd.config import MAIL_PORTS
from gatewayd.desk.mail_servers import MailServer, guesses, is_of_domain
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewayd import config
    from gatewayd.cli.app import App

__all__ = ["asked", "asked_address", "asked_password", "goes_on", "servers_of", "with_server"]

_Security = Literal["tls", "starttls"]
#: The transports that need what is asked for here.
_KINDS = ("imap", "pop3")
#: Bytes of a line, at most, that a terminal gives to who reads it (termios(3), canonical mode).
_LONGEST_LINE = 4095
#: What is no part of a password: control characters, bytes of another charset, and a byte order mark in front.
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|^\ufeff")
_LAST_PORT = 65535
_ADDRESS = re.compile(r"[^@\s]+@([^@\s.]+(?:\.[^@\s.]+)*)")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise click.BadParameter("expected text without control characters, in the terminal's own charset")
    return text.strip()


def asked(question: str, *, default: str | None = None, check: Callable[[str], str] = _printable) -> str:
    """Return an answer without blanks around it."""
    return str(click.prompt(question, default=default, value_proc=check, err=True)).strip()


def asked_password() -> str:
    """Ask for a password until there is one that can be kept in a file."""
    while True:
        found: str = click.prompt("Password", hide_input=True, confirmation_prompt="The same once more", err=True)
        if len(found.encode(errors="surrogateescape")) >= _LONGEST_LINE:
            output.note(f"Error: a terminal cuts what is longer than {_LONGEST_LINE} bytes: write the files by hand")
        elif _UNUSABLE.search(found):
            output.note("Error: expected a password without control characters, in the terminal's own charset")
        else:
            return found


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text.strip()) or not text.isprintable():
        raise click.BadParameter("expected a mail address such as irina@example.com")
    return text.strip()


def asked_address() -> str:
    """Ask for a mail address."""
    return asked("Mail address", check=_address)


def servers_of(domain: str) -> Sequence[MailServer]:
    """Return the servers that a domain's mail may be read from, the best first. Raises PermanentError if it is for no password."""
    guessed, hint = guesses(domain)
    if hint and not guessed:
        raise PermanentError(f"{domain} is not for `account add`: {hint}")
    if hint:
        output.note(hint)
    return guessed


def with_server(app: App, draft: config.AccountDraft, domain: str, guessed: Sequence[MailServer]) -> config.AccountDraft:
    """Ask for the server until the person agrees to the host."""
    kinds = [kind for kind in _KINDS if kind in app.registry.kinds(Transport)]
    while True:
        kind = click.prompt("Kind", default=draft.kind or kinds[0], type=click.Choice(kinds), err=True)
        # What was said of this kind before stays, unless it is corrected.
        said = draft if draft.kind == kind else None
        known = next((one for one in guessed if one.kind == kind), None)
        host = asked("Host", default=said.host if said else known.host if known else None)
        known = known if known and known.host == host else None
        security: _Security = said.security if said else known.security if known else "tls"
        security = click.prompt("Security", default=security, type=click.Choice(["tls", "starttls"]), err=True)
        port = said.port if said and said.security == security else known.port if known and known.security == security else None
        port = click.prompt("Port", default=port or MAIL_PORTS[kind, security], value_proc=_port, err=True)
        found = replace(draft, kind=kind, host=host, security=security, port=port if port != MAIL_PORTS[kind, security] else None)
        outside = f"{host} is not of {domain}. Send the password of {draft.username} there?"
        if is_of_domain(host, domain) or click.confirm(outside, err=True):
            return found


def _port(text: str | int) -> int:
    if not str(text).isdecimal() or not 1 <= int(text) <= _LAST_PORT:
        raise click.BadParameter(f"expected a number from 1 to {_LAST_PORT}")
    return int(text)


def goes_on() -> bool:
    """Whether the files are to be written although the log-in failed. Raises Exit where the person gives up."""
    choices = click.Choice(["again", "write", "quit"])
    what = click.prompt("again, write the files anyway, or quit", type=choices, default="again", show_choices=False, err=True)
    if what == "quit":
        output.note("gatewayd: nothing was written.")
        raise click.exceptions.Exit(1)
    return bool(what == "write")
