"""The command ``demo``: the main job on this machine, with nothing to set up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import hookimpl
from gatewayd_demo.command import Demo

if TYPE_CHECKING:
    from gatewayd import Command

__all__ = ["gatewayd_commands"]


@hookimpl
def gatewayd_commands() -> list[type[Command]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Demo]
