"""Decide what a folder's listing means for the ledger: which keys are new, which are known mail under new keys, which wait.

A message is its key *and* its size and arrival: a key that is listed with another size or arrival than the ledger has is another
message. This module reads the store and writes nothing: each ``PageEntry`` that it yields is one transaction of ``Store.enter``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from gatewayd.api.evidence import difference, lacks
from gatewayd.api.ledger import Entry
from gatewayd.api.timestamps import minute
from gatewayd.api.values import Listed, Page
from gatewayd.importing.anchoring import RenumberedEntries, alike, headers_of, same
from gatewayd.importing.mailboxes import distinct
from gatewayd.importing.proof import Proof, begun, looked_ahead
from gatewayd.importing.spanning import FETCHED, by_key, elsewhere

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from gatewayd.api.ledger import Known
    from gatewayd.api.session import Session
    from gatewayd.api.store import Store
    from gatewayd.config import AccountConfig
    from gatewayd.importing.anchoring import AnchorHeaders
    from gatewayd.importing.context import VisitContext

__all__ = ["FolderSync", "PageEntry", "preview"]

#: How long a whole listing is not repeated for a doubt that it did not clear up.
_AGAIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageEntry:
    """One page as it goes into the ledger."""

    entries: Sequence[Entry]
    cursor: str
    start_at: datetime | None
    standing: frozenset[str] | None
    #: Why the whole folder must be compared if this listing does not come to its end.
    doubt: str = ""


class FolderSync:
    """Lists one folder of an account, in one visit."""

    def __init__(self, context: VisitContext, folder: str) -> None:
        self._context = context
        self._store = context.store
        self._account = context.account.name
        self._folder = folder
        self._start = context.imports.start
        self._state = self._store.folder(self._account, folder)
        self._first = self._state is None
        #: The folder's first listing has not come to its end.
        self._unchecked = self._state is None or self._state.checked_at is None
        self._spans = context.spans
        #: People choose what is taken.
        self._is_chosen = context.imports.take == "chosen"
        self.proof = Proof(self._state, spans=context.spans)

    def new(self) -> Iterator[PageEntry]:
        """Yield the pages that are new since the last visit. Offered keys that the task names wait from now on.

        It goes on from the cursor, because only so does a renumbered folder show.
        """
        state, keys = self._state, () if self._is_chosen or self._context.task.chosen else self._context.task.keys
        start_at = self._start if isinstance(self._start, datetime) else datetime.now(UTC) if self._start == "now" else None
        if state:
            start_at = state.start_at
        if state and keys:
            # Wherever the cursor stands.
            known = self._store.known(self._account, self._folder, keys)
            offered = [Entry(listed=Listed(key), backlog=True) for key, was in known.items() if was.state == "offered"]
            yield PageEntry(entries=offered, cursor=state.cursor, start_at=start_at, standing=None)
        past = RenumberedEntries(store=self._store, account=self._account, folder=self._folder)
        self.proof.begin(whole=state is None)
        for page, alone in looked_ahead(self._pages(state.cursor if state else None)):
            seen = self.proof.seen(page, alone=alone)
            yield from self._entering(seen, start_at, take=keys, past=None if self._first else past)
        self.proof.end()

    def unsure(self) -> bool:
        """Whether the whole folder must be compared at once, because something contradicts the ledger."""
        if self.proof.contradicted and not self.proof.whole:
            return True
        if not self.proof.whole and (exists := self.proof.exists) is not None:
            known = sum(self._store.standing(self._account, self._folder).values())
            if exists > known:
                self.proof.doubt(f"the server counts {exists} messages, and only {known} were ever listed")
        if not (self.proof.doubts or (self._state and self._state.doubt)):
            return False
        stood = self._state is not None and self._state.doubt and self._state.compared_at
        return not (stood and datetime.now(UTC) - stood < _AGAIN)

    def again(self) -> Iterator[PageEntry]:
        """Yield the whole folder anew, once ``new`` has come to its end. If the listing is sound, keys that it lacks are gone."""
        take = None if self._context.task.from_beginning and not self._is_chosen else ()
        state = self._store.folder(self._account, self._folder)
        start_at = state.start_at if state else None
        self.proof.begin(whole=True)
        for page, alone in looked_ahead(self._pages(state.cursor if state else None, whole=True)):
            seen = self.proof.seen(page, alone=alone)
            yield from self._entering(seen, start_at, take=take, past=None)
        self.proof.end()
        if (standing := self.proof.standing()) is not None and (now := self._store.folder(self._account, self._folder)):
            yield PageEntry(entries=(), cursor=now.cursor, start_at=start_at, standing=standing)

    def _pages(self, cursor: str | None, *, whole: bool = False) -> Iterator[Page]:
        """Yield the pages behind the cursor, or of the ``whole`` folder, as the server lists them."""
        call = self._context.sessions.call
        page, pages = call(lambda session: begun((session.compare if whole else session.listing)(self._folder, cursor)))
        if cursor is None and page is not None:
            distinct(self._context.account, self._store, self._folder, page.keys, spans=self._spans)
        while page is not None:
            yield page
            page = call(lambda _: next(pages, None))

    def _entering(
        self, page: Page, start_at: datetime | None, *, take: Collection[str] | None, past: RenumberedEntries | None
    ) -> Iterator[PageEntry]:
        """Yield the page, unless nothing in it is new.

        ``take`` has offered keys that wait from now on; None takes all of the page. Without ``past`` no key is known mail.
        """
        standing = frozenset(one.key for one in page.keys) if page.others_gone else None
        known = self._store.known(self._account, self._folder, [one.key for one in page.keys])
        listed = self._one_each(page, known)
        there = elsewhere(self._store, self._account, self._folder, listed=listed, known=known) if self._spans else {}
        fresh = [one for one in listed if one.key not in known and one.key not in there]
        gone = past.before(page, len(known)) if past and fresh else ()
        heads = self._heads(listed, known, fresh if gone else ())
        marks = {key: head.mark for key, head in heads.items()}
        old, like = (same(fresh, marks, gone), alike(fresh, marks, gone)) if gone else ({}, {})
        again = past.offered(page, [one for one in fresh if one.key not in old]) if past and start_at and not known else set()
        if past:
            past.forget(old.values())
            ids = {one.entry_id: one for one in gone}
            pairs = [(one, ids[old[one.key]]) for one in fresh if one.key in old]
            self.proof.anchored(pairs, had_arrivals=past.had_arrivals, resumed=lambda: self._anchored_before(page))
        # A whole folder under new numbers is backlog, also where the transport can't tell.
        backlog = page.backlog or bool(page.others_gone and (old or again))
        reading = _Reading(
            known=known, start_at=start_at, take=take, backlog=backlog, same=old, like=like, again=again, elsewhere=there
        )
        entries = [entry for one in listed if (entry := self._entry(one, reading, heads)) is not None]
        doubt = self.proof.contradiction if any(entry.contradiction for entry in entries) else ""
        if entries or standing is not None or self._state is None or page.cursor != self._state.cursor:
            yield PageEntry(entries=entries, cursor=page.cursor, start_at=start_at, standing=standing, doubt=doubt)

    def _one_each(self, page: Page, known: Mapping[str, Known]) -> list[Listed]:
        """Return one message for each key of the page: if several have one key, the one that is as the ledger has it."""
        found: dict[str, Listed] = {}
        for one in page.keys:
            was = known.get(one.key)
            if one.key not in found or (was and difference(was.listed, found[one.key])):
                found[one.key] = one
        return list(found.values())

    def _anchored_before(self, page: Page) -> bool:
        """Whether an earlier visit, which did not come to the listing's end, recognised mail in a renumbered folder."""
        standing = self._store.standing(self._account, self._folder) if not page.others_gone else {}
        return any(state in FETCHED for state in standing)

    def _heads(self, listed: Sequence[Listed], known: Mapping[str, Known], fresh: Collection[Listed]) -> dict[str, AnchorHeaders]:
        """Return the headers of the fresh messages, and of others that may have come after the last proven check."""
        late = [one for one in listed if self.proof.is_late(one) and _is_other(one, known.get(one.key))]
        keys = list(dict.fromkeys(one.key for one in (*fresh, *late)))
        return dict(self._context.sessions.ask(headers_of, self._folder, keys))

    def _entry(self, one: Listed, reading: _Reading, heads: Mapping[str, AnchorHeaders]) -> Entry | None:
        """Return the entry of a listed message; None if the ledger has it already."""
        was = reading.known.get(one.key)
        differs = difference(was.listed, one) if was else ""
        sent_at = heads[one.key].sent_at if one.key in heads else None
        if self._spans and (found := by_key(one, was, reading.elsewhere.get(one.key))) is not None:
            self.proof.fits(one, found)
            return self._moved(one, found, reading)
        if was is not None and was.gone and was.state in FETCHED:
            return self._back(one, reading, sent_at)
        if was is not None and not differs:
            self.proof.fits(one, was)
            return self._known(one, was, reading)
        if was is not None:
            return self._contradicted(one, was, reading, differs, sent_at)
        early = one.key in reading.again or (reading.backlog and self._is_before(one, reading.start_at))
        early = early and not reading.takes(one.key)
        offered = early or self._is_chosen
        anchored = reading.same.get(one.key)
        backlog = reading.backlog and (self._first or anchored is not None or early or not self.proof.is_new(one, sent_at))
        if backlog and not (self._unchecked or offered or anchored is not None):
            self.proof.backlog.append(one.key)
        like = None if anchored else reading.like.get(one.key)
        entry = Entry(listed=one, backlog=backlog, same_as=anchored, like=like)
        return self._offered(entry) if offered else entry

    def _known(self, one: Listed, was: Known, reading: _Reading) -> Entry | None:
        """Return the entry of a key whose size and arrival are as the ledger has them; None if nothing changes."""
        taken = reading.takes(one.key)
        if was.state == "vanished":
            # If it was only offered before it vanished, it is only offered now.
            early = reading.start_at is not None and (one.arrival is None or one.arrival < reading.start_at)
            entry = Entry(listed=one, backlog=was.backlog)
            return self._offered(entry) if self._is_chosen or (was.backlog and early and not taken) else entry
        if was.state == "offered" and taken:
            return Entry(listed=one, backlog=True)
        return Entry(listed=one) if lacks(was.listed, one) else None

    def _moved(self, one: Listed, found: Known, reading: _Reading) -> Entry | None:
        """Return the entry of a message that is known by its key: it was in another folder before, or gone from this one."""
        if found.state == "vanished":
            # It was never fetched; what people decided about it comes with it.
            new = self._known(one, found, reading)
            return replace(new, by_key=True) if new else None
        offered = found.state == "offered" and not reading.takes(one.key)
        backlog = found.backlog or found.state == "offered"
        entry = Entry(listed=one, backlog=backlog, by_key=True)
        return self._offered(entry) if offered else entry

    def _back(self, one: Listed, reading: _Reading, sent_at: datetime | None) -> Entry:
        """Return the entry of a key that was gone and is back: only the bytes can show whether it is the same message."""
        backlog = reading.backlog and not self.proof.is_new(one, sent_at)
        if backlog:
            self.proof.backlog.append(one.key)
        entry = Entry(listed=one, backlog=backlog)
        return self._offered(entry) if self._is_chosen else entry

    def _contradicted(self, one: Listed, was: Known, reading: _Reading, differs: str, sent_at: datetime | None) -> Entry:
        """Return the entry of another message under a key that the ledger has."""
        if not was.gone:
            self.proof.contradicts(one, was, differs)
        # A message that was never fetched, and is merely listed with another size, is as new as it was.
        as_before = was.state == "waiting" and not difference(replace(was.listed, size=None), one)
        backlog = was.backlog if as_before else not self.proof.is_new(one, sent_at)
        early = backlog and self._is_before(one, reading.start_at) and not reading.takes(one.key)
        state: Literal["offered", "waiting"] = "offered" if early or self._is_chosen else "waiting"
        if backlog and not (state == "offered" or as_before):
            self.proof.backlog.append(one.key)
        cause = f"its key was another message's before: {differs}"
        return Entry(listed=one, state=state, backlog=backlog, cause=cause, contradiction=differs)

    def _offered(self, entry: Entry) -> Entry:
        """Return the entry of a message that waits only once it is taken: people choose, or it is from before the `start`."""
        if self._is_chosen:
            return replace(entry, state="offered", cause="to be chosen")
        start = minute(self._start) if isinstance(self._start, datetime) else self._start
        return replace(entry, state="offered", cause=f"there before the start ({start})")

    def _is_before(self, one: Listed, start_at: datetime | None) -> bool:
        """Whether backlog was there before the account's start. Without an arrival only the first listing can show that."""
        if start_at is None:
            return False
        if self._start == "now" and self._first:
            return True
        return one.arrival is not None and one.arrival < start_at


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """How the messages of one page are read."""

    known: Mapping[str, Known]
    start_at: datetime | None
    take: Collection[str] | None
    backlog: bool
    #: Entries that went under their old keys, by the fresh key that is the same message.
    same: Mapping[str, int]
    #: Entries that fresh keys may be if these have grown: only the size differs.
    like: Mapping[str, int]
    #: Keys that were offered before, under other keys.
    again: Collection[str]
    #: What other folders have under keys that this one lacked until now, where keys span folders.
    elsewhere: Mapping[str, Known]

    def takes(self, key: str) -> bool:
        return self.take is None or key in self.take


def _is_other(one: Listed, was: Known | None) -> bool:
    return was is None or (was.gone and was.state in FETCHED) or bool(difference(was.listed, one))


def preview(account: AccountConfig, session: Session, store: Store, *, spans: bool = False) -> Iterator[tuple[str, Listed]]:
    """Yield folder and message for each that a visit would list as new. Writes nothing, here or on the server.

    ``spans``: see ``Transport.keys_span_folders``.
    """
    for folder in account.imports.folders if account.imports else ():
        state = store.folder(account.name, folder)
        for page in session.listing(folder, state.cursor if state else None):
            known = store.known(account.name, folder, [one.key for one in page.keys])
            there = elsewhere(store, account.name, folder, listed=page.keys, known=known) if spans else {}
            other = (one for one in page.keys if _is_other(one, known.get(one.key)))
            yield from ((folder, one) for one in other if not (spans and by_key(one, known.get(one.key), there.get(one.key))))
