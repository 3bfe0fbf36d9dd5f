"""What a listing says of the keys that the ledger has, and how a key's name is given up.

A key in a final state that was gone and is listed again may be another message: POP3 servers may use the name of a deleted one
again (RFC 1939 section 7). Nothing but the bytes can tell, so the key is entered anew and fetched: the same bytes are a
duplicate, others are mail of their own. The old entry stays, gone for ever, under a past name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Text, cast

from gatewayd import Entry, Listed
from gatewayd_sql.tables import ledger
from gatewayd_sql.times import moment

if TYPE_CHECKING:
    from sqlalchemy import Row

__all__ = ["PAST_KEY", "Change", "shown_key"]

_FINAL = frozenset({"filed", "duplicate", "not admitted"})

#: Between a past key and its entry's id. No protocol has control characters in what it calls a message, and a key that
#: ends in the id that its own entry will get can't be foreseen.
_PAST = "\x1f"

#: The name under which an entry leaves its key to another one.
PAST_KEY = ledger.c.key + _PAST + cast(ledger.c.id, Text)


def shown_key(key: str, entry_id: int) -> str:
    """Return a key of the ledger as the server called it, past or not."""
    return key.removesuffix(f"{_PAST}{entry_id}")


@dataclass(slots=True)
class Change:
    """What a page says of keys that the ledger has; ids of their entries."""

    known: set[str] = field(default_factory=set)
    stands_again: list[int] = field(default_factory=list)
    waits_again: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    wanted: list[tuple[int, Entry]] = field(default_factory=list)
    #: Entries that leave their keys, and the keys that are entered anew though no entry came for them.
    past: list[int] = field(default_factory=list)
    anew: list[Entry] = field(default_factory=list)

    def is_gone(self, row: Row[int, str, str, float | None, int | None, float | None]) -> None:
        """Take in a key that the page shows to be gone."""
        if row.gone_at is None:
            (self.lost if row.state in {"waiting", "offered"} else self.gone).append(row.id)

    def stands(self, row: Row[int, str, str, float | None, int | None, float | None], entry: Entry | None) -> None:
        """Take in a key that stands; ``entry`` is what was entered for it, if anything."""
        if row.gone_at is not None and row.state in _FINAL:
            self.past.append(row.id)
            if entry is None:
                # Size and arrival are right where the server did not list for a while what was there.
                self.anew.append(Entry(listed=Listed(row.key, row.size, moment(row.arrival))))
            return
        if row.gone_at is not None:
            self.stands_again.append(row.id)
        if entry is None:
            # It was never fetched, so custody asks for it now that it is there.
            if row.state == "vanished":
                self.waits_again.append(row.id)
            return
        self.known.add(row.key)
        if row.state == "vanished" or (row.state == "offered" and entry.state == "waiting"):
            self.wanted.append((row.id, entry))
