"""The store's verbs for the ledger: each key that was ever listed, and what is owed to the server for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from gatewayd.api.ledger import Anchor, Entry, FolderState, Known, Lease, Owed, State, Waiting
    from gatewayd.api.queries import EntryView
    from gatewayd.api.sizes import Reread, Sizes

__all__ = ["LedgerVerbs", "OwedVerbs"]


class LedgerVerbs(ABC):
    """Keep how far each folder was listed, and every key of it in exactly one state (promise P1)."""

    @abstractmethod
    def folder(self, account: str, folder: str) -> FolderState | None:
        """Return how far the folder was listed; None where it never was."""

    @abstractmethod
    def known(self, account: str, folder: str, keys: Collection[str]) -> Mapping[str, Known]:
        """Return what the ledger has under those of ``keys`` that it knows."""

    @abstractmethod
    def anchors(self, account: str, folder: str, *, standing: Collection[str] | None) -> Sequence[Anchor]:
        """Return what entries can be recognised by that are gone under their key, or will be when a page is entered.

        ``standing`` None: those already gone; else also every entry of the folder whose key is not in ``standing``. Only
        entries in a final state, with an anchor, that no later key took over.
        """

    @abstractmethod
    def enter(
        self,
        lease: Lease,
        folder: str,
        entries: Sequence[Entry],
        *,
        cursor: str,
        start_at: datetime | None,
        standing: Collection[str] | None = None,
        doubt: str = "",
    ) -> int:
        """Commit new keys together with the cursor; return how many were new. Keys that the ledger has stay as they are.

        But: they take a size and an arrival that they lack. An ``offered`` key that is entered as waiting becomes waiting (with
        ``backlog``), and a key that stands again though it was gone waits again. Where it was fetched before, it counts as new: a
        server may use the key of a deleted message for another one (RFC 1939 section 7). The old entry then stays gone, without
        its anchor and its owed action. So it does where an entry has a ``contradiction``, whatever became of the message that was
        there: where it waited or was offered it is vanished, and its cause says why.
        With ``standing``, every other key of the folder is marked gone; those of them that waited or were offered become vanished.
        An entry with ``same_as`` gets the state, mail and owed action of that entry, which gives up its anchor and its owed action;
        nothing is owed any more where the sizes differ. A ``doubt`` is kept with the folder until ``prove`` clears it up: the
        whole folder is to be compared.
        """

    @abstractmethod
    def waiting(
        self, account: str, folder: str, *, after: int, limit: int, keys: Collection[str] | None = None
    ) -> Sequence[Waiting]:
        """Return waiting keys that are due, ids above ``after``, by id; only ``keys`` where given (then due or not)."""

    @abstractmethod
    def entries(self, account: str, state: State, *, after: int, limit: int) -> Sequence[EntryView]:
        """Return the account's keys in that state, with the reason, ids above ``after``, by id."""

    @abstractmethod
    def standing(self, account: str, folder: str) -> Mapping[State, int]:
        """Return how many keys of the folder the server still had when it was last listed, by state; none are vanished."""

    @abstractmethod
    def sizes(self, account: str, folder: str) -> Sizes:
        """Return of the last 100 messages that were filed from the folder how many have the length that the server lists."""

    @abstractmethod
    def prove(self, lease: Lease, folder: str, *, checked_at: datetime | None, compared_at: datetime | None, doubt: str) -> None:
        """Commit what a listing that came to its end has proven of the folder; see ``FolderState``.

        ``checked_at`` None leaves it as it was. ``doubt`` takes the place of what was in doubt before; one without ``compared_at``
        wants the whole folder to be compared at the next visit. Nothing happens where the folder was never listed.
        """


class OwedVerbs(ABC):
    """Keep the actions that are owed to servers, and what must be fetched once more before anything is owed for it."""

    @abstractmethod
    def owed(self, account: str, *, after: int = 0, limit: int) -> Sequence[Owed]:
        """Return actions that are owed to the server for keys that are not gone, oldest first, of entries after that id."""

    @abstractmethod
    def settled(self, lease: Lease, entry_ids: Collection[int], *, undone: bool = False) -> None:
        """Commit that these actions are done, or with ``undone`` that they are left undone: nothing is owed any more.

        A message that was moved or deleted so gives up its anchor: no later key of the folder can be the same message. Where
        it was filed it is gone, so that its key can be that of another; a duplicate is not, so that a server which only says
        that it deletes is not asked for the same bytes at every visit.
        """

    @abstractmethod
    def rereads(self, account: str, folder: str, *, limit: int) -> Sequence[Reread]:
        """Return what was filed from the folder with a ``reread_after``, still stands and did not come again, soonest due first."""

    @abstractmethod
    def reread(
        self, lease: Lease, *, proven: Mapping[int, int | None], later: Mapping[int, float], undone: Collection[int]
    ) -> None:
        """Commit what came when entries of ``rereads`` were fetched once more, by their ids.

        ``proven``: the same bytes came; what was to be owed is owed now, and the entry takes the size that the server lists by now.
        ``later``: they are due in so many seconds, with one more try counted. ``undone``: nothing is ever owed for them. What is no
        entry of ``rereads`` any more, or of another account, is left alone.
        """
