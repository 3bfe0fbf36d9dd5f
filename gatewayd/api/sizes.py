"""Count how often the sizes that a server lists are wrong: if they often are, a wrong size alone proves nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewayd.api.values import Listed

__all__ = ["REREAD_AFTER", "Reread", "Sizes"]

#: How many seconds after it was filed a message is fetched once more. A server or a virus scanner may for some minutes send
#: something else in place of a message that is not ready yet.
REREAD_AFTER = 600.0

#: How many messages, and which share of all (one in so many), must have other sizes than listed before sizes count as estimates.
_ESTIMATES, _OFTEN = 3, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many messages have the size that the server lists, and how many have another; sums by ``+``."""

    exact: int = 0
    other: int = 0

    def __add__(self, more: Sizes) -> Sizes:
        return Sizes(exact=self.exact + more.exact, other=self.other + more.other)

    @property
    def are_estimates(self) -> bool:
        """Whether so many are wrong that a wrong size alone says nothing against a message."""
        return self.other >= _ESTIMATES and self.other * _OFTEN >= self.other + self.exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """A filed key whose bytes do not have the size that the server lists: they are proven only if the same bytes come again."""

    entry_id: int
    #: As the server listed it when its message was filed.
    listed: Listed
    #: The SHA-256 of the bytes that are filed.
    digest: bytes
    #: Seconds until it is due; 0 or less where it is.
    due_in: float
    #: How often it could not be fetched.
    tries: int = 0
    #: How often other bytes came under this key than were filed before.
    others: int = 0
