"""The pages for people: a process of its own, which reads the store and asks the daemon for whatever is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import hookimpl
from gatewayd_web.command import Web

if TYPE_CHECKING:
    from gatewayd import Command

__all__ = ["gatewayd_commands"]


@hookimpl
def gatewayd_commands() -> list[type[Command]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Web]
