"""Deliver what is due, lane by lane: at least once, with a stable idempotency key, or parked with the reason (promise P7)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.outbox.policy import Policy
from gatewayd.outbox.values import Round, Tools
from gatewayd.outbox.work import Work

if TYPE_CHECKING:
    from gatewayd.config import Config

__all__ = ["LIMIT", "Outbox", "Policy", "Round", "Tools"]

#: So many deliveries of a lane are taken at a time, and go by one connection.
LIMIT = 100


class Outbox:
    """Delivers with one config. Any number of lanes may be worked on at once, each by one thread."""

    def __init__(self, config: Config, policy: Policy | None = None) -> None:
        """``policy`` takes the place of the one that the config's limits make."""
        self._config = config
        self._policy = policy or Policy.of(config.limits)

    def deliver(self, lane: str, tools: Tools, *, failures: int = 0) -> Round:
        """Do one round on a lane: up to ``LIMIT`` of what is due. ``failures`` of it came before this one in a row.

        Raises what the store raises before anything was taken.
        """
        began = time.monotonic()
        taken = tools.store.take(lane, tools.owner.name, limit=LIMIT, dead=tools.owner.dead)
        if not taken:
            return Round(lane=lane)
        return Work(self._config, self._policy, tools, lane, taken, failures=failures, began=began).run()
