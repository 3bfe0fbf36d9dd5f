"""Hash and check passwords by Argon2id (RFC 9106), a few at a time: each takes memory and a good part of a second."""

from __future__ import annotations

import secrets
import threading
import unicodedata
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from gatewayd.errors import ConfigError, PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from argon2 import PasswordHasher

__all__ = ["LEAST", "Passwords", "good_password"]

#: How long a password must be, and may be, in characters.
LEAST, _MOST = 12, 1000
#: How many are worked on at once, how many more may wait for that, and for how long, in seconds.
_AT_ONCE, _WAITING, _PATIENCE = 2, 4, 10.0


def good_password(password: str) -> str:
    """Return a new password as it is hashed: one that looks the same is the same, however it is typed (NFKC).

    Raises PermanentError for one that is too short or too long.
    """
    normal = unicodedata.normalize("NFKC", password)
    if not LEAST <= len(normal) <= _MOST:
        found = "shorter" if len(normal) < LEAST else "longer"
        advice = f"Take at least {LEAST} characters, such as four words; any characters will do, blanks too."
        raise PermanentError(f"the password is {found} than a password may be", advice=advice)
    return normal


class Passwords:
    """What hashes and checks passwords. All methods may be called from any thread, and wait."""

    def __init__(self, *, memory_kib: int = 65536, passes: int = 3, lanes: int = 4) -> None:
        """By default it costs what RFC 9106, section 4, recommends second: 64 MiB, 3 passes, 4 lanes."""
        self._memory_kib, self._passes, self._lanes = memory_kib, passes, lanes
        self._working = threading.BoundedSemaphore(_AT_ONCE)
        self._inside = threading.BoundedSemaphore(_AT_ONCE + _WAITING)

    def prove(self) -> None:
        """Raise ConfigError where the library is missing."""
        _ = self._hasher

    def hashed(self, password: str) -> str:
        """Return a password salted and hashed, with what that cost. It is taken as ``good_password`` returns it."""
        with self._turn():
            return self._hasher.hash(_bytes(password))

    def fits(self, password: str, hashed: str) -> bool:
        """Whether this is the password that was hashed. For an empty ``hashed`` it is not, and to say so takes as long.

        Raises TransientError where too many are being checked.
        """
        from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415  as below

        normal = unicodedata.normalize("NFKC", password[: _MOST + 1])
        with self._turn():
            try:
                return self._hasher.verify(hashed or self._nobodys, _bytes(normal)) and bool(hashed)
            except (VerificationError, InvalidHashError):
                return False

    @cached_property
    def _hasher(self) -> PasswordHasher:
        try:
            # Imported late: it is of the extra `web`, and only who logs people in needs it.
            from argon2 import PasswordHasher  # noqa: PLC0415
        except ImportError:
            advice = "Install it beside gatewayd: `pip install gatewayd[web]`."
            raise ConfigError("the library argon2 is missing, which checks passwords", advice=advice) from None
        return PasswordHasher(time_cost=self._passes, memory_cost=self._memory_kib, parallelism=self._lanes)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_bytes(32))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # It is there before anybody's time is measured.
        _ = self._nobodys
        if not self._inside.acquire(blocking=False):
            raise _busy()
        try:
            if not self._working.acquire(timeout=_PATIENCE):
                raise _busy()
            try:
                yield
            finally:
                self._working.release()
        finally:
            self._inside.release()


def _bytes(password: str) -> bytes:
    # Halves of characters are no text; they are a wrong password, and no fault.
    return password.encode(errors="surrogatepass")


def _busy() -> TransientError:
    return TransientError("too many people log in just now", advice="Try again in 2 seconds.", retry_after=2.0)
