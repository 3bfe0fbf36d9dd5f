"""One mailbox, one account: a second one would import all its mail once more, so it waits for a person's word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from gatewayd.config import AccountConfig, Config
    from gatewayd.custody import Lease
    from gatewayd.store import Store

__all__ = ["claim", "taken"]


def claim(account: AccountConfig, store: Store, lease: Lease, *, enter: bool) -> None:
    """Raise ConfigError where another account has or had the mailbox, and nobody said that this one may import it, too.

    With ``enter`` it is kept that the account has it: once it has logged in, and before anything is listed.
    """
    having = store.claim(lease, account.mailbox, second=account.second, enter=enter) if account.mailbox else ()
    if account.mailbox and account.name not in having:
        raise _waits(account, having)


def taken(config: Config, mailboxes: Mapping[str, Sequence[tuple[str, bool]]]) -> Iterator[tuple[str, ConfigError]]:
    """Yield the accounts that wait for a word, by name, and why; ``mailboxes`` are those of the store."""
    for name, one in config.accounts.items():
        having = dict(mailboxes.get(one.mailbox, ()))
        imports = one.imports is not None and one.imports.enabled
        if imports and name not in having and not one.second and not all(having.values()):
            yield name, _waits(one, list(having), config.accounts)


def _waits(account: AccountConfig, having: Sequence[str], known: Collection[str] = ()) -> ConfigError:
    first = having[0]
    rename = "" if first in known else f"If its file was renamed: `gatewayd account rename {first} {account.name}`. "
    what = f"its mailbox, {account.mailbox}, was imported by account {first}"
    again = "If all its mail is to be filed once more: `second: true` in its file."
    return ConfigError(what, advice=rename + again)
