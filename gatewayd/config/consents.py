"""Let the store keep what persons consented to, sealed by the keys of the config, for all accounts that log in by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.token_source import TokenUse
from gatewayd.config.key_files import kept_key, long_enough
from gatewayd.errors import AuthError, ConfigError, TransientError
from gatewayd.sealing.consents import KeptConsents
from gatewayd.sealing.keys import SealingKey, SealingKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.api.options import Secret
    from gatewayd.api.roles import Plugin
    from gatewayd.api.store import Store
    from gatewayd.config.values import Config

__all__ = ["KEY_FILE", "consents_of", "key_of", "load_sealing_keys", "old_keys_in_use", "prove_key", "token_use", "unchanged"]

#: In the state folder.
KEY_FILE = "sealing.key"


def token_use(options: Plugin.Options) -> TokenUse | None:
    """Return which tokens an account with these options needs; None if it needs none."""
    found = getattr(options, "token_use", None)
    return found if isinstance(found, TokenUse) else None


def consents_of(config: Config, store: Callable[[], Store | None]) -> KeptConsents:
    """Return the consents of all accounts of a config, and let their tokens come by these from now on.

    ``store`` is called when a token is needed, in whichever thread needs it; it gives the store, opened, or None if there is none
    yet. It may raise one of the five errors.
    """
    uses = {name: use for name, one in config.accounts.items() if (use := token_use(one.options)) and use.source.consent}
    accounts = {use: name for name, use in reversed(uses.items())}
    found = KeptConsents(store, lambda opened: load_sealing_keys(config, opened), accounts)
    for use in uses.values():
        use.source.keep_consents(found)
    return found


def unchanged(store: Store, opened: Callable[[], Store]) -> Store | None:
    """Return what ``opened`` gives if ``store`` has this version; None if there is none. Raises TransientError if it is older."""
    if store.is_current():
        return opened()
    if store.is_new():
        return None
    what = "what persons consented to can't be read: the database is of an older version"
    raise TransientError(what, advice="Start gatewayd once, or run another command of it: that brings it to this one.")


def load_sealing_keys(config: Config, store: Store) -> SealingKeys:
    """Return the keys of a config: the first is `sealing_key`, else that of ``sealing.key`` in the state folder, made if need be.

    Raises AuthError where ``prove_key`` does, and if the first is missing or too short; TransientError where the state folder
    can't be used. A key of `old_sealing_keys` that can't be had raises nothing here: only what it sealed can't be opened then.
    """
    prove_key(config, store)
    older, unread = _older_keys(config)
    if config.sealing_key is not None:
        return SealingKeys([key_of(config.sealing_key), *older.values()], "in gatewayd.yaml", unread)
    path = config.state / KEY_FILE
    try:
        first = SealingKey(kept_key(path, "Restore it from the backup."))
    except ConfigError as error:
        raise AuthError(error.message, advice=error.advice) from None
    return SealingKeys([first, *older.values()], f"that of {path}", unread)


def _older_keys(config: Config) -> tuple[Mapping[Secret, SealingKey], Sequence[str]]:
    """Return the keys of `old_sealing_keys`, and of those that can't be had, why."""
    found, unread = {}, []
    for one in config.old_sealing_keys:
        try:
            found[one] = key_of(one, "old_sealing_keys")
        except AuthError as error:
            unread.append(error.sentences.rstrip("."))
    return found, unread


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
            "`gatewayd account connect NAME`, types passwords anew: `gatewayd account password NAME` and `gatewayd user password "
            "OPERATOR/USER`, and sets up second factors anew: `gatewayd user end-second-factor OPERATOR/USER`.",
        )


def old_keys_in_use(config: Config, in_use: Mapping[str, int]) -> Mapping[Secret, int]:
    """Return the keys of `old_sealing_keys` whose ids are ``in_use``, and how much; those that can't be had are left out."""
    older, _ = _older_keys(config)
    return {one: in_use[key.id] for one, key in older.items() if key.id in in_use}


def key_of(secret: Secret, field: str = "sealing_key") -> SealingKey:
    """Return the key of a ``field`` of gatewayd.yaml; raises AuthError if it is missing or too short."""
    try:
        return SealingKey(long_enough(secret.reveal(), f"the secret {secret}", f"Give `{field}` a longer one."))
    except ConfigError as error:
        raise AuthError(error.message, advice=error.advice) from None
