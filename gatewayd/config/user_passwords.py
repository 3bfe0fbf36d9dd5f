"""Seal and open the passwords that users typed for their mailboxes: in processes of the service's own user, and in no other."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd.config.consents import load_sealing_keys
from gatewayd.errors import AuthError, GatewaydError, TransientError
from gatewayd.sealing.passwords import about_password

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.api.store import Store
    from gatewayd.api.store.sealed_secrets import SealedSecret
    from gatewayd.api.store.user_accounts import NewUserAccount, UserAccount
    from gatewayd.config.values import Config
    from gatewayd.sealing.keys import SealingKeys

__all__ = ["UserPasswords", "service_keys"]


def service_keys(config: Config, store: Store, what: str) -> SealingKeys:
    """Return the keys for what users confided to the service. Raises AuthError in a process of any other user than its own.

    ``what`` is what messages call it, as a plural.
    """
    try:
        owner = config.state.stat().st_uid
    except OSError as error:
        raise TransientError(f"{config.state}: {error.strerror}", advice="See to the state folder.") from None
    if owner != os.geteuid():
        raise AuthError(
            f"{what} are for the service's own user alone, who has the state folder", advice="Run it as that user, or as root."
        )
    return load_sealing_keys(config, store)


class UserPasswords:
    """The passwords of users' mailboxes, which a store keeps."""

    def __init__(self, config: Config, store: Store, holds: Callable[[str], object] = lambda _: None) -> None:
        """``holds`` raises unless this process may work on the account of this name now."""
        self._config = config
        self._store = store
        self._holds = holds

    def prove(self) -> None:
        """Raise AuthError or TransientError where no password could be sealed."""
        self._keys()

    def seal(self, account: NewUserAccount, password: str) -> SealedSecret:
        """Return the password of a mailbox, sealed. Raises AuthError or TransientError where there is no key for it."""
        return self._keys().seal(password, about_password(account))

    def opened(self, account: UserAccount) -> str:
        """Return the password of a mailbox. Raises AuthError with what to do where it can't be opened."""
        keys = self._keys()
        self._holds(account.name)
        try:
            found = keys.opened(account.password, about_password(account))
        except AuthError as error:
            advice = f"Restore that key, or type the password anew: `gatewayd account password {account.name}`."
            raise AuthError(f"the password of {account.name} can't be used: {error.message}", advice=advice) from None
        if not keys.is_by_first(account.password):
            # If another process was quicker, or the store is away, the next time does it.
            with suppress(GatewaydError):
                self._store.replace_password(account, self.seal(account, found))
        return found

    def _keys(self) -> SealingKeys:
        return service_keys(self._config, self._store, "the passwords of users' mailboxes")
