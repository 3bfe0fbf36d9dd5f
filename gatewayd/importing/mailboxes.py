"""Keep a second account from importing the same mailbox: all mail would be filed twice, so a person must allow it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.evidence import difference
from gatewayd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from gatewayd.api.ledger import Lease
    from gatewayd.api.store import Store
    from gatewayd.api.values import Listed
    from gatewayd.config import AccountConfig, Config

__all__ = ["claim", "distinct", "taken"]

#: How many of a folder's first messages are compared, and how many of these must be another account's.
_LOOKED, _ENOUGH = 50, 3


def claim(account: AccountConfig, store: Store, lease: Lease, *, enter: bool) -> None:
    """Raise ConfigError if another account has or had the mailbox, and this one's file does not say `second: true`.

    With ``enter`` it is stored that the account has the mailbox: after the log-in, and before anything is listed.
    """
    having = store.claim(lease, account.mailbox, second=account.second, enter=enter) if account.mailbox else ()
    if account.mailbox and account.name not in having:
        raise _waits(account, having)


def taken(config: Config, mailboxes: Mapping[str, Sequence[tuple[str, bool]]]) -> Iterator[tuple[str, ConfigError]]:
    """Yield the names of accounts that wait until a person allows them, and why; ``mailboxes`` are those of the store."""
    for name, one in config.accounts.items():
        having = dict(mailboxes.get(one.mailbox, ()))
        imports = one.imports is not None and one.imports.enabled
        if imports and name not in having and not one.second and not all(having.values()):
            yield name, _waits(one, list(having), config.accounts)


def distinct(account: AccountConfig, store: Store, folder: str, listed: Sequence[Listed]) -> None:
    """Raise ConfigError if a folder that was never listed holds another account's messages: one mailbox under two host names.

    Only accounts whose user has the same name are compared, and a few messages must be the same in key, size and arrival: then
    it is the same mailbox, or a copy of it that kept its numbers. No server is asked anything for it.
    """
    first = {one.key: one for one in listed[:_LOOKED] if one.size is not None}
    if account.second or len(first) < _ENOUGH or store.folder(account.name, folder) is not None:
        return
    # Whatever host and domain are called.
    user = _user(account.mailbox)
    namesakes = [having for name, having in store.mailboxes().items() if user and name != account.mailbox and _user(name) == user]
    for other in [name for having in namesakes for name, _ in having if name != account.name]:
        known = {key: was for key, was in store.known(other, folder, first.keys()).items() if not was.gone and was.listed.size}
        if len(known) >= _ENOUGH and not any(difference(was.listed, first[key]) for key, was in known.items()):
            raise _waits(account, [other], name=f"under another name, with the same messages in {folder}, ")


def _user(mailbox: str) -> str:
    return mailbox.rpartition(" at ")[0].partition("@")[0]


def _waits(account: AccountConfig, having: Sequence[str], known: Collection[str] = (), *, name: str = "") -> ConfigError:
    first = having[0]
    rename = "" if first in known else f"If its file was renamed: `gatewayd account rename {first} {account.name}`. "
    what = f"its mailbox, {account.mailbox}, was {name}imported by account {first}"
    again = "If all its mail is to be filed once more: `second: true` in its file."
    return ConfigError(what, advice=rename + again)
