"""Mailboxes that users add without an administrator: who may add one, whether a log-in works, and what the store keeps of it."""

from __future__ import annotations

import secrets
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.api.roles import Transport
from gatewayd.api.store.sealed_secrets import SealedSecret
from gatewayd.api.store.user_accounts import MOST_USER_ACCOUNTS, NewUserAccount
from gatewayd.config import UserPasswords, is_of_user, made
from gatewayd.desk.trying import tried
from gatewayd.errors import PermanentError, TransientError
from gatewayd.registry.guarded_session import open_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.queries import Viewer
    from gatewayd.api.store import Store
    from gatewayd.api.store.user_accounts import UserAccount
    from gatewayd.config import AccountConfig, Config

__all__ = ["NEW", "add", "found", "give_password", "log_in_problems", "may_add", "new_mailbox", "remove"]

#: What a mailbox is called that has no name yet.
NEW = "mailbox"
_NOT_YET = SealedSecret("", b"")


def may_add(config: Config, store: Store, viewer: Viewer) -> None:
    """Raise PermanentError unless the viewer, one user, may add one more mailbox."""
    operator, user = viewer.operator, viewer.users[0]
    if not config.accounts_of_users.enabled:
        advice = "`accounts_of_users: false` in gatewayd.yaml says so. An administrator can write an account's file."
        raise PermanentError("users add no mailboxes of their own here", advice=advice)
    having = [one.name for one in store.user_accounts() if (one.operator, one.user) == (operator, user)]
    if len(having) >= MOST_USER_ACCOUNTS:
        what = f"{operator}/{user} has {MOST_USER_ACCOUNTS} mailboxes already, and no user may add more: {', '.join(having)}"
        raise PermanentError(what, advice="Remove one first: `gatewayd account remove NAME`.")


def new_mailbox(*, kind: str, host: str, port: int, security: str, address: str, username: str) -> NewUserAccount:
    """Return a mailbox as a user said, yet without a password."""
    mark = secrets.token_hex(16)
    return NewUserAccount(
        mark=mark, kind=kind, host=host, port=port, security=security, address=address, username=username, password=_NOT_YET
    )


def log_in_problems(config: Config, new: NewUserAccount, viewer: Viewer, password: str, seconds: float) -> Sequence[str]:
    """Log in to a mailbox of the viewer, changing nothing there; return what is wrong. It takes at most so many seconds.

    Raises PermanentError or PluginError for a server at which no mailbox may be.
    """
    account = made(config, new, NEW, (viewer.operator, viewer.users[0]), lambda: password)
    return tried([partial(_log_in, config, account)], seconds)


def add(config: Config, store: Store, viewer: Viewer, new: NewUserAccount, password: str) -> str:
    """Commit a mailbox of the viewer, its password sealed; return the name of its account."""
    who = store.know_user(viewer.operator, viewer.users[0])
    sealed = UserPasswords(config, store).seal(new, password)
    return store.add_user_account(who.id, replace(new, password=sealed))


def found(store: Store, name: str, viewer: Viewer | None = None) -> UserAccount:
    """Return a mailbox by the name of its account, of the viewer or of any user; raises PermanentError if there is none."""
    if not is_of_user(name):
        advice = f"Remove accounts/{name}.yaml, or change what it says."
        raise PermanentError(f"{name} is no mailbox that a user added", advice=advice)
    whose = (viewer.operator, viewer.users[0]) if viewer else None
    rows = {one.name: one for one in store.user_accounts() if whose in (None, (one.operator, one.user))}
    if name not in rows:
        raise PermanentError(f"no user has a mailbox {name}", advice=f"There are: {', '.join(rows) or 'none'}.")
    return rows[name]


def give_password(config: Config, store: Store, mailbox: UserAccount, password: str) -> None:
    """Commit another password of a mailbox, sealed. Raises TransientError if the mailbox was changed meanwhile."""
    if not store.replace_password(mailbox, UserPasswords(config, store).seal(mailbox, password)):
        raise TransientError(f"{mailbox.name} was changed or removed meanwhile", advice="Do it again.")


def remove(store: Store, mailbox: UserAccount) -> None:
    """Remove a mailbox and its password. What was imported by it stays."""
    store.remove_user_account(mailbox.name)


def _log_in(config: Config, account: AccountConfig) -> Sequence[str]:
    transport = config.registry.get(Transport, account.kind)(account.options, account=account.name)
    with closing(open_session(transport)) as session:
        return session.problems(account.imports.folders, account.imports.after) if account.imports else ()
