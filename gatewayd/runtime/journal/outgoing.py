"""What happens to deliveries. Never an address, nor another side's words about one, which may quote it: the store has them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gatewayd.runtime.journal.saying import say, why

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
    """What became of one try: it was delivered, is tried again in ``retry_in`` seconds, or is parked."""
    fields: dict[str, Value] = {"destination": destination, "delivery": taken.id, "mail": taken.mail_id, "operator": taken.operator}
    tries = taken.tries + 1
    if settled.state == "delivered":
        say(logging.INFO, "delivered", **fields, target=taken.delivery.target, recipients=len(taken.recipients), tries=tries)
    elif settled.state == "waiting":
        say(logging.INFO, "delivery later", **fields, target=taken.delivery.target, tries=tries, retry_in=settled.due_in)
    else:
        say(logging.WARNING, "delivery parked", **fields, target=taken.delivery.target, tries=tries, advice=_LIST)


def delivery_withheld(account: str, mail_id: int, *, operator: str, target: str) -> None:
    """A rule took a mail for a target, and it does not go there: it may go in a circle, or the target has had enough."""
    advice = "See `gatewayd outbox list --state withheld`."
    say(logging.INFO, "delivery withheld", account=account, mail=mail_id, operator=operator, target=target, advice=advice)


def delivery_overdue(view: DeliveryView) -> None:
    """It waits for longer than `limits.warn`; it is said once."""
    target = view.delivery.target
    fields: dict[str, Value] = {"delivery": view.id, "mail": view.mail_id, "operator": view.operator}
    say(logging.WARNING, "delivery overdue", **fields, target=target, tries=view.tries, advice=_LIST)


def destination_failed(destination: str, error: BaseException, *, retry_in: float, failures: int) -> None:
    """Nothing goes through an account or to a target for now; it is tried again in ``retry_in`` seconds."""
    say(logging.WARNING, "destination failed", destination=destination, retry_in=retry_in, failures=failures, **why(error))


def destination_healed(destination: str, *, failures: int) -> None:
    """It works again after so many failures."""
    say(logging.INFO, "destination well again", destination=destination, failures=failures)


def outbox_waits(error: BaseException) -> None:
    """The store can't be asked what is due; it is asked again all the time."""
    say(logging.WARNING, "outbox waits for the store", **why(error))


def target_suspended(suspension: Suspension) -> None:
    """A target's mail came back for good: it gets nothing more until a person says so."""
    operator, target = suspension.operator, suspension.target
    advice = f"See `gatewayd status`, then `gatewayd outbox resume {target} --operator {operator}`."
    say(logging.ERROR, "target suspended", operator=operator, target=target, advice=advice)
