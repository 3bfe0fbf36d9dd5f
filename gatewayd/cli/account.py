"""``account``: make, show, try and rename accounts, and connect one to the mailbox of a person who consents."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from gatewayd.api.health import Task
from gatewayd.cli import output
from gatewayd.cli.account_add import add
from gatewayd.cli.account_show import list_accounts, show, test
from gatewayd.cli.consent import connect, disconnect
from gatewayd.cli.removed import account_files
from gatewayd.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from gatewayd.cli.app import App

__all__ = ["COMMANDS"]

#: Seconds that a daemon has to release an account whose file was renamed; the lease of a dead one expires sooner.
_PATIENCE, _LOOK = 45.0, 0.5


@click.group("account")
def _account() -> None:
    """Make, show, try and rename accounts, and ask persons for consent to open their mailboxes."""


for _command in (add, list_accounts, show, test, connect, disconnect):
    _account.add_command(_command)


@_account.command("rename")
@click.argument("old")
@click.argument("new")
@click.pass_obj
def _rename(app: App, old: str, new: str) -> None:
    """Give all stored data of account OLD to account NEW: ledger, mail, deliveries. Nothing is imported again.

    Rename the account's file first.
    """
    if old in account_files(app):
        advice = f"Rename it to accounts/{new}.yaml first."
        raise PermanentError(f"accounts/{old}.yaml is still there", advice=advice)
    if new not in account_files(app):
        raise PermanentError(f"there is no accounts/{new}.yaml", advice=f"Rename accounts/{old}.yaml to it first.")
    mails = _renamed(app, old, new)
    output.note(f"Account {old} is account {new} now, with {output.count(mails, 'mail')}.")
    account = app.config.accounts.get(new)
    if app.daemons() and (account is None or account.imports is not None):
        # The account may wait for a visit. One that only sends is never visited.
        app.store.ask(new, Task())
    app.warn_of_faults()


def _renamed(app: App, old: str, new: str) -> int:
    """Rename the account as soon as nobody works on it; return how many mails it has. Raises TransientError after 45 s."""
    until = time.monotonic() + _PATIENCE
    noted = False
    while True:
        try:
            return app.store.rename_account(old, new, dead=app.instance.dead)
        except TransientError as error:
            if time.monotonic() > until:
                raise
            if not noted:
                output.note(f"{error.message}; waiting until it is let go of.")
            noted = True
        time.sleep(_LOOK)


COMMANDS = (_account,)
