"""The mailboxes that users added, as commands have them: their passwords are opened only while a command works on the account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.ledger import Lease
from gatewayd.cli import output
from gatewayd.config import UserPasswords, with_user_accounts
from gatewayd.errors import GatewaydError, TransientError

if TYPE_CHECKING:
    from gatewayd.cli.app import App
    from gatewayd.config import Config

__all__ = ["passwords_of", "with_mailboxes"]


def with_mailboxes(app: App, by_files: Config) -> Config:
    """Return the config with the mailboxes that users added. If the store can't be read, the person is told."""
    # Whoever has no users has no mailboxes of theirs: the store need not be opened.
    if app.only_files or not any(one.users or one.faulty for one in by_files.operators.values()):
        return by_files
    try:
        if app.has_store():
            return with_user_accounts(by_files, app.store.user_accounts(), passwords_of(app, by_files).opened)
    except GatewaydError as error:
        output.note(f"gatewayd: the mailboxes that users added can't be read: {error.sentences}")
    return by_files


def passwords_of(app: App, config: Config) -> UserPasswords:
    """Return what seals and opens the passwords of users' mailboxes in this process."""

    def hold(account: str) -> None:
        found = app.store.take_lease(account, app.instance.name, dead=app.instance.dead)
        if isinstance(found, Lease):
            app.store.release(found)
        if isinstance(found, Lease) or found.holder != app.instance.name:
            advice = f"Ask for a visit: `gatewayd import {account}`."
            raise TransientError(f"the password of {account} is only opened by the process that works on it", advice=advice)

    return UserPasswords(config, app.store, hold)
