"""The matcher ``contacts``: who wrote, and for which customer or supplier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import hookimpl
from gatewayd_contacts.matcher import Contacts

if TYPE_CHECKING:
    from gatewayd import Matcher

__all__ = ["gatewayd_matchers"]


@hookimpl
def gatewayd_matchers() -> list[type[Matcher]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Contacts]
