"""The log of plugins: what is imported, and observers that fail or hang."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gatewayd.runtime.journal.lines import place
from gatewayd.runtime.journal.saying import say

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
    say(logging.INFO, "plugin tried", plugin=name, source=source)


def plugin_imported(name: str, source: str) -> None:
    """A plugin is imported: said before it is, for the case that it does not come to its end."""
    say(logging.INFO, "plugin imported", plugin=name, source=source)


def plugin_refused(name: str, error: GatewaydError) -> None:
    """A plugin that was sound when it was tried can't be imported by the daemon."""
    say(logging.ERROR, "plugin refused", plugin=name, cause=error.message, advice=error.advice)


def observer_failed(plugin: str, error: BaseException, *, hook: str) -> None:
    """An observer raised; the others have heard of it all the same."""
    say(logging.WARNING, "observer failed", plugin=plugin, hook=hook, error=type(error).__name__, at=place(error))


def observer_hangs(plugin: str, *, hook: str, seconds: float, given_up: bool) -> None:
    """An observer does not return; once given up it hears nothing until it does."""
    say(logging.ERROR if given_up else logging.WARNING, "observer hangs", plugin=plugin, hook=hook, seconds=seconds)


def observer_returned(plugin: str, *, hook: str, seconds: float) -> None:
    """An observer that was given up returned, and hears of what comes from now on."""
    say(logging.INFO, "observer returned", plugin=plugin, hook=hook, seconds=seconds)


def events_dropped(count: int) -> None:
    """Observers were too slow for so many events, and never hear of them."""
    say(logging.WARNING, "events dropped", events=count)
