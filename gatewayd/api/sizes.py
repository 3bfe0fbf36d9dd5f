"""When the sizes that a server lists count as estimates, and which messages are fetched again because of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewayd.api.values import Listed

__all__ = ["REREAD_AFTER", "Reread", "Sizes"]

#: How long after it was filed a message is fetched once more, in seconds: what a server or a virus scanner sends in place of a
#: message that is not ready yet, it may send for some minutes.
REREAD_AFTER = 600.0

#: So many messages, and one of so many, must be of other sizes than the server lists before its sizes count as estimates.
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
        """Whether they are wrong so often that a wrong size alone says nothing against a message."""
        return self.other >= _ESTIMATES and self.other * _OFTEN >= self.other + self.exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """A filed key whose bytes are not of the size that the server lists: only if the same come once more, are they proven."""

    entry_id: int
    #: As it was when its message was filed.
    listed: Listed
    #: The SHA-256 of the bytes that are filed.
    digest: bytes
    #: Seconds until it is due; 0 or less where it is.
    due_in: float
    #: How often it could not be had.
    tries: int = 0
    #: How often other bytes came under this key than were filed before.
    others: int = 0
