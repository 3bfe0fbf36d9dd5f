"""The store's verbs for the ledger: each key that was ever listed, and what is owed to the server for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from gatewayd.api.copies import Copy
    from gatewayd.api.ledger import Anchor, Entry, FolderState, Known, Lease, Owed, State, Waiting
    from gatewayd.api.queries import EntryView
    from gatewayd.api.sizes import Reread, Sizes

__all__ = ["LedgerVerbs", "OwedVerbs"]


class LedgerVerbs(ABC):
    """Keep how far each folder was listed, and every key of it in exactly one state (promise P1)."""

    @abstractmethod
    def folder(self, account: str, folder: str) -> FolderState | None:
        """Return how far the folder was listed; None if it never was."""

    @abstractmethod
    def known(self, account: str, folder: str, keys: Collection[str]) -> Mapping[str, Known]:
        """Return the ledger's entries for those of ``keys`` that it has."""

    @abstractmethod
    def elsewhere(self, account: str, folder: str, keys: Collection[str]) -> Mapping[str, Known]:
        """Return what the account has under those of ``keys`` that it knows in other folders than this one.

        Asked only if the transport's keys span folders. If several folders have a key, the entry that says most counts: one with a
        mail, then one that waits, is not admitted, is offered, vanished; and of these the one that is not gone, or went last.
        """

    @abstractmethod
    def copies(self, account: str, spanning_ids: Collection[str]) -> Sequence[Copy]:
        """Return the account's entries with one of these ``Listed.spanning_id`` whose messages are filed, in whichever folder.

        Also those that are gone, or have given up their keys.
        """

    @abstractmethod
    def anchors(self, account: str, folder: str, *, standing: Collection[str] | None) -> Sequence[Anchor]:
        """Return the anchors by which entries whose keys are gone can be recognised under another key.

        ``standing``: the keys that the server lists now; every entry of the folder whose key is not among them counts as gone, too.
        None: only the entries that are marked gone. Only entries in a final state, with an anchor, that no later key took over.
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

        Exceptions: a key takes a size, an arrival and a spanning id that it lacks. An ``offered`` key that is entered as waiting
        becomes waiting (with ``backlog``). A key that was gone and is listed again waits again; if it was fetched before, it counts
        as new, since a server may use the key of a deleted message for another one (RFC 1939 section 7). The old entry then stays
        gone, and loses its anchor and its owed action. The same happens to the old entry if the new one has a ``contradiction``; an
        old entry that waited or was offered then becomes vanished, and its cause says why.

        ``standing``: the keys that the server lists now; every other key of the folder is marked gone, and becomes vanished if it
        waited or was offered. ``same_as``: the entry gets the state, mail and owed action of that entry, which loses its anchor and
        its owed action; if the sizes differ, nothing is owed.

        ``by_key``: the key is the message of the entry that ``elsewhere`` names, or of the folder's own entry that is gone, unless
        their arrivals differ. The mail of that entry is shown in this folder then, and the key becomes a ``duplicate`` of it, or
        keeps its state if that is its own entry. Without a mail it is not admitted, waits or is offered as that entry was; in the
        last two cases state, backlog and cause are those of ``entries``. What was owed is owed for this key alone, but for a move
        to this very folder. All other entries of the key are gone then, and vanished if they waited or were offered.

        ``doubt`` says why the whole folder must be compared; it is kept with the folder until ``prove`` clears it.
        """

    @abstractmethod
    def waiting(
        self, account: str, folder: str, *, after: int, limit: int, keys: Collection[str] | None = None
    ) -> Sequence[Waiting]:
        """Return the waiting keys that are due, with ids above ``after``, by id. With ``keys`` only those, due or not."""

    @abstractmethod
    def at_rest(self, account: str) -> bool:
        """Whether nothing of the account is due in ``waiting``, ``owed``, ``rereads``, ``with_refused`` and ``chosen_mails``.

        Nor is any offer refused or undecided.

        Asked by each visit when it has listed a folder, so it must be quick.
        """

    @abstractmethod
    def entries(self, account: str, state: State, *, after: int, limit: int) -> Sequence[EntryView]:
        """Return the account's keys in that state, with the reason, ids above ``after``, by id."""

    @abstractmethod
    def standing(self, account: str, folder: str) -> Mapping[State, int]:
        """Count the keys that the server still had when the folder was last listed, by state; vanished ones are left out."""

    @abstractmethod
    def sizes(self, account: str, folder: str) -> Sizes:
        """Count how many of the last 100 messages that were filed from the folder have the length that the server lists."""

    @abstractmethod
    def prove(self, lease: Lease, folder: str, *, checked_at: datetime | None, compared_at: datetime | None, doubt: str) -> None:
        """Commit the result of a listing that came to its end; see ``FolderState``.

        A ``checked_at`` of None keeps the stored time. ``doubt`` replaces the stored doubt; a doubt without ``compared_at`` has the
        whole folder compared at the next visit. Does nothing if the folder was never listed.
        """


class OwedVerbs(ABC):
    """Keep the actions that are owed to servers, and what must be fetched once more before anything is owed for it."""

    @abstractmethod
    def owed(self, account: str, *, after: int = 0, limit: int) -> Sequence[Owed]:
        """Return the actions that are owed for keys that are not gone, oldest first; only of entries with ids above ``after``."""

    @abstractmethod
    def settled(self, lease: Lease, entry_ids: Collection[int], *, undone: bool = False) -> None:
        """Commit that these actions are done, or with ``undone`` that they never will be: nothing is owed any more.

        The entry of a message that was moved or deleted loses its anchor: no later key of the folder can be the same message. A
        filed entry is marked gone, so that its key can become that of another message. A duplicate is not: else a server that
        ignores deletions would be asked for the same bytes at every visit.
        """

    @abstractmethod
    def missing(self, lease: Lease, entry_ids: Collection[int]) -> None:
        """Commit that these keys are gone from their folders, for a transport whose keys span folders.

        What is owed to them stays, and is not in ``owed`` until the key is listed again, in whichever folder.
        """

    @abstractmethod
    def rereads(self, account: str, folder: str, *, limit: int) -> Sequence[Reread]:
        """Return the filed messages that must be fetched once more (``Filed.reread_after``) and are not gone, soonest due first."""

    @abstractmethod
    def reread(
        self, lease: Lease, *, proven: Mapping[int, int | None], later: Mapping[int, float], undone: Collection[int]
    ) -> None:
        """Commit the results of fetching entries of ``rereads`` once more, by their ids.

        ``proven``: the same bytes came, and the size is that which the server lists now; the action becomes owed. ``later``: the
        seconds until the entry is due again, with one more try counted. ``undone``: nothing will be owed for these entries.
        Entries that are not in ``rereads`` any more, or belong to another account, stay as they are.
        """
