"""Do on the server what is owed: after the commit, and again by a later visit if this one fails (promise P3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from gatewayd.custody import Lease, Owed
    from gatewayd.model import Action
    from gatewayd.store import Store

__all__ = ["Settler"]

#: How many owed actions are settled at once.
_AHEAD = 1000


@dataclass(slots=True, kw_only=True)
class Settler:
    """Settles one account's mail, for the length of one visit."""

    store: Store
    lease: Lease
    #: What the account wants done now; what it wanted earlier is left undone.
    wanted: Action | None
    #: Does an action to keys of a folder, on the server.
    act: Callable[[str, Sequence[str], Action], None]
    #: Told how many actions were done just now.
    settled: Callable[[int], None]
    problem: Callable[[str], None]
    note: Callable[[str], None]
    #: Asks whether the visit may go on; raises where it may not.
    go_on: Callable[[], None]
    _stuck: set[int] = field(default_factory=set)

    def settle(self, fresh: Collection[str]) -> None:
        """Settle what is owed in the ``fresh`` folders, those listed in this visit.

        What the server refuses for good stays owed and keeps nothing else from being done; so does what is owed in another
        folder, for its keys may be of old numbers.
        """
        self._stuck.clear()
        while owed := self._owed():
            groups: dict[tuple[str, str], list[Owed]] = {}
            for one in owed:
                groups.setdefault((one.folder, str(one.action)), []).append(one)
            for (folder, action), group in groups.items():
                self.go_on()
                ids = [one.entry_id for one in group]
                if action != str(self.wanted):
                    self.store.settled(self.lease, ids)
                    self.note(f"{folder}: {len(ids)} messages: {action} is left undone, the account no longer asks for it")
                elif folder not in fresh:
                    self._stuck.update(ids)
                else:
                    self._group(folder, group)

    def _group(self, folder: str, group: Sequence[Owed]) -> None:
        ids = [one.entry_id for one in group]
        try:
            self.act(folder, [one.key for one in group], group[0].action)
        except PermanentError as error:
            self.problem(f"{folder}: {group[0].action}: {error.message}")
            self._stuck.update(ids)
        else:
            self.store.settled(self.lease, ids)
            self.settled(len(ids))

    def _owed(self) -> Sequence[Owed]:
        owed = self.store.owed(self.lease.account, limit=_AHEAD + len(self._stuck))
        return [one for one in owed if one.entry_id not in self._stuck]
