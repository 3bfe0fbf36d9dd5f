"""The log's lines about the store."""

from __future__ import annotations

import logging

from gatewayd.runtime.journal.saying import say, why

__all__ = ["store_away", "store_back", "store_new"]


def store_away(error: BaseException) -> None:
    """The store can't be reached; sessions are dropped before leases end, and it is tried again all the time."""
    say(logging.ERROR, "store away", **why(error))


def store_back(*, seconds: float) -> None:
    """The store can be reached again, after so many seconds."""
    say(logging.INFO, "store back", seconds=seconds)


def store_new(*, state: str) -> None:
    """The store's database is new, and empty, though this state folder was used before."""
    advice = "If there was mail in a database, stop gatewayd, and restore its backup first."
    say(logging.WARNING, "store new", state=state, advice=advice)
