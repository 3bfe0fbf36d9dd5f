"""Record bounces of our own deliveries; a hard bounce suspends the target."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, null, select, update

from gatewayd import Suspension, compared
from gatewayd_sql.database import Many
from gatewayd_sql.dialect import InsertOrIgnore, one_of
from gatewayd_sql.outbox_tables import BOUNCED, OPEN, delivery, recipient, suspension
from gatewayd_sql.tables import WAITING
from gatewayd_sql.times import clean, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row

    from gatewayd import Bounce, Filed

__all__ = ["bounced"]

_OURS = (
    select(
        delivery.c.id,
        delivery.c.operator,
        delivery.c.target,
        delivery.c.state,
        delivery.c.message_id,
        delivery.c.taker.is_not(None).label("tried"),
    )
    .where(one_of(delivery.c.message_id, name="message_ids"))
    .order_by(delivery.c.id)
    .with_for_update()
)
_TO = select(recipient.c.delivery_id, recipient.c.number, recipient.c.address, recipient.c.state).where(
    one_of(recipient.c.delivery_id, name="ids")
)
_CAME_BACK = Many(
    update(recipient)
    .where(recipient.c.delivery_id == bindparam("of"), recipient.c.number == bindparam("nth"))
    .values(state=BOUNCED, words=bindparam("said"))
)
#: Whoever tries it just now is not heard any more: nobody is left to whom it could go.
_END = Many(
    update(delivery)
    .where(delivery.c.id == bindparam("of"))
    .values(state=BOUNCED, words=bindparam("said"), ended_at=bindparam("at"), due=null(), taker=null(), was_due=null())
)
#: Stands behind the words of a bounce that only a letter tells of.
_BY_TEXT = "as a letter says"
_SUSPEND = Many(InsertOrIgnore(suspension))
_HELD = select(suspension.c.operator, suspension.c.target).where(one_of(suspension.c.operator, name="operators"))
#: What is being tried is left to whoever tries it.
_HOLD = Many(
    update(delivery)
    .where(
        delivery.c.operator == bindparam("whose"),
        delivery.c.target == bindparam("goal"),
        OPEN,
        delivery.c.state == WAITING,
        delivery.c.taker.is_(None),
    )
    .values(due=null())
)


def bounced(connection: Connection, batch: Iterable[Filed], time: float) -> tuple[Suspension, ...]:
    """Keep the bounces that a batch brought with the deliveries that they are of; return the targets that are suspended by it.

    A delivery of an operator that the mail is not filed for is left alone: it is none of his bounces. What rests on a letter's
    words alone says so: it ends nothing that somebody may still get, and suspends nothing.
    """
    brought = [(each.bounce, {one.operator for one in each.filings}) for each in batch if each.bounce is not None]
    if not brought:
        return ()
    ours = connection.execute(_OURS, {"message_ids": sorted({clean(bounce.message_id) for bounce, _ in brought})}).all()
    found = {row.id: _Bounced(row) for row in ours}
    for row in connection.execute(_TO, {"ids": list(found)}):
        found[row.delivery_id].states[row.number, row.address] = row.state
    for bounce, operators in brought:
        for one in found.values():
            if one.row.message_id == clean(bounce.message_id) and one.row.operator in operators:
                one.keep(bounce)
    back = [one for one in found.values() if one.said]
    words = [{"of": one.row.id, "nth": number, "said": said} for one in back for number, said in one.said.items()]
    _CAME_BACK.run(connection, words)
    ended = [one for one in back if not (one.row.state == "waiting" and one.open)]
    _END.run(connection, [{"of": one.row.id, "said": one.words, "at": time} for one in ended])
    return _suspended(connection, [one for one in back if one.row.target and one.lost], time)


class _Bounced:
    """A delivery, and what came back of it."""

    def __init__(self, row: Row[int, str, str, str, str, bool]) -> None:
        self.row = row
        self.states: dict[tuple[int, str], str] = {}
        #: Words by number of the recipient.
        self.said: dict[int, str] = {}
        self._hard: set[int] = set()

    def keep(self, bounce: Bounce) -> None:
        """Take in what a bounce says of its recipients, as far as the mail can have reached them; others are not known to us.

        To whom it did not go it can't come back: one of several who have it must not end what is still to go to the others.
        """
        proven = bounce.evidence == "report"
        reached = {"delivered", "bounced"}
        if proven and (self.row.tried or self.row.state == "delivered"):
            # Of those that wait while it is tried, nobody knows whether they have it.
            reached.add("waiting")
        numbers: dict[str, list[int]] = defaultdict(list)
        for (number, address), state in self.states.items():
            if state in reached:
                numbers[compared(address)].append(number)
                # A letter that names nobody is about the only one who got it.
                numbers[""] = [number] if len(self.states) == 1 else []
        for one in bounce.recipients:
            for number in numbers[compared(clean(one.address))]:
                self.said[number] = clean(one.words) if proven else f"{clean(one.words)} ({_BY_TEXT})"
                self._hard |= {number} if one.hard and proven else set()

    @property
    def open(self) -> bool:
        """Whether somebody is left to whom it is to go."""
        return any(state == "waiting" and number not in self.said for (number, _), state in self.states.items())

    @property
    def lost(self) -> bool:
        """Whether it came back hard, and nobody has it."""
        unreached = (number in self.said or state in {"refused", "bounced"} for (number, _), state in self.states.items())
        return bool(self._hard) and all(unreached)

    @property
    def words(self) -> str:
        """What came back, in one line."""
        return "; ".join(f"{address}: {self.said[number]}" for number, address in sorted(self.states) if number in self.said)


def _suspended(connection: Connection, lost: Sequence[_Bounced], time: float) -> tuple[Suspension, ...]:
    """Suspend the targets of these deliveries, and return those that were not suspended before."""
    if not lost:
        return ()
    there = set(map(tuple, connection.execute(_HELD, {"operators": sorted({one.row.operator for one in lost})})))
    causes = {(one.row.operator, one.row.target): f"delivery {one.row.id} came back: {one.words}" for one in lost}
    new = {key: cause for key, cause in sorted(causes.items()) if key not in there}
    rows = [{"operator": operator, "target": target, "since": time, "cause": cause} for (operator, target), cause in new.items()]
    _SUSPEND.run(connection, rows)
    _HOLD.run(connection, [{"whose": operator, "goal": target} for operator, target in new])
    return tuple(
        Suspension(operator=operator, target=target, since=moment(time), cause=cause) for (operator, target), cause in new.items()
    )
