"""Get access tokens by what persons consented to. The next refresh token is on the disk before its access token is used."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from gatewayd.api.consent import ConsentEnded, Grant
from gatewayd.api.credential import is_token
from gatewayd.errors import AuthError, GatewaydError, PermanentError, PluginError, TransientError, without_text
from gatewayd.sealing.keys import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.api.consent import Consent
    from gatewayd.api.credential import Token
    from gatewayd.api.store import Store
    from gatewayd.api.store.sealed_secrets import SealedSecret
    from gatewayd.api.token_source import TokenUse
    from gatewayd.sealing.about import About
    from gatewayd.sealing.keys import SealingKeys

__all__ = ["KeptConsents", "about_consent", "asked"]

_Answer = TypeVar("_Answer")

#: How often a token is asked for anew because another process was quicker to write the next refresh token.
_TRIES = 5
#: If a refresh token is refused, another process may have used it just now: seconds to wait for what that one writes.
_PATIENCE, _LOOK = 3.0, 0.1


def about_consent(use: TokenUse) -> About:
    """Return what a person's refresh token is about: the client that has the consent, and the mailbox."""
    identity = asked(use, lambda consent: dict(consent.identity))
    client = {f"client {name}": value for name, value in identity.items()}
    return {"what": "refresh token", "credential": use.source.kind, "user": use.user.casefold()} | client


def asked(use: TokenUse, question: Callable[[Consent], _Answer]) -> _Answer:
    """Return what the credential's consent answers. Whatever it raises but the five errors is the plugin's own fault."""
    if use.source.consent is None:
        raise PermanentError(f"the credential {use.source.kind} of {use.user} needs nobody's consent")
    try:
        return question(use.source.consent)
    except GatewaydError:
        raise
    except Exception as error:  # noqa: BLE001  a plugin may raise anything, and its text may quote a token
        wrong = without_text(error)
    raise _at_fault(use, wrong)


class KeptConsents:
    """The consents of all accounts, in a store. Several processes may use it at once."""

    def __init__(
        self,
        store: Callable[[], Store | None],
        keys: Callable[[Store], SealingKeys],
        accounts: Mapping[TokenUse, str],
        *,
        patience: float = _PATIENCE,
    ) -> None:
        """``store`` gives the store, opened; None if there is none yet. ``keys`` gives the keys as they are now, for what is in it.

        ``accounts`` are the names of accounts, by the tokens that they need: of several with one mailbox and resource, one.
        """
        self._store = store
        self._keys = keys
        self._accounts = accounts
        self._patience = patience
        #: By name, the secret that was read, and the one that should have taken its place when the store could not be written.
        self._unwritten: dict[str, tuple[SealedSecret, SealedSecret]] = {}

    @property
    def are_needed(self) -> bool:
        """Whether there is an account that logs in by a consent."""
        return bool(self._accounts)

    def renewed(self, use: TokenUse) -> Token:
        """Return a new access token; see ``ConsentKeeper``. The advice of an AuthError names the command that asks for consent."""
        about = about_consent(use)
        name = name_of(about)
        for _ in range(_TRIES):
            store, sealed = self._kept(use, name)
            keys = self._keys(store)
            sealed = self._caught_up(store, name, sealed)
            refresh_token = self._opened(use, keys, sealed, about)
            # The authority may take the old one no more once it has given a new one.
            store.prove_writable()
            try:
                grant = _refreshed(use, refresh_token)
            except ConsentEnded as error:
                if self._moves_on(store, name, sealed):
                    continue
                raise ConsentEnded(error.message, advice=f"{error.advice} {self._command(use)}".lstrip()) from None
            if not grant.refresh_token and keys.is_by_first(sealed):
                return grant.token
            if self._replaced(store, name, sealed, keys.seal(grant.refresh_token or refresh_token, about)):
                return grant.token
        raise TransientError(f"no access token for {use.user}: other processes get new ones all the time")

    def mark(self, use: TokenUse) -> bytes:
        """Return a mark that changes when the person consents anew; empty without a consent."""
        store = self._store()
        found = store.sealed_secret(name_of(about_consent(use))) if store else None
        return found.sealed if found else b""

    def prove(self, store: Store) -> None:
        """Raise what would keep a consent from being kept in a store."""
        self._keys(store)
        store.prove_writable()

    def keys_in_use(self, store: Store) -> Mapping[str, int]:
        """Return the ids of the keys that seal the consents of the accounts, and how many each seals."""
        names = set()
        for use in self._accounts:
            # A plugin at fault is told where its token is needed.
            with suppress(GatewaydError):
                names.add(name_of(about_consent(use)))
        return Counter(one.key_id for one in map(store.sealed_secret, names) if one)

    def unused(self, store: Store) -> Sequence[str]:
        """Return the names of consents in a store that no account has; none where a plugin does not say which an account has."""
        try:
            names = {name_of(about_consent(use)) for use in self._accounts}
        except GatewaydError:
            return ()
        return [one for one in store.secret_names() if one not in names]

    def keep(self, use: TokenUse, grant: Grant) -> None:
        """Keep a new consent in place of the one before. Raises PermanentError if it is for another mailbox than the account's."""
        grant = _proven(use, grant)
        said: Sequence[object] = asked(use, lambda consent: list(consent.names(grant)))
        names = [one for one in said if isinstance(one, str)]
        if len(names) < len(said):
            raise _at_fault(use, "expected names that are text")
        about = about_consent(use)
        name = name_of(about)
        if use.user.casefold() not in {one.casefold() for one in names}:
            who = names[0] if names else "nobody that the authority names"
            raise PermanentError(
                f"{who} has consented, and the account's mailbox is {use.user}: nothing is kept",
                advice=f"Log out of {who} in the browser, or open a private window, and log in there as {use.user}. "
                f"If that is another name of {who}, correct the account's file.",
            )
        if not grant.refresh_token:
            raise PermanentError(
                f"the authority gave no refresh token for {use.user}, so the consent would end within the hour: nothing is kept",
                advice="Check what the client may ask for, as the docs of this kind of credential say.",
            )
        store = self._opened_store()
        sealed = self._keys(store).seal(grant.refresh_token, about)
        for _ in range(_TRIES):
            if store.replace_secret(name, store.sealed_secret(name), sealed):
                return
        raise TransientError(f"the consent of {use.user} was not kept: others write it all the time", advice=self._command(use))

    def forget(self, use: TokenUse) -> bool:
        """Forget a consent; return whether there was one."""
        return self._opened_store().forget_secret(name_of(about_consent(use)))

    def _kept(self, use: TokenUse, name: str) -> tuple[Store, SealedSecret]:
        store = self._store()
        sealed = store.sealed_secret(name) if store else None
        if store is None or sealed is None:
            raise AuthError(f"{use.user} has not consented to our opening the mailbox", advice=self._command(use))
        return store, sealed

    def _opened(self, use: TokenUse, keys: SealingKeys, sealed: SealedSecret, about: About) -> str:
        try:
            return keys.opened(sealed, about)
        except AuthError as error:
            advice = f"Restore that key, or ask for the consent anew. {self._command(use)}"
            raise AuthError(f"the consent of {use.user} can't be used: {error.message}", advice=advice) from None

    def _caught_up(self, store: Store, name: str, sealed: SealedSecret) -> SealedSecret:
        """Write what could not be written before, if ``sealed`` is what it should replace; return what the store has then.

        An authority may take the refresh token that the store has no more. If another process has just written, the next refusal
        finds that.
        """
        old, new = self._unwritten.get(name, (None, sealed))
        return new if old == sealed and self._replaced(store, name, sealed, new) else sealed

    def _replaced(self, store: Store, name: str, old: SealedSecret, new: SealedSecret) -> bool:
        """Replace a secret; return False if another process was quicker."""
        self._unwritten[name] = old, new
        done = store.replace_secret(name, old, new)
        self._unwritten.pop(name, None)
        return done

    def _moves_on(self, store: Store, name: str, sealed: SealedSecret) -> bool:
        """Wait for a moment for another process to write a newer refresh token; return whether one did."""
        until = time.monotonic() + self._patience
        while (found := store.sealed_secret(name)) == sealed:
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK)
        return found is not None

    def _opened_store(self) -> Store:
        store = self._store()
        if store is None:
            raise TransientError("there is no store here that could keep consents")
        return store

    def _command(self, use: TokenUse) -> str:
        # A consent may be for one resource and not for another one: each account asks for its own.
        return f"Run `gatewayd account connect {self._accounts.get(use, 'NAME')}`."


def _refreshed(use: TokenUse, refresh_token: str) -> Grant:
    return _proven(use, asked(use, lambda consent: consent.refresh(use.user, use.resource, refresh_token)))


def _proven(use: TokenUse, found: object) -> Grant:
    """Return what a plugin gave, if it is a grant with a token that can be sent, and a refresh token that can be kept."""
    if isinstance(found, Grant) and is_token(found.token):
        kept: object = found.refresh_token
        if isinstance(kept, str) and kept.isascii():
            return found
    raise _at_fault(use, f"expected a Grant with a token, got {type(found).__name__}")


def _at_fault(use: TokenUse, wrong: str) -> PluginError:
    return PluginError(f"the credential {use.source.kind} is at fault with consents: {wrong}", advice="Mend the plugin.")
