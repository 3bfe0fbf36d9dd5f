"""``account``: make, show, try and rename accounts, and connect one to the mailbox of a person who consents."""

from __future__ import annotations

import click

from gatewayd.cli.account_add import add
from gatewayd.cli.account_show import list_accounts, show, test
from gatewayd.cli.consent import connect, disconnect
from gatewayd.cli.forgetting import forget
from gatewayd.cli.renaming import rename_account
from gatewayd.cli.user_account import password, remove

__all__ = ["COMMANDS"]


@click.group("account")
def _account() -> None:
    """Make, show, try, rename, remove and forget accounts, and ask persons for consent to open their mailboxes."""


for _command in (add, list_accounts, show, test, password, remove, connect, disconnect, rename_account, forget):
    _account.add_command(_command)


COMMANDS = (_account,)
