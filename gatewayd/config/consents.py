"""Let the store keep what persons consented to, sealed by the keys of the config, for all accounts that log in by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.token_source import TokenUse
from gatewayd.config.key_files import kept_key, long_enough
from gatewayd.errors import AuthError, ConfigError
from gatewayd.sealing.consents import KeptConsents
from gatewayd.sealing.keys import SealingKey, SealingKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatewayd.api.options import Secret
    from gatewayd.api.roles import Plugin
    from gatewayd.api.store import Store
    from gatewayd.config.values import Config

__all__ = ["KEY_FILE", "consents_of", "key_of", "load_sealing_keys", "old_keys_in_use", "prove_key", "token_use"]

#: In the state folder.
KEY_FILE = "sealing.key"


def token_use(options: Plugin.Options) -> TokenUse | None:
    """Return which tokens an account with these options needs; None if it needs none."""
    found = getattr(options, "token_use", None)
    return found if isinstance(found, TokenUse) else None


def consents_of(config: Config, store: Callable[[], Store | None]) -> KeptConsents:
    """Return the consents of all accounts of a config, and let their tokens come by these from now on.

    ``store`` is called when a token is needed, in whichever thread needs it; it gives the store, opened, or None if there is none
    yet.
    """
    uses = {name: use for name, one in config.accounts.items() if (use := token_use(one.options)) and use.source.consent}
    accounts = {use: name for name, use in reversed(uses.items())}
    found = KeptConsents(store, lambda opened: load_sealing_keys(config, opened), accounts)
    for use in uses.values():
        use.source.keep_consents(found)
    return found


def load_sealing_keys(config: Config, store: Store) -> SealingKeys:
    """Return the keys of a config: the first is `sealing_key`, else that of ``sealing.key`` in the state folder, made if need be.

    Raises AuthError where ``prove_key`` does, and for keys that are missing or too short; TransientError where the state folder
    can't be used.
    """
    prove_key(config, store)
    older = [key_of(one, "old_sealing_keys") for one in config.old_sealing_keys]
    if config.sealing_key is not None:
        return SealingKeys([key_of(config.sealing_key), *older], "in gatewayd.yaml")
    path = config.state / KEY_FILE
    try:
        return SealingKeys([SealingKey(kept_key(path, "Restore it from the backup.")), *older], f"that of {path}")
    except ConfigError as error:
        raise AuthError(error.message, advice=error.advice) from None


def prove_key(config: Config, store: Store) -> None:
    """Raise AuthError where the key is to be in the state folder, and can't be: it is lost, or others need the same.

    No key is made where the store has secrets that were sealed by another.
    """
    path = config.state / KEY_FILE
    if config.sealing_key is not None:
        return
    if store.may_be_shared():
        raise AuthError(
            "gatewayd.yaml has no `sealing_key`, and daemons on other machines may use the store",
            advice="Give all of them one `sealing_key`, at least 32 random characters, such as `!credential sealing`.",
        )
    number = 0 if path.exists() else sum(store.sealing_keys().values())
    if number:
        raise AuthError(
            f"{path} is missing, and what the store keeps sealed, {number} in all, can't be opened without it",
            advice="Restore it from the backup. If it is lost, make another one, as the user of the service: "
            f"`(umask 077; head -c 32 /dev/urandom | base64 > {path})`. Then each person consents again: "
            "`gatewayd account connect NAME`.",
        )


def old_keys_in_use(config: Config, store: Store) -> Mapping[Secret, int]:
    """Return the keys of `old_sealing_keys` that still seal something, and how much. Raises AuthError if one can't be had."""
    in_use = store.sealing_keys()
    ids = {one: key_of(one, "old_sealing_keys").id for one in config.old_sealing_keys}
    return {one: in_use[key_id] for one, key_id in ids.items() if key_id in in_use}


def key_of(secret: Secret, field: str = "sealing_key") -> SealingKey:
    """Return the key of a ``field`` of gatewayd.yaml; raises AuthError if it is missing or too short."""
    try:
        return SealingKey(long_enough(secret.reveal(), f"the secret {secret}", f"Give `{field}` a longer one."))
    except ConfigError as error:
        raise AuthError(error.message, advice=error.advice) from None
