"""The values of names that change: of an account, an operator or a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Named", "Rename"]

#: What has a name that can change.
Named: TypeAlias = Literal["account", "operator", "user"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """The intent that something gets another name, and later that it has it. A user's names stand as ``operator/user``."""

    kind: Named
    old: str
    new: str
    #: Who asked for it.
    who: str
    asked_at: datetime
    #: When all that is kept became the new name's; None while all of it is the old one's.
    done_at: datetime | None = None

    @property
    def command(self) -> str:
        """The command that finishes it where it was broken off."""
        return f"gatewayd {self.kind} rename {self.old} {self.new}"
