"""The kernel's own fields of the three kinds of YAML file. A plugin's fields stand beside them and are the plugin's."""

from gatewayd.config.models.account import AccountFile, ImportBlock, SendBlock
from gatewayd.config.models.fields import NAME, Name, Start
from gatewayd.config.models.main import GatewaydFile, LimitsBlock, LogBlock, MetricsBlock, NotifyBlock, WorkersBlock
from gatewayd.config.models.operator import MailTarget, OperatorFile, WhenBlock

__all__ = [
    "NAME",
    "AccountFile",
    "GatewaydFile",
    "ImportBlock",
    "LimitsBlock",
    "LogBlock",
    "MailTarget",
    "MetricsBlock",
    "Name",
    "NotifyBlock",
    "OperatorFile",
    "SendBlock",
    "Start",
    "WhenBlock",
    "WorkersBlock",
]
