"""Writes an event to the log: its name and its fields, without text of a mail."""

from __future__ import annotations

import logging

from gatewayd.errors import GatewaydError
from gatewayd.runtime.journal.lines import EVENTS, FIELDS, Value, place

__all__ = ["LOG", "say", "why"]

LOG = logging.getLogger(EVENTS)


def say(level: int, event: str, /, **fields: Value) -> None:
    """Write one line, where the log wants lines of that level."""
    if LOG.isEnabledFor(level):
        LOG.log(level, event, extra={FIELDS: fields})


def why(error: BaseException) -> dict[str, Value]:
    """Our five errors say what is wrong without secrets; of any other only class and place are told."""
    if isinstance(error, GatewaydError):
        return {"error": type(error).__name__, "cause": error.message, "advice": error.advice}
    return {"error": type(error).__name__, "at": place(error)}
