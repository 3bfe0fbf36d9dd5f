"""What a folder's listing means for the ledger: which keys are new, which are known mail under new keys, which wait.

It reads the store and writes nothing: each ``Entering`` that it yields is one transaction of ``Store.enter``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from gatewayd import header
from gatewayd.custody import Entry
from gatewayd.mail import anchor
from gatewayd.model import Listed, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from gatewayd.config import AccountConfig
    from gatewayd.custody import Anchor, FolderState
    from gatewayd.session import Session
    from gatewayd.store import Store
    from gatewayd.views import EntryView

__all__ = ["Entering", "Lister", "checked", "preview", "same"]

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

    def new(self, keys: Collection[str]) -> Iterator[Entering]:
        """Yield the pages that are new since the last visit; offered ones of ``keys`` are taken.

        It goes on from the cursor, because only so a renumbered folder is noticed.
        """
        state = self.store.folder(self.account, self.folder)
        start_at = state.start_at if state else self._start_at()
        if state and keys:
            yield self._taken(state, keys)
        gone = _Gone(store=self.store, account=self.account, folder=self.folder)
        for page in self.pages(state.cursor if state else None):
            yield self._enter(page, start_at, first=state is None, take=keys, gone=gone if state else None)

    def again(self, *, take_offered: bool) -> Iterator[Entering]:
        """Yield the whole folder anew, once ``new`` has come to its end."""
        state = self.store.folder(self.account, self.folder)
        for page in self.pages(None):
            start_at = state.start_at if state else None
            yield self._enter(page, start_at, first=False, take=None if take_offered else (), gone=None)

    def _start_at(self) -> datetime | None:
        if isinstance(self.start, datetime):
            return self.start
        return datetime.now(UTC) if self.start == "now" else None

    def _taken(self, state: FolderState, keys: Collection[str]) -> Entering:
        """Let the offered ones of ``keys`` wait, wherever the cursor stands."""
        known = self.store.known(self.account, self.folder, keys)
        entries = [Entry(listed=Listed(key), backlog=True) for key, was in known.items() if was == "offered"]
        return Entering(entries=entries, cursor=state.cursor, start_at=state.start_at, standing=None)

    def _enter(
        self, page: Page, start_at: datetime | None, *, first: bool, take: Collection[str] | None, gone: _Gone | None
    ) -> Entering:
        """``take`` names offered keys that are taken now; None takes all of the page. ``gone`` None knows nothing again."""
        standing = frozenset(one.key for one in page.keys) if page.others_gone else None
        known = self.store.known(self.account, self.folder, [one.key for one in page.keys])
        fresh = [one for one in page.keys if one.key not in known]
        old = self._same(fresh, gone.before(page, len(known))) if gone and fresh else {}
        again = gone.offered(page, [one for one in fresh if one.key not in old]) if gone and start_at and not known else set()
        if gone:
            gone.forget(old.values())
        # A whole folder under new numbers is backlog, also where the transport can't tell.
        backlog = page.backlog or bool(page.others_gone and (old or again))
        entries = []
        for one in page.keys:
            taken = take is None or one.key in take
            if one.key not in known:
                before = one.key in again or (backlog and self._is_before(one, start_at, first=first))
                offered = before and not taken
                entries.append(
                    Entry(
                        listed=one,
                        state="offered" if offered else "waiting",
                        backlog=backlog,
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

    def _same(self, fresh: Sequence[Listed], gone: Sequence[Anchor]) -> dict[str, int]:
        """Return the entries, gone under their old keys, that fresh keys are the same message as."""
        if not gone:
            return {}
        keys = [one.key for one in fresh]
        headers = dict(one for start in range(0, len(keys), _AT_ONCE) for one in self.headers(keys[start : start + _AT_ONCE]))
        return same(fresh, {key: _mark(block) for key, block in headers.items()}, gone)


@dataclass(slots=True, kw_only=True)
class _Gone:
    """The entries that went at once when the server renumbered the folder; asked for once in a listing."""

    store: Store
    account: str
    folder: str
    _left: list[Anchor] | None = None

    def before(self, page: Page, still: int) -> Sequence[Anchor]:
        """Return what keys of this page may be the same message as; ``still`` keys of it are known to the ledger.

        A server that renumbers leaves hardly any key as it was. Where more stand, what is gone was taken out, and what is
        fresh is mail of its own, however alike it looks.
        """
        if page.others_gone:
            every = self.store.anchors(self.account, self.folder, standing=[one.key for one in page.keys])
            going = [one for one in every if one.gone_at is None]
            self._left = going if still < len(going) else []
        elif not page.backlog:
            return ()
        elif self._left is None:
            # The visit that listed the first page after the renumbering did not get here.
            every = self.store.anchors(self.account, self.folder, standing=None)
            newest = max((one.gone_at for one in every if one.gone_at), default=None)
            self._left = [one for one in every if one.gone_at == newest]
        return self._left

    def forget(self, taken: Collection[int]) -> None:
        """Let nobody else be the same as these entries."""
        gone = frozenset(taken)
        self._left = [one for one in self._left if one.entry_id not in gone] if self._left and gone else self._left

    def offered(self, page: Page, fresh: Sequence[Listed]) -> set[str]:
        """Return keys of a wholly renumbered folder that were offered before; none where the server tells arrivals.

        They were never fetched, so only their sizes are known: most of them must have come back.
        """
        if not page.others_gone or not any(one.arrival is None for one in fresh):
            return set()
        sizes = Counter(one.size for one in self._offered() if one.folder == self.folder and not one.gone)
        count, found = sizes.total(), set[str]()
        for one in fresh:
            if one.arrival is None and one.size is not None and sizes[one.size]:
                sizes[one.size] -= 1
                found.add(one.key)
        return found if 2 * len(found) > count else set()

    def _offered(self) -> Iterator[EntryView]:
        after = 0
        while some := self.store.entries(self.account, "offered", after=after, limit=_AT_ONCE):
            yield from some
            after = some[-1].id


def _mark(block: bytes) -> str:
    """Return the anchor of a header block; empty where it has no Message-ID or no Date, and so may be like many others."""
    has = {name for name, value in header.head(block, 0, len(block)).fields if value.strip()}
    return anchor(block) if {"message-id", "date"} <= has else ""


def checked(pages: Iterable[Page]) -> Iterator[Page]:
    """Yield a session's pages. Raises TypeError for what is none."""
    for page in pages:
        if not isinstance(page, Page) or not all(isinstance(one, Listed) for one in page.keys):
            raise TypeError(f"its listing yielded {type(page).__name__}, expected a Page of Listed")
        yield page


def preview(account: AccountConfig, session: Session, store: Store) -> Iterator[tuple[str, Listed]]:
    """Yield folder and key of what a visit would list as new. Writes nothing, here or on the server."""
    for folder in account.imports.folders if account.imports else ():
        state = store.folder(account.name, folder)
        for page in session.listing(folder, state.cursor if state else None):
            known = store.known(account.name, folder, [one.key for one in page.keys])
            yield from ((folder, one) for one in page.keys if one.key not in known)


def same(fresh: Sequence[Listed], anchors: Mapping[str, str], gone: Sequence[Anchor]) -> dict[str, int]:
    """Return for each fresh key the one gone entry that it is the same message as (design section 4, renumbering).

    They fit if Message-ID, Date, From and Subject are the same, and the arrival too; where the server does not tell it, the
    sizes. A key that fits none or several, and an entry that several keys fit, is left to be fetched: the digest decides then.
    """
    by_anchor: dict[str, list[Anchor]] = {}
    for one in gone:
        by_anchor.setdefault(one.anchor, []).append(one)
    fits: dict[str, list[Anchor]] = {}
    for listed in fresh:
        mark = anchors.get(listed.key)
        fits[listed.key] = [one for one in by_anchor.get(mark, ()) if _arrived_alike(one, listed)] if mark else []
    claims = Counter(one.entry_id for fitting in fits.values() for one in fitting)
    pairs = [(one, fits[one.key][0]) for one in fresh if len(fits[one.key]) == 1 and claims[fits[one.key][0].entry_id] == 1]
    return {listed.key: one.entry_id for listed, one in _sized_alike(pairs)}


def _arrived_alike(one: Anchor, listed: Listed) -> bool:
    return one.arrival is None or listed.arrival is None or one.arrival == listed.arrival


def _sized_alike(pairs: Sequence[tuple[Listed, Anchor]]) -> Iterator[tuple[Listed, Anchor]]:
    """Yield the pairs with equal arrivals or, where one is not known, those of several that grew by the same.

    Most grow by nothing; a server that adds a header to all mail while it renumbers makes all of it longer by the same. A
    single message proves nothing: it may be another with the same headers, and to fetch it costs little.
    """
    growths = [None if one.size is None or listed.size is None else listed.size - one.size for listed, one in pairs]
    told = [listed.arrival is not None and one.arrival is not None for listed, one in pairs]
    often = Counter(growth for growth, by_arrival in zip(growths, told, strict=True) if not by_arrival)
    usual = {growth for growth, times in often.items() if times > 1 and 2 * times > often.total()}
    for pair, growth, by_arrival in zip(pairs, growths, told, strict=True):
        if by_arrival or (growth is not None and growth in usual):
            yield pair
