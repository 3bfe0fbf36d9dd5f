"""Keep passwords, and check what is typed against them. The store has their hashes sealed: no copy of it is good for guessing."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd.access.passwords import Passwords, good_password
from gatewayd.config import service_keys
from gatewayd.errors import AuthError, GatewaydError, TransientError

if TYPE_CHECKING:
    from gatewayd.api.store import Store
    from gatewayd.api.store.user_secrets import UserSecrets
    from gatewayd.config import Config
    from gatewayd.sealing.about import About
    from gatewayd.sealing.keys import SealingKeys

__all__ = ["KeptPasswords", "give_password"]


class KeptPasswords:
    """The passwords of users. All methods may be called from any thread, and wait."""

    def __init__(self, store: Store, passwords: Passwords | None = None) -> None:
        """``passwords`` hashes and checks them."""
        self._store = store
        self._passwords = passwords or Passwords()

    def prove(self, config: Config) -> None:
        """Raise what would keep a password from being kept: a library or a key that is missing."""
        self._passwords.prove()
        self._keys(config)

    def keep(self, config: Config, user_id: int, password: str, *, but: int | None = None) -> None:
        """Keep a new password, and end the user's web sessions: all, or all but one, by its number.

        Raises PermanentError for one that is too short or too long.
        """
        normal = good_password(password)
        keys = self._keys(config)
        hashed = self._passwords.hashed(normal)
        self._store.keep_password(user_id, keys.seal(hashed, _about(user_id)), but=but)

    def fits(self, config: Config, who: UserSecrets | None, password: str) -> bool:
        """Whether this is the password of a user. For nobody, and for who has none, it is not, and to say so takes as long.

        Raises TransientError where it can't be checked.
        """
        try:
            keys = self._keys(config)
            hashed = keys.opened(who.password, _about(who.user_id)) if who and who.password else ""
        except AuthError:
            advice = "Tell your administrator: `gatewayd check` says what is wrong with the key."
            raise TransientError("passwords can't be checked just now", advice=advice) from None
        right = self._passwords.fits(password, hashed)
        if right and who and who.password and not keys.is_by_first(who.password):
            # If another process was quicker, or the store is away, the next time does it.
            with suppress(GatewaydError):
                self._store.reseal_password(who.user_id, who.password, keys.seal(hashed, _about(who.user_id)))
        return right

    def _keys(self, config: Config) -> SealingKeys:
        return service_keys(config, self._store, "passwords of users")


def give_password(
    config: Config, store: Store, operator: str, user: str, password: str, *, passwords: Passwords | None = None
) -> None:
    """Give a user a password, and end all web sessions of that user: an administrator's word, which needs no old password.

    Raises PermanentError for a password that is too short or too long and for a user who has left, ConfigError where the library
    is missing, AuthError where the key is that seals it, and what verbs raise.
    """
    KeptPasswords(store, passwords).keep(config, store.know_user(operator, user).id, password)


def _about(user_id: int) -> About:
    """Return what a hash is about: whoever could write the store can't give a user somebody else's password."""
    return {"what": "password of a user", "user": str(user_id)}
