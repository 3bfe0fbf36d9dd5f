"""Do on the server what is owed: after the commit, and again by a later visit if this one fails (promise P3).

A message is its key *and* its size and arrival: nothing is done to one that is no longer what was filed. Where the server tells no
arrival, its headers must be those that were filed: a key may be given again to a message of the same size (RFC 1939 section 7).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.api.evidence import difference
from gatewayd.errors import PermanentError
from gatewayd.importing.replaced_keys import OTHERS, wait_anew
from gatewayd.message.mail import anchor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.api.ledger import Lease, Owed
    from gatewayd.api.session import Session
    from gatewayd.api.store import Store
    from gatewayd.api.values import Action, Listed

__all__ = ["Settler", "anchors_of"]

#: How many owed actions are settled at once: as many keys as a session promises to bear.
_AHEAD = 1000
#: A header block of fewer bytes is whole: transports cut none that is as short.
_SHORT = 1 << 14


@dataclass(slots=True, kw_only=True)
class Settler:
    """Settles one account's mail, for the length of one visit."""

    store: Store
    lease: Lease
    #: What the account wants done now; what it wanted earlier is left undone.
    wanted: Action | None
    #: Asks the server for what is there now of keys of a folder.
    look_up: Callable[[str, Sequence[str]], Sequence[Listed]]
    #: Asks the server for the headers of keys of a folder; returns the anchor of each key whose headers it gives.
    anchors: Callable[[str, Sequence[str]], Sequence[tuple[str, str]]]
    #: Does an action to keys of a folder, on the server.
    act: Callable[[str, Sequence[str], Action], None]
    #: Told how many actions were done just now.
    settled: Callable[[int], None]
    problem: Callable[[str], None]
    note: Callable[[str], None]
    #: Asks whether the visit may go on; raises where it may not.
    go_on: Callable[[], None]

    def settle(self, sound: set[str]) -> None:
        """Settle what is owed in the ``sound`` folders, those listed in this visit without a doubt.

        What the server refuses for good stays owed and keeps nothing else from being done; so does what is owed in another
        folder, for its keys may be of old numbers. A folder where a message is found to be another one is taken out of ``sound``.
        """
        after = 0
        while owed := self.store.owed(self.lease.account, after=after, limit=_AHEAD):
            # What stays owed is not read again: there may be as much of it as there is mail.
            after = owed[-1].entry_id
            groups: dict[tuple[str, str], list[Owed]] = {}
            for one in owed:
                groups.setdefault((one.folder, str(one.action)), []).append(one)
            for (folder, action), group in groups.items():
                self.go_on()
                ids = [one.entry_id for one in group]
                if action != str(self.wanted):
                    self.store.settled(self.lease, ids, undone=True)
                    self.note(f"{folder}: {len(ids)} messages: {action} is left undone, the account no longer asks for it")
                elif folder in sound:
                    self._group(folder, group, sound)

    def _group(self, folder: str, group: Sequence[Owed], sound: set[str]) -> None:
        try:
            now = self._there(folder, group, sound)
            if now is None:
                return
            untold = {one.entry_id for one in group if one.key in now and _is_untold(one.listed, now[one.key])}
            there = [one for one in group if one.key in now and one.entry_id not in untold]
            if not self._named(folder, there, sound):
                # The folder is not sound any more.
                return
            if there:
                # What the server does not show may be there all the same, as another message.
                self.act(folder, [one.key for one in there], group[0].action)
        except PermanentError as error:
            self.problem(f"{folder}: {group[0].action}: {error.sentences}")
        else:
            self._done(folder, group, untold)

    def _done(self, folder: str, group: Sequence[Owed], untold: set[int]) -> None:
        if ids := [one.entry_id for one in group if one.entry_id not in untold]:
            self.store.settled(self.lease, ids)
            self.settled(len(ids))
        if untold:
            such = f"{len(untold)} messages, such as {next(one.key for one in group if one.entry_id in untold)}"
            self.problem(
                f"{folder}: {group[0].action}: the server says neither size nor arrival of {such}: nothing is done to them"
            )

    def _there(self, folder: str, group: Sequence[Owed], sound: set[str]) -> Mapping[str, Listed] | None:
        """Return what the server says of those that are there and still what was filed: what is no longer there counts as done.

        None where one is another message by now: nothing in that folder is what it seems.
        """
        keys = [one.key for one in group]
        found = [each for start in range(0, len(keys), _AHEAD) for each in self.look_up(folder, keys[start : start + _AHEAD])]
        now, times = {each.key: each for each in found}, Counter(each.key for each in found)
        other = [
            f"{one.key} ({why})"
            for one in group
            if (each := now.get(one.key)) is not None and (why := _changed(one, each, times[each.key]))
        ]
        if not other:
            return now
        text = f"messages are no longer what was filed, such as {other[0]}"
        sound.discard(folder)
        self.store.prove(self.lease, folder, checked_at=None, compared_at=None, doubt=text)
        self.problem(f"{folder}: {text}: nothing is done to them, and the whole folder is compared at the next visit")
        return None

    def _named(self, folder: str, group: Sequence[Owed], sound: set[str]) -> bool:
        """Whether messages without an arrival have the headers that were filed, as far as the server gives them."""
        bare = {one.key: one for one in group if one.listed.arrival is None and one.anchor}
        keys = list(bare)
        found = [each for start in range(0, len(keys), _AHEAD) for each in self.anchors(folder, keys[start : start + _AHEAD])]
        other = [bare[key] for key, mark in found if mark != bare[key].anchor]
        if not other:
            return True
        sound.discard(folder)
        if left := [one for one in other if one.others >= OTHERS]:
            self.store.settled(self.lease, [one.entry_id for one in left], undone=True)
            self.problem(
                f"{folder}: {len(left)} messages, such as {left[0].key}, have other headers each time: nothing is done to them"
            )
        if anew := [(one.listed, one.others) for one in other if one.others < OTHERS]:
            self.problem(wait_anew(self.store, self.lease, folder, anew, "it has other headers, and the same size"))
        return False


def _changed(owed: Owed, now: Listed, times: int) -> str:
    """Return why a key is not surely the message that was filed under it; empty where it is."""
    if times > 1:
        return f"{times} messages have this key"
    if owed.listed.size is None and now.size is not None and now.size != owed.size:
        return f"{now.size} bytes, {owed.size} were filed"
    return difference(owed.listed, now)


def _is_untold(before: Listed, now: Listed) -> bool:
    """Whether nothing is said of a message of which something was known: nobody can tell whether it is the one that was filed."""
    return now.size is None and now.arrival is None and (before.size is not None or before.arrival is not None)


def anchors_of(session: Session, folder: str, keys: Sequence[str]) -> list[tuple[str, str]]:
    """Return the anchors of messages whose headers the server gives; runs in the session's thread.

    A long block without an end may have been cut before a header that the anchor is made of: it says nothing.
    """
    return [
        (key, anchor(block))
        for key, block in session.headers(folder, keys)
        if block.strip() and (len(block) < _SHORT or block.endswith((b"\n\r\n", b"\n\n")))
    ]
