"""Import a plugin that is known to be sound when something of it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError, PluginError
from gatewayd.registry.offers import offered
from gatewayd.runtime.standard_output import standard_output_kept
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.registry.discovery import FoundPlugin
    from gatewayd.registry.offers import PluginOffers
    from gatewayd.registry.trial import TrialResult

__all__ = ["LazyPlugin", "imported"]


def imported(found: FoundPlugin) -> PluginOffers:
    """Import a plugin, and return what it offers. Raises PluginError, and whatever the plugin raises."""
    with standard_output_kept():
        return offered(found.name, found.load().plugin)


class LazyPlugin:
    """A sound plugin that is imported when something of it is asked for."""

    def __init__(self, found: FoundPlugin, verdict: TrialResult, say: Callable[[str, str], None]) -> None:
        self.found = found
        self.verdict = verdict
        self._say = say
        self._offered: PluginOffers | None = None
        #: Why it can't be imported here, although it was sound when it was tried.
        self._error = ""

    def offered(self) -> PluginOffers:
        """Return what it offers; raises PluginError, and each time again."""
        if self._offered is None and not self._error:
            if not self.found.is_imported:
                self._say(self.found.name, self.found.source)
            try:
                self._offered = imported(self.found)
                if set(self._offered.words) != set(self.verdict.words):
                    self._error = "it offers something else than when it was tried"
            except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a plugin raises puts that plugin alone out of use
                self._error = error.sentences if isinstance(error, GatewaydError) else where(error)
        if self._error or self._offered is None:
            raise PluginError(f"the plugin {self.found.name} is out of use: {self._error}", advice="See `gatewayd plugins list`.")
        return self._offered
