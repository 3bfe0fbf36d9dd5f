"""Set up, check and end second factors. The store has their secrets sealed, and the daemon's user alone opens them."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.access.codes import digest_of_recovery, new_recovery_codes, new_secret, setup_uri, step_of
from gatewayd.config import service_keys
from gatewayd.errors import AuthError, GatewaydError, PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewayd.api.store import Store
    from gatewayd.api.store.user_secrets import SecondFactor, UserSecrets
    from gatewayd.config import Config
    from gatewayd.sealing.about import About
    from gatewayd.sealing.keys import SealingKeys

__all__ = ["SecondFactors", "SetUp"]

#: What an app shows above its codes.
_ISSUER = "gatewayd"


@dataclass(frozen=True, slots=True)
class SetUp:
    """What a person puts into an authenticator app. It is shown once."""

    secret: str = field(repr=False)
    #: The same for a picture that the app reads.
    uri: str = field(repr=False)


class SecondFactors:
    """The second factors of users. All methods may be called from any thread."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        """``clock`` gives seconds since 1970."""
        self._store = store
        self._clock = clock

    def begin(self, config: Config, operator: str, user: str) -> SetUp:
        """Begin to set one up. Log-ins ask for it once ``confirm`` got a code of it. Raises PermanentError if there is one."""
        who = self._secrets(operator, user)
        secret = new_secret()
        sealed = self._keys(config).seal(secret, _about(who))
        if not self._store.begin_second_factor(who.user_id, sealed):
            raise PermanentError("there is a second factor already", advice="End it first.")
        return SetUp(secret, setup_uri(secret, f"{operator}/{user}", _ISSUER))

    def confirm(self, config: Config, operator: str, user: str, code: str) -> Sequence[str]:
        """Confirm it by a code of the app; return recovery codes, which are shown once. Raises PermanentError for a wrong code."""
        who = self._secrets(operator, user)
        factor = who.factor
        if factor is None or factor.confirmed:
            raise PermanentError("no second factor waits for a code", advice="Begin to set one up.")
        step = step_of(self._opened(config, who, factor), code, self._clock())
        if step is None:
            advice = "Type the code that the app shows now, and see that the phone's clock is right."
            raise PermanentError("the code is wrong", advice=advice)
        codes, digests = _new_codes(who.user_id)
        if not self._store.confirm_second_factor(who.user_id, factor.secret, step, digests):
            raise TransientError("the second factor was set up elsewhere meanwhile", advice="Look at it again.")
        return codes

    def new_codes(self, operator: str, user: str) -> Sequence[str]:
        """Replace the recovery codes; return the new ones, which are shown once."""
        who = self._secrets(operator, user)
        codes, digests = _new_codes(who.user_id)
        if not self._store.replace_recovery_codes(who.user_id, digests):
            raise PermanentError("there is no second factor", advice="Set one up first.")
        return codes

    def take(self, config: Config, who: UserSecrets, code: str) -> bool:
        """Whether a user may log in with this code: one of the app or a recovery code that was not taken before, which it is now.

        True for a user without a second factor. Raises TransientError where it can't be checked.
        """
        factor = who.factor
        if factor is None or not factor.confirmed:
            return True
        try:
            secret = self._opened(config, who, factor)
        except AuthError:
            advice = "Tell your administrator: `gatewayd check` says what is wrong with the key."
            raise TransientError("second factors can't be checked just now", advice=advice) from None
        step = step_of(secret, code, self._clock())
        if step is not None:
            return step > factor.step and self._store.take_step(who.user_id, step)
        digest = digest_of_recovery(who.user_id, code)
        return digest is not None and self._store.take_recovery_code(who.user_id, digest)

    def _opened(self, config: Config, who: UserSecrets, factor: SecondFactor) -> str:
        keys = self._keys(config)
        found = keys.opened(factor.secret, _about(who))
        if not keys.is_by_first(factor.secret):
            # If another process was quicker, or the store is away, the next time does it.
            with suppress(GatewaydError):
                self._store.reseal_second_factor(who.user_id, factor.secret, keys.seal(found, _about(who)))
        return found

    def _keys(self, config: Config) -> SealingKeys:
        return service_keys(config, self._store, "second factors")

    def _secrets(self, operator: str, user: str) -> UserSecrets:
        found = self._store.user_secrets(operator, user)
        if found is None:
            raise PermanentError("the user has left meanwhile", advice="See `users` in the operator's file.")
        return found


def _about(who: UserSecrets) -> About:
    """Return what a secret is about: whoever could write the store can't give a user somebody else's."""
    return {"what": "second factor", "user": str(who.user_id)}


def _new_codes(user_id: int) -> tuple[Sequence[str], Sequence[bytes]]:
    codes = new_recovery_codes()
    return codes, [digest for one in codes if (digest := digest_of_recovery(user_id, one))]
