"""Add a mailbox for a user without an administrator, remove one, and give one another password: all of it is in the store."""

from __future__ import annotations

import secrets
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from gatewayd.api.store.sealed_secrets import SealedSecret
from gatewayd.api.store.user_accounts import MOST_USER_ACCOUNTS, NewUserAccount
from gatewayd.cli import output
from gatewayd.cli.account_questions import asked, asked_address, asked_password, servers_of, with_server
from gatewayd.cli.online import try_account
from gatewayd.cli.user_mailboxes import passwords_of
from gatewayd.config import MAIL_PORTS, AccountDraft, is_of_user, made
from gatewayd.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.queries import Viewer
    from gatewayd.api.store.user_accounts import UserAccount
    from gatewayd.cli.app import App
    from gatewayd.cli.mail_servers import MailServer
    from gatewayd.config import AccountConfig

__all__ = ["add_mailbox", "password", "remove"]

#: What a mailbox is called that has no name yet.
_NEW = "mailbox"
_NOT_YET = SealedSecret("", b"")


def add_mailbox(app: App, viewer: Viewer) -> None:
    """Ask for what a user's mailbox needs, try the log-in, and let the store keep it, its password sealed."""
    operator, user = viewer.operator, viewer.users[0]
    if not app.config.accounts_of_users.enabled:
        advice = "`accounts_of_users: false` in gatewayd.yaml says so. An administrator can write an account's file."
        raise PermanentError("users add no mailboxes of their own here", advice=advice)
    who = app.store.know_user(operator, user)
    having = [one for one in app.store.user_accounts() if (one.operator, one.user) == (operator, user)]
    if len(having) >= MOST_USER_ACCOUNTS:
        names = ", ".join(one.name for one in having)
        what = f"{operator}/{user} has {MOST_USER_ACCOUNTS} mailboxes already, and no user may add more: {names}"
        raise PermanentError(what, advice="Remove one first: `gatewayd account remove NAME`.")
    passwords = passwords_of(app, app.config)
    # What would keep the password from being sealed is told before it is typed.
    passwords.prove()
    address = asked_address()
    new, typed = _asked_mailbox(app, viewer, address, servers_of(address.rpartition("@")[2]))
    name = app.store.add_user_account(who.id, replace(new, password=passwords.seal(new, typed)))
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
    return NewUserAccount(
        mark=secrets.token_hex(16),
        kind=draft.kind,
        host=draft.host,
        port=port,
        security=draft.security,
        address=address,
        username=draft.username,
        password=_NOT_YET,
    )


def _account(app: App, viewer: Viewer, new: NewUserAccount, typed: str) -> AccountConfig:
    return made(app.config, new, _NEW, (viewer.operator, viewer.users[0]), lambda: typed)


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
    found = _found(app, name)
    account = app.account(name)
    while True:
        typed = asked_password()
        if _works(app, made(app.config, found, _NEW, (found.operator, found.user), lambda typed=typed: typed)):  # type: ignore[misc]
            break
    if not app.store.replace_password(found, passwords_of(app, app.config).seal(found, typed)):
        raise TransientError(f"{account.name} was changed or removed meanwhile", advice="Run this again.")
    output.note(f"{account.name} has the new password.")


@click.command("remove")
@click.argument("name")
@click.pass_obj
def remove(app: App, name: str) -> None:
    """Remove the mailbox NAME that a user added, with its password. What was imported by it stays."""
    _found(app, name)
    app.store.remove_user_account(name)
    output.note(f"{name} is removed, and its password is gone. Its mail stays.")


def _found(app: App, name: str) -> UserAccount:
    if not is_of_user(name):
        advice = f"Remove accounts/{name}.yaml, or change what it says."
        raise PermanentError(f"{name} is no mailbox that a user added", advice=advice)
    rows = {one.name: one for one in app.store.user_accounts()}
    if name not in rows:
        raise PermanentError(f"no user has a mailbox {name}", advice=f"There are: {', '.join(rows) or 'none'}.")
    return rows[name]
