"""Log events of deliveries, without addresses and without the other side's words, which may quote them: the store has both."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gatewayd.runtime.journal.lines import cause_of, write

if TYPE_CHECKING:
    from gatewayd.api.delivery import DeliveryView, Settled, Suspension, Taken
    from gatewayd.runtime.journal.lines import Value

__all__ = [
    "delivery_overdue",
    "delivery_settled",
    "delivery_withheld",
    "destination_failed",
    "destination_healed",
    "outbox_waits",
    "target_suspended",
]

_LIST = "See `gatewayd outbox list`."


def delivery_settled(destination: str, taken: Taken, settled: Settled) -> None:
    """One try ended: it was delivered, is tried again in ``retry_in`` seconds, or is parked."""
    fields: dict[str, Value] = {"destination": destination, "delivery": taken.id, "mail": taken.mail_id, "operator": taken.operator}
    tries = taken.tries + 1
    if settled.state == "delivered":
        write(logging.INFO, "delivered", **fields, target=taken.delivery.target, recipients=len(taken.recipients), tries=tries)
    elif settled.state == "waiting":
        write(logging.INFO, "delivery later", **fields, target=taken.delivery.target, tries=tries, retry_in=settled.due_in)
    else:
        write(logging.WARNING, "delivery parked", **fields, target=taken.delivery.target, tries=tries, advice=_LIST)


def delivery_withheld(account: str, mail_id: int, *, operator: str, target: str) -> None:
    """A rule matched, but the mail is not forwarded: it may go in a circle, or the target has had too many."""
    advice = "See `gatewayd outbox list --state withheld`."
    write(logging.INFO, "delivery withheld", account=account, mail=mail_id, operator=operator, target=target, advice=advice)


def delivery_overdue(view: DeliveryView) -> None:
    """A delivery waits for longer than `limits.warn`; logged once."""
    target = view.delivery.target
    fields: dict[str, Value] = {"delivery": view.id, "mail": view.mail_id, "operator": view.operator}
    write(logging.WARNING, "delivery overdue", **fields, target=target, tries=view.tries, advice=_LIST)


def destination_failed(destination: str, error: BaseException, *, retry_in: float, failures: int) -> None:
    """Nothing goes through an account or to a target for now; it is tried again in ``retry_in`` seconds."""
    write(logging.WARNING, "destination failed", destination=destination, retry_in=retry_in, failures=failures, **cause_of(error))


def destination_healed(destination: str, *, failures: int) -> None:
    """A destination works again after so many failures."""
    write(logging.INFO, "destination well again", destination=destination, failures=failures)


def outbox_waits(error: BaseException) -> None:
    """The store can't be asked which deliveries are due; it is asked again and again."""
    write(logging.WARNING, "outbox waits for the store", **cause_of(error))


def target_suspended(suspension: Suspension) -> None:
    """A target's mail bounced for good: it gets nothing more until a person resumes it."""
    operator, target = suspension.operator, suspension.target
    advice = f"See `gatewayd status`, then `gatewayd outbox resume {target} --operator {operator}`."
    write(logging.ERROR, "target suspended", operator=operator, target=target, advice=advice)
