"""Log which plugins are imported, and observers that fail or hang."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gatewayd.runtime.journal.lines import place, write

if TYPE_CHECKING:
    from gatewayd.errors import GatewaydError

__all__ = [
    "events_dropped",
    "observer_failed",
    "observer_hangs",
    "observer_returned",
    "plugin_imported",
    "plugin_refused",
    "plugin_tried",
]


def plugin_tried(name: str, source: str) -> None:
    """A plugin that is not known to be sound is imported in a process apart."""
    write(logging.INFO, "plugin tried", plugin=name, source=source)


def plugin_imported(name: str, source: str) -> None:
    """A plugin is about to be imported; logged before, in case the import hangs."""
    write(logging.INFO, "plugin imported", plugin=name, source=source)


def plugin_refused(name: str, error: GatewaydError) -> None:
    """A plugin that was sound when it was tried can't be imported by the daemon."""
    write(logging.ERROR, "plugin refused", plugin=name, cause=error.message, advice=error.advice)


def observer_failed(plugin: str, error: BaseException, *, hook: str) -> None:
    """An observer raised; the others get the event all the same."""
    write(logging.WARNING, "observer failed", plugin=plugin, hook=hook, error=type(error).__name__, at=place(error))


def observer_hangs(plugin: str, *, hook: str, seconds: float, given_up: bool) -> None:
    """An observer does not return; once it is given up it gets no events until it does."""
    write(logging.ERROR if given_up else logging.WARNING, "observer hangs", plugin=plugin, hook=hook, seconds=seconds)


def observer_returned(plugin: str, *, hook: str, seconds: float) -> None:
    """An observer that was given up returned, and gets events again."""
    write(logging.INFO, "observer returned", plugin=plugin, hook=hook, seconds=seconds)


def events_dropped(count: int) -> None:
    """Observers were too slow for so many events, and never get them."""
    write(logging.WARNING, "events dropped", events=count)
