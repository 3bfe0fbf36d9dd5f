"""Compare a listed page with the entries that the ledger has for its keys, and let entries give up their keys.

A key that is listed with another size or arrival than before is another message: the kernel says so by ``Entry.contradiction``.
A key in a final state that was gone and is listed again may be another message, too: POP3 servers may use the name of a deleted one
again (RFC 1939 section 7). Nothing but the bytes can tell, so the key is entered anew and fetched: the same bytes are a
duplicate, others are mail of their own. The old entry stays, gone for ever, under a past name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import Text, and_, bindparam, case, cast, func, or_, select, update

from gatewayd import Entry, Listed, lacks
from gatewayd_sql.database import pieces
from gatewayd_sql.tables import content, ledger, mail
from gatewayd_sql.times import clean, moment, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Row

__all__ = ["OWES", "PAST_KEY", "Change", "give_up", "learn", "recognised", "shown_key"]

#: A key as the ledger has it: id, key, state, when it was found gone, size, arrival, mail, the mail before, and its spanning id.
_Standing: TypeAlias = "Row[int, str, str, float | None, int | None, float | None, int | None, int | None, str | None]"

_FINAL = frozenset({"filed", "duplicate", "not admitted"})

#: Between a past key and its entry's id. No protocol has control characters in what it calls a message, and a key that
#: ends in the id that its own entry will get can't be foreseen.
_PAST = "\x1f"

#: The name under which an entry leaves its key to another one.
PAST_KEY = ledger.c.key + _PAST + cast(ledger.c.id, Text)

#: Whether something is owed for an entry, now or once its bytes came again.
OWES = func.coalesce(ledger.c.owed, ledger.c.again, "") != ""

_THIS = update(ledger).where(ledger.c.id == bindparam("entry"))
#: What a new key takes over.
_RECOGNISED = select(
    *ledger.c[
        "id", "state", "cause", "anchor", "mail_id", "size", "owed", "again", "due", "others", "former", "backlog", "described"
    ]
).where(ledger.c.anchor.is_not(None))
_BYTES = bindparam("bytes", type_=ledger.c.size.type)
_FILED = select(content.c.size).join(mail, mail.c.content_id == content.c.id).where(mail.c.id == ledger.c.mail_id).scalar_subquery()
_LEARN = _THIS.values(
    size=func.coalesce(ledger.c.size, _BYTES),
    arrival=func.coalesce(ledger.c.arrival, bindparam("came", type_=ledger.c.arrival.type)),
    spanning_id=func.coalesce(ledger.c.spanning_id, bindparam("called", type_=Text)),
    # Nothing is done to a message that proves to be of another size than what was filed.
    owed=case((and_(ledger.c.size.is_(None), _FILED != _BYTES), None), else_=ledger.c.owed),
)
_WHY = bindparam("why", type_=Text)
_CONTRADICT = _THIS.values(
    key=PAST_KEY,
    anchor=None,
    owed=None,
    again=None,
    state=case((or_(*(ledger.c.state == one for one in ("waiting", "offered", "dismissed"))), "vanished"), else_=ledger.c.state),
    cause=case((ledger.c.cause == "", _WHY), else_=ledger.c.cause + "; " + _WHY),
)


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
    #: What had vanished and is entered again.
    back: list[int] = field(default_factory=list)
    wanted: list[tuple[int, Entry]] = field(default_factory=list)
    #: Entries that leave their keys, and the keys that are entered anew though no entry came for them.
    past: list[int] = field(default_factory=list)
    #: Those of them that were other messages, and why.
    contradicted: list[tuple[int, str]] = field(default_factory=list)
    #: The mails that were filed under their keys.
    before: dict[str, int] = field(default_factory=dict)
    #: Entries that lack a size, an arrival or a spanning id, and what the server says.
    learned: list[tuple[int, Listed]] = field(default_factory=list)
    anew: list[Entry] = field(default_factory=list)

    def is_gone(self, row: _Standing) -> None:
        """Take in a key that the page shows to be gone."""
        if row.gone_at is None:
            (self.lost if row.state in {"waiting", "offered", "dismissed"} else self.gone).append(row.id)

    def stands(self, row: _Standing, entry: Entry | None) -> None:
        """Take in a key that stands; ``entry`` is what was entered for it, if anything."""
        if entry is not None and entry.contradiction:
            self.contradicted.append((row.id, entry.contradiction))
            self._was(row)
            return
        if row.gone_at is not None and row.state in _FINAL:
            self.past.append(row.id)
            # It may have grown while it was gone.
            self._was(row)
            if entry is None:
                # Size and arrival are right where the server did not list for a while what was there.
                self.anew.append(Entry(listed=Listed(row.key, row.size, moment(row.arrival), spanning_id=row.spanning_id)))
            return
        if row.gone_at is not None:
            self.stands_again.append(row.id)
        if entry is None:
            # It was never fetched, so custody asks for it now that it is there.
            if row.state == "vanished":
                self.waits_again.append(row.id)
            return
        self.known.add(row.key)
        if lacks(Listed(row.key, row.size, moment(row.arrival), spanning_id=row.spanning_id), entry.listed):
            self.learned.append((row.id, entry.listed))
        if row.state == "vanished":
            self.back.append(row.id)
        if row.state == "vanished" or (row.state == "offered" and entry.state == "waiting"):
            self.wanted.append((row.id, entry))

    def _was(self, row: _Standing) -> None:
        """Remember which mail was filed under a key that is entered anew."""
        if (mail_id := row.former if row.mail_id is None else row.mail_id) is not None:
            self.before[row.key] = mail_id


def give_up(connection: Connection, entries: Sequence[tuple[int, str]], time: float) -> None:
    """Let entries give up their keys to other messages, and say why; what was not fetched by then is vanished."""
    rows = [{"entry": entry_id, "why": clean(f"its key is another message's by now: {why}")} for entry_id, why in entries]
    if rows:
        connection.execute(_CONTRADICT.values(gone_at=time), rows)


def learn(connection: Connection, entries: Sequence[tuple[int, Listed]]) -> None:
    """Let entries take the sizes, arrivals and spanning ids that they lack."""
    rows = [
        {
            "entry": entry_id,
            "bytes": listed.size,
            "came": seconds(listed.arrival),
            "called": None if listed.spanning_id is None else clean(listed.spanning_id),
        }
        for entry_id, listed in entries
    ]
    if rows:
        connection.execute(_LEARN, rows)


def recognised(
    connection: Connection, here: Sequence[ColumnElement[bool]], entry_ids: Sequence[int]
) -> dict[int, dict[str, object]]:
    """Return what a new key takes over from each of these entries of a folder, unless another key took it over before."""
    return {
        row.id: {key: value for key, value in row._mapping.items() if key != "id"}  # noqa: SLF001  SQLAlchemy's public name
        for piece in pieces(entry_ids)
        for row in connection.execute(_RECOGNISED.where(*here, ledger.c.id.in_(piece)))
    }
