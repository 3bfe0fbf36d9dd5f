"""The store's verbs for names that change: of accounts, operators and users."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewayd.api.renames import Named, Rename

__all__ = ["RenameVerbs"]


class RenameVerbs(ABC):
    """Give accounts, operators and users other names, with all that is kept of them.

    First the intent is committed, then the config is changed, then the rename is finished: whoever is killed in between leaves an
    intent that anybody can finish. Until then all that is kept is the old name's, and nothing can be written under the new one;
    from then on it is the other way round, whatever config a process has. A process that is late gets a TransientError.
    """

    @abstractmethod
    def intend_rename(self, kind: Named, old: str, new: str, *, who: str, needed: bool = True) -> Rename:
        """Commit the intent, or return the one that is there.

        Raises PermanentError where nothing is kept of ``old``, which is ``needed`` unless it has a file; where anything is kept of
        ``new``, where that was given up for another name than ``old``, and where another rename is not finished.
        """

    @abstractmethod
    def finish_rename(self, rename: Rename, *, dead: Callable[[str], bool]) -> int:
        """Let all that is kept of the old name be the new one's, in one transaction; return how many mails or filings it has.

        Done twice it does no harm. Raises TransientError while somebody works on the account.
        """

    @abstractmethod
    def renames(self) -> Sequence[Rename]:
        """Return all renames, the oldest first; those that are not finished have no ``done_at``."""

    @abstractmethod
    def free_name(self, kind: Named, old: str) -> None:
        """Let a name be used again that was given up: for something else, which has a file of its own by now."""
