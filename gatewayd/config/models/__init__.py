"""The kernel's own fields of the three kinds of YAML file. A plugin's fields stand beside them and are the plugin's."""

from gatewayd.config.models.account import AccountFile, ImportConfig, SendConfig
from gatewayd.config.models.fields import ERRORS, NAME, Name, Start, yaml_keys
from gatewayd.config.models.main import GatewaydFile, LimitsConfig, LogConfig, MetricsConfig, NotifyConfig, WorkersConfig
from gatewayd.config.models.operator import MailTarget, OperatorFile, QueueBlock, RuleConditions, UserConfig

__all__ = [
    "ERRORS",
    "NAME",
    "AccountFile",
    "GatewaydFile",
    "ImportConfig",
    "LimitsConfig",
    "LogConfig",
    "MailTarget",
    "MetricsConfig",
    "Name",
    "NotifyConfig",
    "OperatorFile",
    "QueueBlock",
    "RuleConditions",
    "SendConfig",
    "Start",
    "UserConfig",
    "WorkersConfig",
    "yaml_keys",
]
