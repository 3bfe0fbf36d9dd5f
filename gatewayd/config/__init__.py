"""The config folder as one ``Config`` value. Every fault is found at once, as file:line:column.

``load`` reads what stands there, for commands. ``running`` is for the daemon: a faulty file runs as last accepted, and
``accept`` keeps what was taken over. ``changes`` tells two configs apart. Secrets stay references; ``secret_faults`` tries
them.
"""

from __future__ import annotations

from gatewayd.config.accepted import accept, running
from gatewayd.config.changes import Changes, changes, fingerprint_of, kept, watched
from gatewayd.config.folder import load, secret_faults
from gatewayd.config.values import (
    AccountConfig,
    Config,
    ImportConfig,
    LimitsConfig,
    LogConfig,
    MetricsConfig,
    OperatorConfig,
    SecretUse,
    SendConfig,
    TargetConfig,
    UserConfig,
    WorkersConfig,
)

__all__ = [
    "AccountConfig",
    "Changes",
    "Config",
    "ImportConfig",
    "LimitsConfig",
    "LogConfig",
    "MetricsConfig",
    "OperatorConfig",
    "SecretUse",
    "SendConfig",
    "TargetConfig",
    "UserConfig",
    "WorkersConfig",
    "accept",
    "changes",
    "fingerprint_of",
    "kept",
    "load",
    "running",
    "secret_faults",
    "watched",
]
