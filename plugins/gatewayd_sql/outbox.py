"""Give out the deliveries that are due, and commit the results of their tries.

What can be taken has a due time. Taking moves it to where the taker's time ends, so that one index tells what is due, whether
it was ever taken or not; what is for a suspended target has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Boolean, bindparam, case, exists, func, literal_column, null, select, update

from gatewayd import DELIVERY_SECONDS, OutboxVerbs
from gatewayd_sql.catalog import prove_table
from gatewayd_sql.database import Many
from gatewayd_sql.deliveries import shown, taken
from gatewayd_sql.dialect import InsertOrIgnore, each, now, one_of, table_number
from gatewayd_sql.entering import suspended
from gatewayd_sql.outbox_tables import UNWARNED, delivery, recipient, server_id
from gatewayd_sql.tables import WAITING
from gatewayd_sql.times import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sqlalchemy import Row

    from gatewayd import DeliveryView, Settled, Taken
    from gatewayd_sql.database import Database

__all__ = ["OutboxTables"]

#: How many that wait for long are told of at a time.
_WARNED = 100


_IS_DUE = delivery.c.due.is_not(None)
# From destination to destination along the index: what waits in them is not looked at, however much it is.
_EACH = each(delivery.c.lane, _IS_DUE).subquery()
_SOONEST = select(func.min(delivery.c.due)).where(_IS_DUE, delivery.c.lane == _EACH.c.value).scalar_subquery()
_DESTINATIONS = select(_EACH.c.value.label("destination"), (_SOONEST - now()).label("seconds"))
_TAKEN = select(delivery.c.taker, delivery.c.lane).distinct().where(delivery.c.taker.is_not(None))
#: As if it had not been taken.
_UNTAKEN = {"due": delivery.c.was_due, "taker": None, "was_due": None}
_FREE = (
    update(delivery)
    .where(delivery.c.lane == bindparam("through"), delivery.c.taker.is_not(None), one_of(delivery.c.taker, name="gone"))
    .values(_UNTAKEN)
)
_DUE = (
    select(delivery.c.id, delivery.c.operator, delivery.c.target, table_number().label("number"))
    .where(delivery.c.lane == bindparam("through"), delivery.c.due <= now())
    .order_by(delivery.c.due, delivery.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_TAKE = (
    update(delivery)
    .where(one_of(delivery.c.id, name="ids"))
    .values(taker=bindparam("by"), was_due=func.coalesce(delivery.c.was_due, delivery.c.due), due=now() + DELIVERY_SECONDS)
)
_HOLD = update(delivery).where(one_of(delivery.c.id, name="ids")).values(due=None, taker=None, was_due=None)
_GIVE_BACK = update(delivery).where(one_of(delivery.c.id, name="ids"), delivery.c.taker == bindparam("by")).values(_UNTAKEN)
_NOTE = update(delivery).where(delivery.c.id == bindparam("of"), delivery.c.taker == bindparam("by")).values(note=bindparam("said"))
_TRIED = (
    select(
        delivery.c.id,
        delivery.c.operator,
        delivery.c.target,
        delivery.c.tries,
        delivery.c.taker,
        exists().where(recipient.c.delivery_id == delivery.c.id, recipient.c.state == "bounced").label("came_back"),
        now().label("time"),
        table_number().label("number"),
    )
    .where(one_of(delivery.c.id, name="ids"))
    .order_by(delivery.c.id)
    .with_for_update()
)
_SAID = Many(
    update(recipient)
    .where(recipient.c.delivery_id == bindparam("of"), recipient.c.address == bindparam("to"), recipient.c.state == WAITING)
    .values(state=bindparam("now"), words=bindparam("said"))
)
_SETTLE = Many(
    update(delivery)
    .where(delivery.c.id == bindparam("of"))
    .values(
        state=bindparam("now"),
        words=bindparam("said"),
        due=bindparam("next"),
        ended_at=bindparam("end"),
        tries=bindparam("times"),
        note=case((bindparam("over", type_=Boolean), literal_column("''")), else_=delivery.c.note),
        taker=null(),
        was_due=null(),
    )
)
_NAMED = Many(InsertOrIgnore(server_id))
_LATE = (
    select(delivery.c.id)
    .where(UNWARNED, delivery.c.entered_at < now() - bindparam("age"))
    .order_by(delivery.c.entered_at, delivery.c.id)
    .limit(_WARNED)
)


class OutboxTables(OutboxVerbs):
    """See ``OutboxVerbs``."""

    _db: Database

    def destinations(self, *, dead: Callable[[str], bool] = lambda _: False) -> Mapping[str, float]:
        """Return for every destination in how many seconds something of it is due."""
        with self._db.reading() as connection:
            due = {row.destination: row.seconds for row in connection.execute(_DESTINATIONS)}
            takers = connection.execute(_TAKEN).all()
        gone = {one for one in {taker for taker, _ in takers} if dead(one)}
        return due | {name: min(due[name], 0.0) for taker, name in takers if taker in gone and name in due}

    def take(self, destination: str, taker: str, *, limit: int, dead: Callable[[str], bool]) -> Sequence[Taken]:
        """Take what is due of a destination, oldest due first."""
        takers = self._db.column(_TAKEN.where(delivery.c.lane == destination))
        gone = [one for one in takers if dead(one)]
        with self._db.writing() as connection:
            if gone:
                connection.execute(_FREE, {"through": destination, "gone": gone})
            due = connection.execute(_DUE, {"through": destination, "most": limit}).all()
            if not due:
                return []
            prove_table(connection, due[0].number)
            # A target that was suspended while somebody tried it, or while this was entered.
            held = suspended(connection, {row.operator for row in due})
            keep = [row.id for row in due if (row.operator, row.target) in held]
            ids = [row.id for row in due if (row.operator, row.target) not in held]
            if keep:
                connection.execute(_HOLD, {"ids": keep})
            connection.execute(_TAKE, {"ids": ids, "by": taker})
            return taken(connection, self._db, ids)

    def write_note(self, taker: str, delivery_id: int, text: str) -> bool:
        """Keep a forwarder's note with what the taker has."""
        with self._db.writing() as connection:
            return connection.execute(_NOTE, {"of": delivery_id, "by": taker, "said": clean(text)}).rowcount == 1

    def settle(self, taker: str, settled: Sequence[Settled]) -> frozenset[int]:
        """Commit what became of tries; return the ids for which it was taken."""
        if not settled:
            return frozenset()
        words = {(one.id, one.tries): one for one in settled}
        with self._db.writing() as connection:
            rows = connection.execute(_TRIED, {"ids": sorted({one.id for one in settled})}).all()
            for row in rows[:1]:
                # A restored database has other deliveries under these ids, or these as they were once.
                prove_table(connection, row.number)
            real = [(row, words[row.id, row.tries]) for row in rows if row.taker == taker and (row.id, row.tries) in words]
            again = {row.operator for row, one in real if one.state == "waiting"}
            held = suspended(connection, again) if again else set()
            said = [
                {"of": one.id, "to": clean(to.address), "now": to.state, "said": clean(to.words)}
                for _, one in real
                for to in one.recipients
            ]
            _SAID.run(connection, said)
            _SETTLE.run(connection, [_end(row, one, held=(row.operator, row.target) in held) for row, one in real])
            _NAMED.run(connection, [{"id": clean(name), "delivery_id": one.id} for _, one in real for name in one.server_ids])
        return frozenset(one.id for _, one in real)

    def give_back(self, taker: str, delivery_ids: Collection[int]) -> None:
        """Let what was taken and not tried be due as it was."""
        if delivery_ids:
            with self._db.writing() as connection:
                connection.execute(_GIVE_BACK, {"ids": sorted(delivery_ids), "by": taker})

    def hurry(self, destinations: Collection[str]) -> None:
        """Let all that waits in these destinations be due now, but for what is being tried."""
        later = update(delivery).where(
            one_of(delivery.c.lane, sorted(destinations)), delivery.c.taker.is_(None), delivery.c.due > now()
        )
        with self._db.writing() as connection:
            connection.execute(later.values(due=now()))

    def overdue(self, seconds: float) -> Sequence[DeliveryView]:
        """Return what waits for longer than that and was not returned before."""
        with self._db.reading() as connection:
            if not connection.scalars(_LATE, {"age": seconds}).first():
                return []
        with self._db.writing() as connection:
            ids = connection.scalars(_LATE.with_for_update(skip_locked=True), {"age": seconds}).all()
            connection.execute(update(delivery).where(one_of(delivery.c.id, ids)).values(warned_at=now()))
            return shown(connection, [one_of(delivery.c.id, ids)], _WARNED)


def _end(row: Row[int, str, str, int, str | None, bool, float], one: Settled, *, held: bool) -> dict[str, object]:
    waits = one.state == "waiting"
    # It came back while it was tried.
    state = "bounced" if one.state == "delivered" and row.came_back else one.state
    return {
        "of": one.id,
        "now": state,
        "said": clean(one.words),
        "times": one.tries + 1,
        # What may have been sent, and is given up, may be sent once more by a person: then its forwarder must know.
        "over": bool(one.recipients) and all(to.state != "waiting" for to in one.recipients),
        "next": row.time + one.due_in if waits and not held else None,
        "end": None if waits else row.time,
    }
