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


def distinct(account: AccountConfig, store: Store, folder: str, listed: Sequence[Listed], *, spans: bool = False) -> None:
    """Raise ConfigError if a folder that was never listed holds another account's messages: one mailbox under two names.

    Accounts are compared whose user has the same name, under two host names, and a few messages must be the same in key, size and
    arrival: then it is the same mailbox, or a copy of it that kept its numbers. If the transport's keys span folders (``spans``),
    no other mailbox has them: then accounts of one host are compared, too, of which one has an id for its user and the other an
    address, whatever their folders, and no size is needed. No server is asked anything for it.
    """
    first = {one.key: one for one in listed[:_LOOKED] if spans or one.size is not None}
    enough = min(_ENOUGH, len(first)) if spans else _ENOUGH
    if account.second or not first or len(first) < enough or store.folder(account.name, folder) is not None:
        return
    candidates = [having for name, having in store.mailboxes().items() if _may_be(name, account.mailbox, spans=spans)]
    for other in [name for having in candidates for name, _ in having if name != account.name]:
        held = store.elsewhere(other, "", first.keys()) if spans else store.known(other, folder, first.keys())
        known = {key: was for key, was in held.items() if spans or (not was.gone and was.listed.size)}
        if len(known) >= enough and not any(difference(was.listed, first[key]) for key, was in known.items()):
            raise _waits(account, [other], name=f"under another name, with the same messages in {folder}, ")


def _may_be(one: str, other: str, *, spans: bool) -> bool:
    """Whether two names may be of one mailbox."""
    if one == other or not _user(one):
        return False
    if spans and ("@" in _local(one)) != ("@" in _local(other)):
        return one.rpartition(" at ")[2] == other.rpartition(" at ")[2]
    # Whatever host and domain are called.
    return _user(one) == _user(other)


def _local(mailbox: str) -> str:
    return mailbox.rpartition(" at ")[0]


def _user(mailbox: str) -> str:
    return _local(mailbox).partition("@")[0]


def _waits(account: AccountConfig, having: Sequence[str], known: Collection[str] = (), *, name: str = "") -> ConfigError:
    first = having[0]
    rename = "" if first in known else f"If its file was renamed: `gatewayd account rename {first} {account.name}`. "
    what = f"its mailbox, {account.mailbox}, was {name}imported by account {first}"
    again = "If all its mail is to be filed once more: `second: true` in its file."
    return ConfigError(what, advice=rename + again)
