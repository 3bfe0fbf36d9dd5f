"""Do owed actions on the server: after the commit, and again in a later visit if this one fails (promise P3).

A message is its key *and* its size and arrival: nothing is done to one that is no longer the message that was filed. If the server
gives no arrival, the headers must be those that were filed: a key may be given again to a message of the same size (RFC 1939
section 7). If keys span folders, a message is its key, its arrival and its Message-ID, and no size tells anything.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gatewayd.api.evidence import difference
from gatewayd.api.ledger import Entry
from gatewayd.errors import PermanentError, PluginError, TransientError
from gatewayd.message import header_parsing
from gatewayd.message.mail import anchor, message_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from gatewayd.api.ledger import Lease, Owed
    from gatewayd.api.session import Session
    from gatewayd.api.store import Store
    from gatewayd.api.values import Listed
    from gatewayd.importing.context import VisitContext

__all__ = ["OTHERS", "Settler", "anchors_of", "names_of", "wait_anew"]

#: How often a key may become another message. A server that sends another message each time would fill the store.
OTHERS = 2
#: How many owed actions are settled at once: as many keys as a session promises to bear.
_AHEAD = 1000
#: A header block of fewer bytes is whole: transports cut none so short.
_SHORT = 1 << 14


class Settler:
    """Settles one account's mail in one visit."""

    def __init__(self, context: VisitContext, sound: set[str]) -> None:
        """``sound`` are the folders that were listed in this visit without a doubt. A folder where a message turns out to be
        another one is taken out.
        """
        self._context = context
        self._store = context.store
        self._lease = context.lease
        self._reporter = context.reporter
        self._sound = sound
        #: An action broke the session: the next visit tries again.
        self._broke = False

    def settle(self) -> None:
        """Settle what is owed in the sound folders.

        An action that the server refuses for good stays owed, and the others go on. Actions in other folders stay owed, too: their
        keys may be of old numbers. If an action breaks the session, the rest is left to the next visit.
        """
        # The first group is settled in any case, or a visit that gives way each time would never settle anything.
        settled = False
        try:
            for folder, action, group in () if self._broke else self._owed():
                wanted = action == str(self._context.imports.after)
                if wanted and folder not in self._sound:
                    continue
                if settled:
                    self._context.go_on()
                settled = True
                if not wanted:
                    # The account asked for it earlier.
                    self._store.settled(self._lease, [one.entry_id for one in group], undone=True)
                    undone = f"{action} is left undone, the account no longer asks for it"
                    self._reporter.note(f"{folder}: {len(group)} messages: {undone}")
                else:
                    self._settle(folder, group)
        except (PluginError, TransientError) as error:
            self._broke = True
            self._context.leave(error)

    def _owed(self) -> Iterator[tuple[str, str, Sequence[Owed]]]:
        """Yield owed actions by folder and action. Those that stay owed are not read again: there may be as many as mails."""
        after = 0
        while owed := self._store.owed(self._lease.account, after=after, limit=_AHEAD):
            after = owed[-1].entry_id
            groups: dict[tuple[str, str], list[Owed]] = {}
            for one in owed:
                groups.setdefault((one.folder, str(one.action)), []).append(one)
            yield from ((folder, action, group) for (folder, action), group in groups.items())

    def _settle(self, folder: str, group: Sequence[Owed]) -> None:
        """Do one action to messages of a folder that are still those that were filed; those that are gone count as done."""
        action = group[0].action
        try:
            now = self._looked_up(folder, group)
            # A message of which the server says nothing may be another one by now.
            untold = {one.entry_id for one in group if one.key in now and _is_untold(one.listed, now[one.key])}
            there: Sequence[Owed] = [one for one in group if one.key in now and one.entry_id not in untold]
            if folder not in self._sound or (not self._context.spans and self._others(folder, there)):
                return
            if self._context.spans:
                there = self._named(folder, there, now)
                group = self._present(group, now, there=there, untold=untold)
            if there:
                self._context.sessions.call(lambda session: session.settle(folder, [one.key for one in there], action))
        except PermanentError as error:
            self._reporter.problem(f"{folder}: {action}: {error.sentences}")
            return
        if ids := [one.entry_id for one in group if one.entry_id not in untold]:
            self._store.settled(self._lease, ids)
            self._reporter.settled(len(ids))
        if such := [one.key for one in group if one.entry_id in untold]:
            silent = f"the server says neither size nor arrival of {len(such)} messages, such as {such[0]}"
            self._reporter.problem(f"{folder}: {action}: {silent}: nothing is done to them")

    def _looked_up(self, folder: str, group: Sequence[Owed]) -> Mapping[str, Listed]:
        """Return how the server lists the messages now, by key.

        If one of them is another message by now, no key of the folder can be trusted: the folder is not sound any more.
        """
        found = self._context.sessions.ask(lambda session, *asked: session.look_up(*asked), folder, [one.key for one in group])
        now, times = {each.key: each for each in found}, Counter(each.key for each in found)
        changed = ((one, _changed(one, now[one.key], times[one.key])) for one in group if one.key in now)
        if other := [f"{one.key} ({why})" for one, why in changed if why]:
            text = f"messages are no longer what was filed, such as {other[0]}"
            self._sound.discard(folder)
            self._store.prove(self._lease, folder, checked_at=None, compared_at=None, doubt=text)
            self._reporter.problem(f"{folder}: {text}: nothing is done to them, and the whole folder is compared at the next visit")
        return now

    def _present(
        self, group: Sequence[Owed], now: Mapping[str, Listed], *, there: Sequence[Owed], untold: Collection[int]
    ) -> Sequence[Owed]:
        """Return the messages that can be done with, where keys span folders: one that is not here may be in another folder."""
        if away := [one.entry_id for one in group if one.key not in now]:
            self._store.missing(self._lease, away)
        present = {one.entry_id for one in there} | set(untold)
        return [one for one in group if one.entry_id in present]

    def _named(self, folder: str, group: Sequence[Owed], now: Mapping[str, Listed]) -> Sequence[Owed]:
        """Return the messages whose Message-ID is that of what was filed; nothing is done to the others."""
        names = {one.key: message_id(told) for one in group if (told := now[one.key].message_id) is not None}
        unnamed = [one.key for one in group if one.key not in names]
        names |= dict(self._context.sessions.ask(names_of, folder, unnamed))
        if silent := [one.key for one in group if one.key not in names]:
            text = f"the server tells no headers of {len(silent)} messages, such as {silent[0]}"
            self._reporter.problem(f"{folder}: {text}: nothing is done to them")
        if other := [one for one in group if one.key in names and names[one.key] != one.message_id]:
            self._store.settled(self._lease, [one.entry_id for one in other], undone=True)
            text = f"{len(other)} messages, such as {other[0].key}, have another Message-ID than was filed"
            self._reporter.problem(f"{folder}: {text}: nothing is done to them")
        return [one for one in group if names.get(one.key) == one.message_id]

    def _others(self, folder: str, group: Sequence[Owed]) -> bool:
        """Whether messages without an arrival have other headers than were filed, as far as the server gives headers."""
        bare = {one.key: one for one in group if one.listed.arrival is None and one.anchor}
        found = self._context.sessions.ask(anchors_of, folder, list(bare))
        other = [bare[key] for key, mark in found if mark != bare[key].anchor]
        if not other:
            return False
        self._sound.discard(folder)
        if left := [one for one in other if one.others >= OTHERS]:
            self._store.settled(self._lease, [one.entry_id for one in left], undone=True)
            self._reporter.problem(
                f"{folder}: {len(left)} messages, such as {left[0].key}, have other headers each time: nothing is done to them"
            )
        if anew := [(one.listed, one.others) for one in other if one.others < OTHERS]:
            why = "it has other headers, and the same size"
            self._reporter.problem(wait_anew(self._store, self._lease, folder, anew, why))
        return True


def wait_anew(store: Store, lease: Lease, folder: str, others: Sequence[tuple[Listed, int]], why: str) -> str:
    """Let keys wait that name another message than the one that is filed under them, which gives up its key.

    ``others`` has each key with how often it named another message before; ``why`` says what differs. The messages that are there
    now are backlog: nothing proves that they are new. Return what a person must know.
    """
    entries = [
        Entry(listed=one, backlog=True, cause=f"its key was another message's before: {why}", contradiction=why, others=before + 1)
        for one, before in others
    ]
    if (state := store.folder(lease.account, folder)) is not None:
        store.enter(lease, folder, entries, cursor=state.cursor, start_at=state.start_at)
    such = f"{len(others)} messages, such as {others[0][0].key}, are others than what was sent for them before ({why})"
    return f"{folder}: {such}: these are fetched as mail of their own"


def _changed(owed: Owed, now: Listed, times: int) -> str:
    """Return why a key may not be the message that was filed under it; empty if it is."""
    if times > 1:
        return f"{times} messages have this key"
    if owed.listed.size is None and now.size is not None and now.size != owed.size:
        return f"{now.size} bytes, {owed.size} were filed"
    return difference(owed.listed, now)


def _is_untold(before: Listed, now: Listed) -> bool:
    """Whether the server says neither size nor arrival, though one was known: it may be another message than was filed."""
    return now.size is None and now.arrival is None and (before.size is not None or before.arrival is not None)


def anchors_of(session: Session, folder: str, keys: Sequence[str]) -> list[tuple[str, str]]:
    """Return (key, anchor) of messages whose headers the server gives. Runs in the session's thread.

    A long block without an end may have been cut before a header that the anchor needs: it is left out.
    """
    return [
        (key, anchor(block))
        for key, block in session.headers(folder, keys)
        if block.strip() and (len(block) < _SHORT or block.endswith((b"\n\r\n", b"\n\n")))
    ]


def names_of(session: Session, folder: str, keys: Sequence[str]) -> list[tuple[str, str]]:
    """Return (key, Message-ID) of messages whose headers the server gives. Runs in the session's thread."""
    blocks = ((key, header_parsing.head(block, 0, len(block))) for key, block in session.headers(folder, keys))
    return [(key, message_id(block.first.get("message-id", ""))) for key, block in blocks]
