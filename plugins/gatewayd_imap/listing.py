"""List a folder: new messages behind a cursor, and the last messages before it once more.

A message is its key and its size and arrival. So the last that were listed are listed again: where they are others by now,
the folder was restored from a backup. And no answer is believed alone: what SEARCH names is held against EXISTS and FETCH.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatewayd import Page, PermanentError, TransientError
from gatewayd_imap.folder_names import in_quotes
from gatewayd_imap.uids import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd import Listed
    from gatewayd_imap.reading import FolderReader, OpenedFolder

__all__ = ["ListingStart", "pages"]

_PAGE = 1_000
#: How many messages before the cursor are listed again, and among how many UIDs they are looked for.
_AGAIN, _AMONG = 50, 500


@dataclass(slots=True)
class ListingStart:
    """What a listing found when it began, and the highest UID that it listed."""

    opened: OpenedFolder
    highest: int


def pages(reading: FolderReader, folder: str, cursor: str | None, found: dict[str, ListingStart]) -> Iterator[Page]:
    """Yield the pages of a listing (see ``Session``), at least one; ``found`` is told what it finds."""
    reading.client.spare.visit()
    opened = reading.open(folder)
    before = Cursor.parse(cursor)
    if before and before.uidvalidity != opened.uidvalidity:
        opened = _kept(reading, opened)
    known = before if before and before.uidvalidity == opened.uidvalidity else None
    listing = _Listing(reading, opened, known)
    listing.begin()
    found[folder] = ListingStart(listing.opened, max(listing.uids, default=known.last if known else 0))
    others_gone = before is not None and known is None
    for page in listing.pages():
        yield replace(page, others_gone=others_gone)
        found[folder].highest = max(found[folder].highest, listing.position.last)
        others_gone = False


def _kept(reading: FolderReader, opened: OpenedFolder) -> OpenedFolder:
    """Return a renumbered folder as it is after it was opened for writing: some servers keep only then the numbers that they give.

    Courier does, and numbers a folder anew each time that it is opened until then.
    """
    try:
        reading.open(opened.folder, writable=True)
    except PermanentError:
        # It can only be read.
        return opened
    return reading.open(opened.folder)


class _Listing:
    def __init__(self, reading: FolderReader, opened: OpenedFolder, known: Cursor | None) -> None:
        self._reading = reading
        self.opened = opened
        self._known = known
        self._last = known.last if known else 0
        self._first = max(1, self._last - _AMONG + 1)
        #: What there is from ``_first`` on, as far as it is to be listed.
        self.uids: list[int] = []
        self._doubts: list[str] = []
        #: Asked for by number already: what SEARCH and FETCH say has been held against EXISTS.
        self._checked = False
        self.position = known or Cursor(uidvalidity=opened.uidvalidity, last=0, backlog_until=0)

    def begin(self) -> None:
        """Find out what there is."""
        if self._known and self.opened.uidnext is not None and self.opened.uidnext <= self._last:
            self._doubts.append(f"UIDNEXT is {self.opened.uidnext}, though message {self._last} was listed before")
        self._reading.bounded(self.opened, self.opened.exists or 0)
        if self.opened.exists != 0:
            found, sound = self._reading.behind(self.opened, self._first)
            if not sound:
                # Perhaps mail came or went between two answers.
                self._anew()
                found, sound = self._reading.behind(self.opened, self._first) if self.opened.exists != 0 else ([], True)
            self._take(found if sound else self._by_number(found))
            self._reading.bounded(self.opened, len(self.uids))
        if not self._known:
            there = self.opened.uidnext - 1 if self.opened.uidnext else max(self.uids, default=0)
            self.position = replace(self.position, backlog_until=there)

    def pages(self) -> Iterator[Page]:
        """Yield what was found, with sizes and arrivals."""
        at = 0
        yielded = False
        while at < len(self.uids):
            until = self.position.backlog_until
            backlog = self.uids[at] <= until
            chunk = [uid for uid in self.uids[at : at + _PAGE] if (uid <= until) == backlog]
            keys, sound = self._reading.sizes(self.opened, chunk)
            if not sound and not self._checked:
                self._take(self._by_number(self.uids), at_least=chunk[0])
                at = 0
                continue
            at += len(chunk)
            self.position = replace(self.position, last=max(self.position.last, chunk[-1]))
            yield self._page(keys, backlog=backlog)
            yielded = True
        if not yielded:
            yield self._page((), backlog=not self._known)

    def _page(self, keys: tuple[Listed, ...], *, backlog: bool) -> Page:
        return Page(keys=keys, cursor=str(self.position), backlog=backlog, exists=self.opened.exists, doubts=tuple(self._doubts))

    def _take(self, uids: list[int], *, at_least: int = 1) -> None:
        again = [uid for uid in uids if uid <= self._last][-_AGAIN:]
        self.uids = [uid for uid in (*again, *(uid for uid in uids if uid > self._last)) if uid >= at_least]

    def _anew(self) -> None:
        opened = self._reading.open(self.opened.folder)
        if opened.uidvalidity != self.opened.uidvalidity:
            raise TransientError(f"{self._reading.options.where}: folder {in_quotes(opened.folder)} was renumbered meanwhile")
        self._reading.bounded(opened, opened.exists or 0)
        self.opened = opened

    def _by_number(self, named: list[int]) -> list[int]:
        """Return what there is as FETCH says by number; where that is not all either, with what was ``named``, and in doubt."""
        self._checked = True
        self._anew()
        found = self._reading.by_number(self.opened, 1)
        if self.opened.exists != len(found):
            self._doubts.append(f"the server counts {self.opened.exists} messages and lists {len(found)}")
            found = sorted({*found, *named})
        return [uid for uid in found if uid >= self._first]
