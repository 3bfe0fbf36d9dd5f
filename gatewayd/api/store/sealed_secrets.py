"""The store's verbs for secrets that come to it sealed, such as persons' refresh tokens: it has no key, and can't open them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SealedSecret", "SecretVerbs"]


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A secret, sealed. No two are equal: each seal has a random part."""

    #: Which key seals it.
    key_id: str
    sealed: bytes = field(repr=False)


class SecretVerbs(ABC):
    """Keep sealed secrets by name. A name says nothing to the store, and is at most 100 characters of ASCII."""

    @abstractmethod
    def sealed_secret(self, name: str) -> SealedSecret | None:
        """Return a secret; None if there is none by this name."""

    @abstractmethod
    def replace_secret(self, name: str, old: SealedSecret | None, new: SealedSecret) -> bool:
        """Put ``new`` in the place of ``old``, or of nothing; return False, and change nothing, if it is not ``old`` that is there.

        So of several processes that have read the same secret, one writes the next.
        """

    @abstractmethod
    def forget_secret(self, name: str) -> bool:
        """Remove a secret, whichever is there; return whether there was one."""

    @abstractmethod
    def secret_names(self) -> Sequence[str]:
        """Return the names of all that there are, in order."""

    @abstractmethod
    def sealing_keys(self) -> Mapping[str, int]:
        """Return the ids of the keys that seal what is there, and how many secrets each seals."""
