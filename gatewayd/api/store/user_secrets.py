"""The store's verbs for what users log in with: passwords, hashed and sealed, sealed second factors, digests of recovery codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatewayd.api.store.sealed_secrets import SealedSecret

__all__ = ["SecondFactor", "UserSecretVerbs", "UserSecrets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """What makes a user's one-time codes (RFC 6238)."""

    secret: SealedSecret
    #: The user has typed a code of it. Before, no log-in asks for one.
    confirmed: bool
    #: The step of time of the last code that was taken.
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSecrets:
    """What a user logs in with."""

    #: See ``KnownUser.id``.
    user_id: int
    #: The password, hashed and then sealed; None where the user has none.
    password: SealedSecret | None
    factor: SecondFactor | None
    #: How many recovery codes are left.
    recovery_codes: int


class UserSecretVerbs(ABC):
    """Keep what users log in with, by ``KnownUser.id``: all of it is gone with the commit by which the user leaves.

    What writes for a user who has left raises PermanentError.
    """

    @abstractmethod
    def user_secrets(self, operator: str, user: str) -> UserSecrets | None:
        """Return what a user logs in with, by one query; None for one who was never known or has left."""

    @abstractmethod
    def keep_password(self, user_id: int, password: SealedSecret, *, but: int | None = None) -> None:
        """Commit a password, and end the user's web sessions with it: all, or all but one, by its number."""

    @abstractmethod
    def reseal_password(self, user_id: int, old: SealedSecret, new: SealedSecret) -> bool:
        """Put ``new`` in the place of ``old``; return False, and change nothing, if it is not ``old`` that is there."""

    @abstractmethod
    def begin_second_factor(self, user_id: int, secret: SealedSecret) -> bool:
        """Commit a second factor that is to be confirmed, in place of one that was not; return False if one was confirmed."""

    @abstractmethod
    def confirm_second_factor(self, user_id: int, secret: SealedSecret, step: int, codes: Collection[bytes]) -> bool:
        """Commit that a code of ``step`` was typed, with digests of recovery codes; return False if another one waits, or none."""

    @abstractmethod
    def reseal_second_factor(self, user_id: int, old: SealedSecret, new: SealedSecret) -> bool:
        """Put ``new`` in the place of ``old``; return False, and change nothing, if it is not ``old`` that is there."""

    @abstractmethod
    def take_step(self, user_id: int, step: int) -> bool:
        """Commit that a code of this step was typed; return False if one of it, or of a later one, was taken before."""

    @abstractmethod
    def take_recovery_code(self, user_id: int, digest: bytes) -> bool:
        """Commit that a recovery code was typed, which is gone then; return False, without a write, if there is none such."""

    @abstractmethod
    def replace_recovery_codes(self, user_id: int, codes: Collection[bytes]) -> bool:
        """Commit other recovery codes, by their digests; return False if the user has no confirmed second factor."""

    @abstractmethod
    def end_second_factor(self, user_id: int) -> bool:
        """Remove a second factor with its recovery codes; return whether there was one."""
