"""Enter deliveries into the outbox; the same filing, goal and cause never make two (promise P7)."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from gatewayd_sql.database import Many
from gatewayd_sql.dialect import one_of
from gatewayd_sql.names_in_use import renamed_accounts
from gatewayd_sql.outbox_tables import delivery, recipient, suspension
from gatewayd_sql.times import clean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection

    from gatewayd import Delivery

__all__ = ["enter", "suspended"]

_ENTER = Many(insert(delivery).inline())
_TO = Many(insert(recipient))
_THERE = select(delivery.c.operator, delivery.c.mail_id, delivery.c.once, delivery.c.id).where(
    one_of(delivery.c.operator, name="operators"), one_of(delivery.c.mail_id, name="mails")
)
#: Nobody lets a target get deliveries again while one that is to wait for that is on its way into the table.
_SUSPENDED = (
    select(suspension.c.operator, suspension.c.target)
    .where(one_of(suspension.c.operator, name="operators"))
    .order_by(suspension.c.operator, suspension.c.target)
    .with_for_update(read=True)
)


def enter(connection: Connection, wanted: Sequence[tuple[str, int, Delivery]], time: float) -> list[int]:
    """Enter deliveries of filings, as (operator, mail id, delivery), and return the id of each.

    Nobody else may be entering any of the same filings: they are locked, or made by this transaction.
    """
    if not wanted:
        return []
    keys = [(operator, mail_id, _once(each)) for operator, mail_id, each in wanted]
    there = _there(connection, keys)
    new = {key: row for key, row in zip(keys, wanted, strict=True) if key not in there}
    if new:
        successors = renamed_accounts(connection)
        held = suspended(connection, {operator for operator, _, _ in new})
        _ENTER.run(
            connection, [_row(key, each, time, successors, held=(key[0], each.target) in held) for key, (_, _, each) in new.items()]
        )
        there = _there(connection, keys)
        _TO.run(
            connection,
            [
                {"delivery_id": there[key], "number": number, "address": address, "state": "waiting", "words": ""}
                for key, (_, _, each) in new.items()
                for number, address in enumerate(dict.fromkeys(map(clean, each.to)))
            ],
        )
    return [there[key] for key in keys]


def suspended(connection: Connection, operators: Collection[str]) -> set[tuple[str, str]]:
    """Return the targets of these operators that get nothing; until the end of the transaction they stay so."""
    return {(operator, target) for operator, target in connection.execute(_SUSPENDED, {"operators": sorted(operators)})}


def _there(connection: Connection, keys: Sequence[tuple[str, int, bytes]]) -> dict[tuple[str, int, bytes], int]:
    given = {"operators": sorted({operator for operator, _, _ in keys}), "mails": sorted({mail_id for _, mail_id, _ in keys})}
    return {(operator, mail_id, once): found for operator, mail_id, once, found in connection.execute(_THERE, given)}


def _once(each: Delivery) -> bytes:
    return sha256(f"{clean(each.goal)}\0{clean(each.cause)}".encode()).digest()


def _row(
    key: tuple[str, int, bytes], each: Delivery, time: float, successors: Mapping[str, str], *, held: bool
) -> dict[str, object]:
    operator, mail_id, once = key
    each = replace(each, account=successors.get(each.account, each.account))
    return {
        "operator": operator,
        "mail_id": mail_id,
        "forwarder": each.forwarder,
        "account": each.account,
        "target": each.target,
        "mode": each.mode,
        "cause": clean(each.cause),
        "message_id": clean(each.message_id),
        "lane": each.destination(operator),
        "once": once,
        "state": "withheld" if each.withheld else "waiting",
        "words": clean(each.withheld),
        "tries": 0,
        "entered_at": time,
        "ended_at": time if each.withheld else None,
        "warned_at": None,
        "due": None if each.withheld or held else time,
        "taker": None,
        "was_due": None,
    }
