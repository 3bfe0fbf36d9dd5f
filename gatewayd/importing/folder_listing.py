"""One folder in one visit: listed to its end, entered into the ledger page by page, and what that proves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatewayd.importing.anchoring import AnchorHeaders
from gatewayd.importing.folder_sync import FolderSync
from gatewayd.importing.meter import ListingFull

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from gatewayd.api.health import Task
    from gatewayd.api.ledger import Lease
    from gatewayd.api.session import Session
    from gatewayd.api.store import Store
    from gatewayd.api.values import Listed, Page
    from gatewayd.config import ImportConfig
    from gatewayd.importing.folder_sync import PageEntry
    from gatewayd.importing.proof import Proof

__all__ = ["FolderListing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderListing:
    """Lists one folder."""

    store: Store
    lease: Lease
    folder: str
    imports: ImportConfig
    task: Task
    session: Session
    #: Does one step of the session, in its thread.
    in_thread: Callable[..., Any]
    #: Told the messages that stand first in the folder, before anything is entered; raises where they may not be listed.
    first: Callable[[Sequence[Listed]], None]
    #: Told how many keys were new, after each commit; raises where the visit may not go on.
    entered: Callable[[int], None]
    problem: Callable[[str], None]
    note: Callable[[str], None]

    def run(self) -> Proof | None:
        """List it; return what that proves, None where no more of it is listed in this visit."""
        try:
            return self._listed()
        except ListingFull as full:
            self.note(f"{self.folder}: {full}")
            return None

    def _listed(self) -> Proof:
        lister = FolderSync(
            store=self.store,
            account=self.lease.account,
            folder=self.folder,
            start=self.imports.start,
            pages=self._pages,
            # In that thread: no more than one block is in memory at a time, however many a server sends.
            heads=lambda keys: self.in_thread(
                lambda: [(key, AnchorHeaders.of(block)) for key, block in self.session.headers(self.folder, keys)]
            ),
        )
        self._enter(lister.new(self.task.keys))
        lister.proof.end()
        asked = self.task.from_beginning or self.task.compare
        if lister.unsure() or asked:
            missed = self._enter(lister.again(take_offered=self.task.from_beginning))
            lister.proof.end()
            if missed and self.task.compare:
                self.note(f"{self.folder}: the full listing had {missed} keys that the ledger lacked; they are taken now")
        self._tell(lister)
        return lister.proof

    def _tell(self, lister: FolderSync) -> None:
        proof = lister.proof
        if (times := proof.times()) is not None:
            self.store.prove(self.lease, self.folder, checked_at=times[0], compared_at=times[1], doubt=proof.left)
        for text in proof.problems():
            left = "; nothing is done to mail there in this visit" if self.imports.after else ""
            self.problem(f"{self.folder}: {text}{left}")
        for text in proof.notes():
            self.note(f"{self.folder}: {text}")

    def _enter(self, pages: Iterable[PageEntry]) -> int:
        listed = 0
        for page in pages:
            new = self.store.enter(
                self.lease,
                self.folder,
                page.entries,
                cursor=page.cursor,
                start_at=page.start_at,
                standing=page.standing,
                doubt=page.doubt,
            )
            listed += new
            self.entered(new)
        return listed

    def _pages(self, cursor: str | None) -> Iterator[Page]:
        pages = self.in_thread(lambda: self.session.listing(self.folder, cursor))
        begins = cursor is None
        while (page := self.in_thread(next, pages, None)) is not None:
            if begins:
                self.first(page.keys)
            begins = False
            yield page
