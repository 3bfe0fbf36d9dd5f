"""Decide whether a visit's listings of a folder prove that it was listed whole, or contradict each other or the ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from gatewayd.api.ledger import Anchor, FolderState, Known
    from gatewayd.api.values import Listed, Page

__all__ = ["Proof", "begun", "looked_ahead"]

#: How old the stored time of the last proven check may get before it is stored anew.
_FRESH = timedelta(minutes=5)


class Proof:
    """Collects what the listings of one folder show, page by page."""

    def __init__(self, state: FolderState | None, *, spans: bool = False) -> None:
        """``spans``: keys span folders, so that no key is ever that of another message."""
        self._state = state
        self._spans = spans
        #: When the last proven check was.
        self._checked_at = state.checked_at if state else None
        self._began = datetime.now(UTC)
        #: The current listing covers the whole folder.
        self.whole = False
        #: How many messages the server counts, by its last answer.
        self.exists: int | None = None
        #: The doubts of the current listing.
        self.doubts: list[str] = []
        #: Keys that name other messages now, each with the difference, and how many owed actions are left undone for that.
        self.contradicted: list[str] = []
        self.undone = 0
        #: Keys that count as backlog, though the folder was listed before.
        self.backlog: list[str] = []
        #: There was a doubt at any time in this visit.
        self._doubted = bool(state and state.doubt)
        self._compared = False
        self._seen: set[str] = set()
        self._kept = False
        self._stood = False

    # --- while it is listed -----------------------------------------------------------------------------------------

    def begin(self, *, whole: bool) -> None:
        """Begin a listing: it has to clear up what was in doubt before."""
        self.whole = whole
        self._compared = self._compared or whole
        self.exists = None
        self.doubts = []
        self._seen = set()

    def doubt(self, text: str) -> None:
        """Note something that contradicts the ledger or the server's other answers."""
        self._doubted = True
        if text not in self.doubts:
            self.doubts.append(text)

    def seen(self, page: Page, *, alone: bool) -> Page:
        """Take in a page and return it. ``alone``: it is a whole listing that lacks messages, so no other key counts as gone."""
        names = Counter(one.key for one in page.keys)
        for key, times in names.items():
            if times > 1:
                self.doubt(f"{times} messages are listed under the one key {key}, and only one of them can be had")
        for text in page.doubts:
            self.doubt(text)
        self.exists = page.exists if page.exists is not None else self.exists
        self._seen |= names.keys()
        self.whole = self.whole or page.others_gone
        self._compared = self._compared or page.others_gone
        return replace(page, others_gone=False) if alone else page

    def anchored(self, pairs: Sequence[tuple[Listed, Anchor]], *, had_arrivals: bool, resumed: Callable[[], bool]) -> None:
        """Take in which keys of a renumbered folder are known mail, as (listed, entry).

        ``had_arrivals``: entries that went had an arrival. ``resumed`` says whether an earlier visit recognised some already.
        """
        self.undone += sum(one.owes and one.size != listed.size for listed, one in pairs)
        if had_arrivals:
            self._stood = True
            self._kept = self._kept or any(one.arrival is not None for _, one in pairs) or resumed()

    def fits(self, one: Listed, was: Known) -> None:
        """Take in a key whose size and arrival are as the ledger has them."""
        self._stood = True
        self._kept = self._kept or (one.arrival is not None and was.listed.arrival is not None)

    def contradicts(self, one: Listed, was: Known, differs: str) -> None:
        """Take in a key that names another message now."""
        self._stood = True
        self.contradicted.append(f"{one.key} ({differs})")
        self.undone += was.owes

    def is_late(self, one: Listed) -> bool:
        """Whether a message arrived after the last proven check."""
        return self._checked_at is not None and one.arrival is not None and one.arrival > self._checked_at

    def is_new(self, one: Listed, sent_at: datetime | None) -> bool:
        """Whether a message of a folder that was renumbered or restored is surely new.

        It arrived after the last proven check, was written after it, too, and what was there before has kept its arrivals. Where
        keys span folders, what was there before is known by its key, so that the arrival alone tells.
        """
        if self._spans:
            return self.is_late(one)
        written_late = sent_at is not None and self._checked_at is not None and sent_at > self._checked_at
        return self.is_late(one) and written_late and (self._kept or not self._stood)

    # --- when it is listed ------------------------------------------------------------------------------------------

    @property
    def contradiction(self) -> str:
        """The doubt that the ledger keeps until the whole folder has been compared; empty if nothing is contradicted."""
        return f"keys name other messages than before, such as {self.contradicted[0]}" if self.contradicted else ""

    def standing(self) -> frozenset[str] | None:
        """Return all keys of a whole listing that is sound; None if the other keys may still be there."""
        sound = self.exists is not None and len(self._seen) >= self.exists and not self.doubts
        return frozenset(self._seen) if sound else None

    def end(self) -> None:
        """End a listing: a whole one must have as many messages as the server counts."""
        if self.whole and self.exists is not None and len(self._seen) < self.exists:
            self.doubt(f"the server counts {self.exists} messages and lists {len(self._seen)}")

    @property
    def sound(self) -> bool:
        """Whether nothing was in doubt or contradicted in this visit: only then is anything settled."""
        return not (self._doubted or self.contradicted)

    @property
    def left(self) -> str:
        """The doubt that is left: the one from before, unless the whole folder was compared since, or else the new ones."""
        before = self._state.doubt if self._state and not self._compared else ""
        return before or "; ".join(self.doubts)

    def times(self) -> tuple[datetime | None, datetime | None] | None:
        """Return the times to store, as (last proven check, last comparison of the whole folder); None if that can wait."""
        if self.left and not self._compared:
            # The doubt is stored already, and the time of the last comparison decides how soon the next one comes.
            return None
        checked_at = None if self.left else self._began
        compared_at = self._began if self._compared else None
        stale = self._checked_at is None or self._began - self._checked_at > _FRESH
        doubtful = self._doubted or bool(self.contradicted)
        return (checked_at, compared_at) if stale or doubtful else None

    def problems(self) -> list[str]:
        """Return the problems that a person must know, one line each."""
        found = [self.left] if self.left else []
        if self.contradicted:
            number, such = len(self.contradicted), ", ".join(self.contradicted[:3])
            found.append(f"{number} keys name other messages than before, such as {such}: these are fetched as mail of their own")
        return found

    def notes(self) -> list[str]:
        """Return what a person should know, though it stops nothing."""
        found = []
        if self.undone:
            found.append(f"{self.undone} owed actions are left undone, because their messages are no longer what was filed")
        if self.backlog:
            such = ", ".join(self.backlog[:3])
            found.append(
                f"{len(self.backlog)} messages, such as {such}, are backlog: nothing proves that they came after the last check. "
                "Forward rules do not fire for them"
            )
        return found


def begun(pages: Iterator[Page]) -> tuple[Page | None, Iterator[Page]]:
    """Return the first page, and those behind it."""
    return next(pages, None), pages


def looked_ahead(pages: Iterable[Page]) -> Iterator[tuple[Page, bool]]:
    """Yield each page, and whether it is alone: it claims to be the whole folder, lacks messages, and no page follows it."""
    rest = iter(pages)
    for page in rest:
        if not (page.others_gone and page.exists is not None and len(page.keys) < page.exists):
            yield page, False
            continue
        try:
            following = next(rest, None)
        except BaseException:
            yield page, False
            raise
        yield page, following is None
        if following is not None:
            yield following, False
