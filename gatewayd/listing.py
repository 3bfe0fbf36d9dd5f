"""What a folder's listing means for the ledger: which keys are new, which are known mail under new keys, which wait.

It reads the store and writes nothing: each ``Entering`` that it yields is one transaction of ``Store.enter``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from gatewayd.custody import Entry
from gatewayd.mail import anchor
from gatewayd.model import Listed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from gatewayd.config import AccountConfig
    from gatewayd.custody import Anchor, FolderState
    from gatewayd.model import Page
    from gatewayd.roles import Session
    from gatewayd.store import Store

__all__ = ["Entering", "Lister", "preview", "same"]

#: How many headers a session is asked for at once.
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entering:
    """One page as it goes into the ledger."""

    entries: Sequence[Entry]
    cursor: str
    start_at: datetime | None
    standing: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lister:
    """Lists one folder of an account."""

    store: Store
    account: str
    folder: str
    #: What the first listing takes.
    start: datetime | Literal["all", "now"]
    #: Asks the session for pages behind a cursor, and for headers.
    pages: Callable[[str | None], Iterable[Page]]
    headers: Callable[[Sequence[str]], Iterable[tuple[str, bytes]]]

    def entering(self, *, from_beginning: bool, keys: Collection[str] | None) -> Iterator[Entering]:
        """Yield the pages that are new since the last visit; then, from the beginning, the whole folder.

        The first pass always goes on from the cursor, because only that one notices a renumbered folder.
        """
        state = self.store.folder(self.account, self.folder)
        start_at = state.start_at if state else self._start_at()
        if state and keys:
            yield self._taken(state, keys)
        for page in self.pages(state.cursor if state else None):
            yield self._enter(page, start_at, first=state is None, take=keys or ())
        if from_beginning:
            for page in self.pages(None):
                yield self._enter(page, start_at, first=False, take=None)

    def _start_at(self) -> datetime | None:
        if isinstance(self.start, datetime):
            return self.start
        return datetime.now(UTC) if self.start == "now" else None

    def _taken(self, state: FolderState, keys: Collection[str]) -> Entering:
        """Let the offered ones of ``keys`` wait, wherever the cursor stands."""
        known = self.store.known(self.account, self.folder, keys)
        entries = [Entry(listed=Listed(key), backlog=True) for key, was in known.items() if was == "offered"]
        return Entering(entries=entries, cursor=state.cursor, start_at=state.start_at, standing=None)

    def _enter(self, page: Page, start_at: datetime | None, *, first: bool, take: Collection[str] | None) -> Entering:
        """``take`` names offered keys that are taken now; None takes all of the page."""
        standing = frozenset(one.key for one in page.keys) if page.others_gone else None
        known = self.store.known(self.account, self.folder, [one.key for one in page.keys])
        fresh = [one for one in page.keys if one.key not in known]
        old = {} if first else self._same(page, fresh, standing)
        entries = []
        for one in page.keys:
            taken = take is None or one.key in take
            if one.key not in known:
                offered = page.backlog and not taken and self._is_before(one, start_at, first=first)
                entries.append(
                    Entry(
                        listed=one,
                        state="offered" if offered else "waiting",
                        backlog=page.backlog,
                        cause=f"there before the start ({self.start})" if offered else "",
                        same_as=old.get(one.key),
                    )
                )
            elif known[one.key] == "vanished" or (taken and known[one.key] == "offered"):
                entries.append(Entry(listed=one, backlog=True))
        return Entering(entries=entries, cursor=page.cursor, start_at=start_at, standing=standing)

    def _is_before(self, one: Listed, start_at: datetime | None, *, first: bool) -> bool:
        """Whether backlog was there before the account's start. Without an arrival only the first listing can tell."""
        if start_at is None:
            return False
        if self.start == "now" and first:
            return True
        return one.arrival is not None and one.arrival < start_at

    def _same(self, page: Page, fresh: Sequence[Listed], standing: frozenset[str] | None) -> dict[str, int]:
        """Return the entries, gone under their old keys, that fresh keys are the same message as."""
        if not fresh or not (page.backlog or page.others_gone):
            return {}
        gone = self.store.anchors(self.account, self.folder, standing=standing)
        if not gone:
            return {}
        keys = [one.key for one in fresh]
        headers = dict(one for start in range(0, len(keys), _AT_ONCE) for one in self.headers(keys[start : start + _AT_ONCE]))
        return same(fresh, {key: anchor(block) for key, block in headers.items()}, gone)


def preview(account: AccountConfig, session: Session, store: Store) -> Iterator[tuple[str, Listed]]:
    """Yield folder and key of what a visit would list as new. Writes nothing, here or on the server."""
    for folder in account.imports.folders if account.imports else ():
        state = store.folder(account.name, folder)
        for page in session.listing(folder, state.cursor if state else None):
            known = store.known(account.name, folder, [one.key for one in page.keys])
            yield from ((folder, one) for one in page.keys if one.key not in known)


def same(fresh: Sequence[Listed], anchors: Mapping[str, str], gone: Sequence[Anchor]) -> dict[str, int]:
    """Return for each fresh key the one gone entry that it is the same message as (design section 4, renumbering).

    They fit if Message-ID, Date, From and Subject are the same, and the arrival too where the server tells it. A key that
    fits none or several, and an entry that several keys fit, is left to be fetched: the digest decides then.
    """
    by_anchor: dict[str, list[Anchor]] = {}
    for one in gone:
        by_anchor.setdefault(one.anchor, []).append(one)
    fits: dict[str, list[int]] = {}
    for listed in fresh:
        mark = anchors.get(listed.key)
        fits[listed.key] = [one.entry_id for one in by_anchor.get(mark, ()) if _arrived_alike(one, listed)] if mark else []
    claims = Counter(entry_id for fitting in fits.values() for entry_id in fitting)
    return {key: fitting[0] for key, fitting in fits.items() if len(fitting) == 1 and claims[fitting[0]] == 1}


def _arrived_alike(one: Anchor, listed: Listed) -> bool:
    return one.arrival is None or listed.arrival is None or one.arrival == listed.arrival
