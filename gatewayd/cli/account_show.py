"""``account list``, ``account show`` and ``account test``: what accounts there are, what each is set to, and whether it works."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from gatewayd import config
from gatewayd.cli import output
from gatewayd.cli.online import try_account
from gatewayd.cli.params import json_option
from gatewayd.errors import GatewaydError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig

__all__ = ["list_accounts", "show", "test"]


@click.command("list")
@json_option
@click.pass_obj
def list_accounts(app: App, *, as_json: bool) -> None:
    """List the accounts: whose each is, where its mail lies, and what it is used for."""
    rows = []
    for one in app.config.accounts.values():
        serves = [f"{one.operators[0]}/{one.user}"] if one.user else [*one.operators]
        if as_json:
            where: dict[str, output.Json] = {"server": _server(one), "username": _username(one)}
            uses: dict[str, output.Json] = {"imports": _imports(one), "sends": one.sends is not None, "serves": [*serves]}
            output.json_line({"account": one.name, "kind": one.kind, **where, **uses, "description": one.description or None})
        else:
            uses_ = [word for word, does in (("imports", _imports(one)), ("sends", one.sends is not None)) if does]
            at = _username(one) + (f" at {_server(one)}" if _server(one) else "")
            rows.append((one.name, one.kind, at, ", ".join(serves), ", ".join(uses_) or "nothing", one.description))
    output.table(("account", "kind", "mailbox", "serves", "does", "description"), rows)
    if not app.config.accounts:
        output.note("There are no accounts; `gatewayd account add` makes one.")
    if not app.config.accounts_of_users.enabled and app.has_store() and (stopped := len(app.store.user_accounts())):
        mailboxes = output.count(stopped, "mailbox", "mailboxes")
        output.note(f"{mailboxes} that users added: stopped by `accounts_of_users: false` in gatewayd.yaml.")
    app.warn_of_faults()


def _imports(account: AccountConfig) -> bool:
    return account.imports is not None and account.imports.enabled


def _server(account: AccountConfig) -> str:
    found = getattr(account.options, "where", "")
    return found if isinstance(found, str) else ""


def _username(account: AccountConfig) -> str:
    found = getattr(account.options, "username", None) or getattr(account.options, "mailbox", None)
    return found if isinstance(found, str) else ""


@click.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show(app: App, name: str, *, as_json: bool) -> None:
    """Show every setting of account NAME, with the file and line where it is set. Secrets are shown as references."""
    app.only_files = not config.is_of_user(name)
    settings = config.settings(app.config, app.account(name))
    for one in settings if as_json else ():
        output.json_line(output.fields(one, "name", "value", "where"))
    if not as_json:
        output.table(("setting", "value", "set in"), [(one.name, one.value, one.where or "default") for one in settings])


@click.command("test")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.pass_obj
def test(app: App, names: tuple[str, ...]) -> int:
    """Log in to these accounts, and look whether all that they need is there, changing nothing. Exits 1 if something is wrong."""
    failed = 0
    app.only_files = not any(map(config.is_of_user, names))
    accounts = [app.account(name) for name in dict.fromkeys(names)]
    for account in accounts:
        problems = try_account(app, account)
        failed += bool(problems)
        for problem in problems or ["ok"]:
            output.say(f"{account.name}: {problem}")
    # Whether it works does not hang on the store.
    with suppress(GatewaydError):
        if app.has_store() and app.daemons():
            _tell_who_tried(accounts)
    return 1 if failed else 0


def _tell_who_tried(accounts: Sequence[AccountConfig]) -> None:
    """Say what a try proves beside a daemon, which has its own copies of secrets and its own connections."""
    of_users = [one.name for one in accounts if config.is_of_user(one.name)]
    of_files = [one.name for one in accounts if one.name not in of_users]
    if of_files:
        how = "by this command, with the secrets that it reads itself; how the daemon does with its own: `gatewayd status`"
        output.note(f"Tried {how}: {', '.join(of_files)}.")
    if of_users:
        output.note(f"Tried by the daemon, which alone opens the password while it works on the mailbox: {', '.join(of_users)}.")
