"""Who works when: which account is due, whose it is, who watches it, and its visits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.runtime import lazy_imports

if TYPE_CHECKING:
    from gatewayd.scheduler.loop import Supervisor
    from gatewayd.scheduler.values import Dependencies, Timings

__all__ = ["Dependencies", "Supervisor", "Timings"]

if not TYPE_CHECKING:
    # A command has threads and workers of this room, and nothing else.
    __getattr__ = lazy_imports.attributes(__name__, {"loop": "Supervisor", "values": "Dependencies Timings"})
