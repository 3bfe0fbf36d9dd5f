"""Deliver what is due at one destination: at least once, with a stable idempotency key, or parked with the reason (promise P7)."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.outgoing.policy import Policy
from gatewayd.outgoing.values import DeliveryRound, DeliveryTools
from gatewayd.outgoing.work import DestinationWork

if TYPE_CHECKING:
    from gatewayd.config import Config
    from gatewayd.runtime.instance import Instance

__all__ = ["LIMIT", "DeliveryRound", "DeliveryTools", "Outbox", "Policy", "abandoned"]

#: So many deliveries of a destination are taken at a time, and go by one connection.
LIMIT = 100


def abandoned(instance: Instance, taker: str) -> bool:
    """Whether nobody delivers what ``taker`` took of a destination that this process is not at work on.

    That is so for a dead process, and for this one itself: where the store went away before it answered that something was taken,
    or before it could be given back, nobody knows of it any more.
    """
    return taker == instance.name or instance.dead(taker)


class Outbox:
    """Delivers with one config. Any number of destinations may be worked on at once, each by one thread."""

    def __init__(self, config: Config, policy: Policy | None = None) -> None:
        """``policy`` takes the place of the one that the config's limits make."""
        self._config = config
        self._policy = policy or Policy.of(config.limits)

    def deliver(self, destination: str, tools: DeliveryTools, *, failures: int) -> DeliveryRound:
        """Do one round on a destination: up to ``LIMIT`` of what is due. ``failures`` of it came before this one in a row.

        Raises what the store raises before anything was taken.
        """
        began = time.monotonic()
        taken = tools.store.take(destination, tools.instance.name, limit=LIMIT, dead=partial(abandoned, tools.instance))
        if not taken:
            return DeliveryRound(destination=destination)
        return DestinationWork(self._config, self._policy, tools, destination, taken, failures=failures, began=began).run()
