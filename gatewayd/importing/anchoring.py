"""Recognise known mail under new keys after a server has renumbered a folder."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.message import header_parsing
from gatewayd.message.dates import date
from gatewayd.message.mail import anchor, message_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from gatewayd.api.ledger import Anchor
    from gatewayd.api.queries import EntryView
    from gatewayd.api.session import Session
    from gatewayd.api.store import Store
    from gatewayd.api.values import Listed, Page

__all__ = ["AnchorHeaders", "RenumberedEntries", "alike", "headers_of", "same"]

#: How many entries the store is asked for at once.
_AT_ONCE = 1000
#: How many lines of a header block are read.
_LINES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorHeaders:
    """What the headers of a message that is not fetched say."""

    #: See ``mail.anchor``; empty without Message-ID or Date, because such a message may look like many others.
    mark: str = ""
    #: The Date header.
    sent_at: datetime | None = None
    #: The Message-ID; empty without one.
    message_id: str = ""

    @classmethod
    def of(cls, block: bytes) -> AnchorHeaders:
        """Read the first lines of a header block: each costs a microsecond or two, and some blocks have 200."""
        block = b"".join(block.splitlines(keepends=True)[:_LINES])
        head = header_parsing.head(block, 0, len(block))
        has = {name for name, value in head.fields if value.strip()}
        sent_at = date(head.first["date"]) if "date" in head.first else None
        mark = anchor(block) if {"message-id", "date"} <= has else ""
        return cls(mark=mark, sent_at=sent_at, message_id=message_id(head.first.get("message-id", "")))


def headers_of(session: Session, folder: str, keys: Sequence[str]) -> list[tuple[str, AnchorHeaders]]:
    """Return what the headers of messages say, by key; runs in the session's thread.

    So no more than one header block is in memory at a time, however many a server sends.
    """
    return [(key, AnchorHeaders.of(block)) for key, block in session.headers(folder, keys)]


@dataclass(slots=True, kw_only=True)
class RenumberedEntries:
    """The entries whose keys all went when the server renumbered the folder; read once in a listing."""

    store: Store
    account: str
    folder: str
    #: Whether there were such entries with an arrival.
    had_arrivals: bool = False
    _left: list[Anchor] | None = None

    def before(self, page: Page, still: int) -> Sequence[Anchor]:
        """Return the entries that fresh keys of this page may be; ``still`` keys of the page are in the ledger.

        A server that renumbers leaves hardly any key as it was. If more are left, the others were deleted, and the fresh ones are
        new mail, however similar.
        """
        if page.others_gone:
            every = self.store.anchors(self.account, self.folder, standing=[one.key for one in page.keys])
            going = [one for one in every if one.gone_at is None]
            self._begin(going if still < len(going) else [])
        elif not page.backlog:
            return ()
        elif self._left is None:
            # An earlier visit listed the first page after the renumbering, and ended before this one.
            every = self.store.anchors(self.account, self.folder, standing=None)
            newest = max((one.gone_at for one in every if one.gone_at), default=None)
            self._begin([one for one in every if one.gone_at == newest])
        return self._left or ()

    def _begin(self, going: list[Anchor]) -> None:
        self._left = going
        self.had_arrivals = any(one.arrival is not None for one in going)

    def forget(self, taken: Collection[int]) -> None:
        """Leave these entries out from now on: no other key is the same message."""
        gone = frozenset(taken)
        self._left = [one for one in self._left if one.entry_id not in gone] if self._left and gone else self._left

    def offered(self, page: Page, fresh: Sequence[Listed]) -> set[str]:
        """Return keys of a renumbered folder that were offered before; empty if the server gives arrivals.

        They were never fetched, so only their sizes are known: most of these must have come back.
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


def same(fresh: Sequence[Listed], anchors: Mapping[str, str], gone: Sequence[Anchor]) -> dict[str, int]:
    """Return for each fresh key the one gone entry that is the same message.

    They fit if Message-ID, Date, From and Subject are the same, and the arrival too, or the size if the server gives no arrival.
    A key that fits no entry or several, or an entry that several keys fit, is fetched: the digest decides then.
    """
    return {listed.key: one.entry_id for listed, one in _sized_alike(_pairs(fresh, anchors, gone))}


def alike(fresh: Sequence[Listed], anchors: Mapping[str, str], gone: Sequence[Anchor]) -> dict[str, int]:
    """Return for each fresh key the one gone entry that it fits whatever its size: it may have grown, which only its bytes show."""
    return {listed.key: one.entry_id for listed, one in _pairs(fresh, anchors, gone)}


def _pairs(fresh: Sequence[Listed], anchors: Mapping[str, str], gone: Sequence[Anchor]) -> list[tuple[Listed, Anchor]]:
    """Return the pairs of fresh key and gone entry that fit each other and no other, whatever their sizes."""
    by_anchor: dict[str, list[Anchor]] = {}
    for one in gone:
        by_anchor.setdefault(one.anchor, []).append(one)
    fits: dict[str, list[Anchor]] = {}
    for listed in fresh:
        mark = anchors.get(listed.key)
        fits[listed.key] = [
            one
            for one in (by_anchor.get(mark, ()) if mark else ())
            if one.arrival is None or listed.arrival is None or one.arrival == listed.arrival
        ]
    claims = Counter(one.entry_id for fitting in fits.values() for one in fitting)
    return [(one, fits[one.key][0]) for one in fresh if len(fits[one.key]) == 1 and claims[fits[one.key][0].entry_id] == 1]


def _sized_alike(pairs: Sequence[tuple[Listed, Anchor]]) -> Iterator[tuple[Listed, Anchor]]:
    """Yield the pairs with equal sizes, and those that grew by the same number of bytes as most others.

    Most do not grow. A server that adds a header to all mail while it renumbers makes all of it longer by the same. A single
    message whose arrival is not known proves nothing, nor does one that alone has another size: it may be another message with
    the same headers, and to fetch it costs little.
    """
    growths = [None if one.size is None or listed.size is None else listed.size - one.size for listed, one in pairs]
    told = [listed.arrival is not None and one.arrival is not None for listed, one in pairs]
    usual = {by_arrival: _usual(growths, told, by_arrival=by_arrival) for by_arrival in (True, False)}
    for pair, growth, by_arrival in zip(pairs, growths, told, strict=True):
        if (by_arrival and growth in {None, 0}) or (growth is not None and growth in usual[by_arrival]):
            yield pair


def _usual(growths: Sequence[int | None], told: Sequence[bool], *, by_arrival: bool) -> set[int | None]:
    """Return by how much most messages grew: those whose arrivals are known, or those whose arrivals are not."""
    often = Counter(growth for growth, one in zip(growths, told, strict=True) if one is by_arrival)
    return {growth for growth, times in often.items() if times > 1 and 2 * times > often.total()}
