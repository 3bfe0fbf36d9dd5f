"""Try each plugin in a process of its own before it is imported here: whatever its import does, it costs that plugin alone."""

from gatewayd.registry.trial.trials import Trials
from gatewayd.registry.trial.values import TrialResult

__all__ = ["TrialResult", "Trials"]
