"""A plugin is tried in a process of its own before it is imported here: whatever its import does, it costs that plugin alone."""

from gatewayd.registry.trial.trials import Tries
from gatewayd.registry.trial.values import Task, Verdict

__all__ = ["Task", "Tries", "Verdict"]
