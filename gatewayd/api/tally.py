"""Count how the messages of a batch ended: filed, duplicate, not admitted, vanished or tried again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewayd.api.delivery import Suspension

__all__ = ["Commit", "Tally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many keys came to which end; sums by ``+``."""

    filed: int = 0
    duplicate: int = 0
    not_admitted: int = 0
    vanished: int = 0
    deferred: int = 0

    @property
    def total(self) -> int:
        """How many keys there were."""
        return self.filed + self.duplicate + self.not_admitted + self.vanished + self.deferred

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            filed=self.filed + other.filed,
            duplicate=self.duplicate + other.duplicate,
            not_admitted=self.not_admitted + other.not_admitted,
            vanished=self.vanished + other.vanished,
            deferred=self.deferred + other.deferred,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The result of filing a batch."""

    tally: Tally
    #: Ids of the mails that are new; the others of the batch were duplicates, or no longer waited.
    filed: frozenset[int] = frozenset()
    #: Targets that are suspended for a bounce in this batch.
    suspended: tuple[Suspension, ...] = ()
