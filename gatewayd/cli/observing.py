"""Tell observer plugins what a command files and delivers by itself, as the daemon does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatewayd import __version__
from gatewayd.cli import output
from gatewayd.daemon.event_reporting import EventReporter
from gatewayd.daemon.observers import Observers
from gatewayd.registry.loading import OBSERVERS
from gatewayd.runtime.events import Events
from gatewayd.runtime.metrics import Metrics
from gatewayd.runtime.standard_output import standard_output_kept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.cli.app import App

__all__ = ["observed"]

#: Seconds that observers have to hear of what is left when the work is done.
_PATIENCE = 10.0


@contextmanager
def observed(app: App) -> Iterator[Events]:
    """Yield events that observers hear of while the block lasts. What observers print does not go to standard output."""
    if not any(app.registry.observers(f"gatewayd_{hook}") for hook in OBSERVERS):
        yield Events()
        return
    with standard_output_kept():
        observers = Observers(app.registry)
        try:
            yield EventReporter(Metrics(version=__version__), observers)
        finally:
            observers.close(_PATIENCE)
            for problem in observers.problems():
                output.note(f"gatewayd: {problem}; it is left behind.")
