"""Add a mailbox for a user without an administrator, remove one, and give one another password: all of it is in the store."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from gatewayd.cli import output
from gatewayd.cli.account_questions import asked, asked_address, asked_password, servers_of, with_server
from gatewayd.cli.online import try_account
from gatewayd.cli.user_mailboxes import passwords_of
from gatewayd.config import MAIL_PORTS, AccountDraft, made
from gatewayd.desk import user_mailboxes
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.queries import Viewer
    from gatewayd.api.store.user_accounts import NewUserAccount
    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig
    from gatewayd.desk.mail_servers import MailServer

__all__ = ["add_mailbox", "password", "remove"]


def add_mailbox(app: App, viewer: Viewer) -> None:
    """Ask for what a user's mailbox needs, try the log-in, and let the store keep it, its password sealed."""
    operator, user = viewer.operator, viewer.users[0]
    user_mailboxes.may_add(app.config, app.store, viewer)
    # What would keep the password from being sealed is told before it is typed.
    passwords_of(app, app.config).prove()
    address = asked_address()
    new, typed = _asked_mailbox(app, viewer, address, servers_of(address.rpartition("@")[2]))
    name = user_mailboxes.add(app.config, app.store, viewer, new, typed)
    output.say(f"added    {name}")
    output.note(f"Its mail is offered, and you choose: `gatewayd remote {name} --user {operator}/{user}` lists it.")


def _asked_mailbox(app: App, viewer: Viewer, address: str, guessed: Sequence[MailServer]) -> tuple[NewUserAccount, str]:
    """Ask until the log-in works, or the person gives up; return the mailbox and its password."""
    user = f"{viewer.operator}/{viewer.users[0]}"
    draft = AccountDraft(kind="", host="", port=None, security="tls", username=address, password=("", ""), user=user)
    while True:
        draft = with_server(app, draft, address.rpartition("@")[2], guessed)
        draft = replace(draft, username=asked("User name", default=draft.username))
        new = _said(draft, address)
        try:
            # Before a password is typed for it.
            _account(app, viewer, new, "")
        except PermanentError as error:
            output.note(f"Error: {error.sentences}")
            continue
        typed = asked_password()
        if _works(app, _account(app, viewer, new, typed)):
            return new, typed


def _said(draft: AccountDraft, address: str) -> NewUserAccount:
    port = draft.port or MAIL_PORTS[draft.kind, draft.security]
    return user_mailboxes.new_mailbox(
        kind=draft.kind, host=draft.host, port=port, security=draft.security, address=address, username=draft.username
    )


def _account(app: App, viewer: Viewer, new: NewUserAccount, typed: str) -> AccountConfig:
    return made(app.config, new, user_mailboxes.NEW, (viewer.operator, viewer.users[0]), lambda: typed)


def _works(app: App, account: AccountConfig) -> bool:
    """Log in, changing nothing there; return whether that works. Raises Exit where the person gives up."""
    output.note("Logging in ...")
    problems = try_account(app, account)
    for problem in problems:
        output.note(problem)
    if problems and not click.confirm("Try again?", default=True, err=True):
        output.note("gatewayd: nothing was kept.")
        raise click.exceptions.Exit(1)
    return not problems


@click.command("password")
@click.argument("name")
@click.pass_obj
def password(app: App, name: str) -> None:
    """Ask for another password of the mailbox NAME that a user added, and try it."""
    if not sys.stdin.isatty():
        raise click.UsageError("`account password` asks for a password, and there is no terminal to type it at")
    found = user_mailboxes.found(app.store, name)
    account = app.account(name)
    while True:
        typed = asked_password()
        if _works(app, made(app.config, found, user_mailboxes.NEW, (found.operator, found.user), lambda typed=typed: typed)):  # type: ignore[misc]
            break
    user_mailboxes.give_password(app.config, app.store, found, typed)
    output.note(f"{account.name} has the new password.")


@click.command("remove")
@click.argument("name")
@click.pass_obj
def remove(app: App, name: str) -> None:
    """Remove the mailbox NAME that a user added, with its password. What was imported by it stays."""
    user_mailboxes.remove(app.store, user_mailboxes.found(app.store, name))
    output.note(f"{name} is removed, and its password is gone. Its mail stays.")
