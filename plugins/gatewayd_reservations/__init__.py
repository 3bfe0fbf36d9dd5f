"""The matcher ``reservations``: which bookings a mail is about, by the numbers in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import hookimpl
from gatewayd_reservations.matcher import Reservations

if TYPE_CHECKING:
    from gatewayd import Matcher

__all__ = ["gatewayd_matchers"]


@hookimpl
def gatewayd_matchers() -> list[type[Matcher]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Reservations]
