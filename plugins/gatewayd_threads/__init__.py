"""The matcher ``threads``: answers to our own mail are about what that mail was about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import hookimpl
from gatewayd_threads.matcher import Threads

if TYPE_CHECKING:
    from gatewayd import Matcher

__all__ = ["gatewayd_matchers"]


@hookimpl
def gatewayd_matchers() -> list[type[Matcher]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Threads]
