"""The config folder as one ``Config`` value. Every fault is found at once, as file:line:column.

``load`` reads the files as they are, to check them. ``running`` is for the daemon: the copy that ``accept`` kept runs in place
of a faulty file. ``current`` does the same for commands, and also for a faulty ``gatewayd.yaml``. ``changes`` compares two configs.
Secrets stay references: ``outside_faults`` tries them, and ``right_faults`` finds files that others could change or read.
"""

from __future__ import annotations

from gatewayd.config.accepted import accept, was_accepted
from gatewayd.config.changes import Changes, changes, digest, fingerprint_of, kept, watched
from gatewayd.config.consents import consents_of, old_keys_in_use, prove_key, token_use, unchanged
from gatewayd.config.draft import AccountDraft, drafted
from gatewayd.config.loading import current, load, plugins_of, running, state_is_anothers
from gatewayd.config.main import log_of, web_of
from gatewayd.config.models.account import ImportConfig, SendConfig
from gatewayd.config.models.fields import ERRORS
from gatewayd.config.models.main import LimitsConfig, LogConfig, MetricsConfig, WorkersConfig
from gatewayd.config.models.operator import UserConfig
from gatewayd.config.models.web import WebConfig
from gatewayd.config.references import ca_files, outside_faults
from gatewayd.config.renaming import FileChanges, file_changes, free_names, is_due
from gatewayd.config.rights import right_faults
from gatewayd.config.settings import settings
from gatewayd.config.user_accounts import MAIL_PORTS, account_of, is_of_user, made, with_user_accounts
from gatewayd.config.user_passwords import UserPasswords, service_keys
from gatewayd.config.values import AccountConfig, Config, OperatorConfig, TargetConfig

__all__ = [
    "ERRORS",
    "MAIL_PORTS",
    "AccountConfig",
    "AccountDraft",
    "Changes",
    "Config",
    "FileChanges",
    "ImportConfig",
    "LimitsConfig",
    "LogConfig",
    "MetricsConfig",
    "OperatorConfig",
    "SendConfig",
    "TargetConfig",
    "UserConfig",
    "UserPasswords",
    "WebConfig",
    "WorkersConfig",
    "accept",
    "account_of",
    "ca_files",
    "changes",
    "consents_of",
    "current",
    "digest",
    "drafted",
    "file_changes",
    "fingerprint_of",
    "free_names",
    "is_due",
    "is_of_user",
    "kept",
    "load",
    "log_of",
    "made",
    "old_keys_in_use",
    "outside_faults",
    "plugins_of",
    "prove_key",
    "right_faults",
    "running",
    "service_keys",
    "settings",
    "state_is_anothers",
    "token_use",
    "unchanged",
    "was_accepted",
    "watched",
    "web_of",
    "with_user_accounts",
]
