"""The config folder, its operators and accounts as frozen values: two that are equal mean that nothing changed.

The blocks that need no look at other files, such as ``LimitsConfig``, are the models of ``gatewayd.config.models`` themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from gatewayd.config.models.fields import ERRORS
from gatewayd.config.models.main import AccountsOfUsers, LimitsConfig, LogConfig, WorkersConfig
from gatewayd.config.models.web import WebConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gatewayd.api.delivery import Mode
    from gatewayd.api.options import Secret
    from gatewayd.api.roles import Directory, Matcher, Plugin
    from gatewayd.api.store import Store
    from gatewayd.api.token_source import TokenSource
    from gatewayd.config.models.account import ImportConfig, SendConfig
    from gatewayd.config.models.main import MetricsConfig, NotifyConfig
    from gatewayd.config.models.operator import QueueBlock, UserConfig
    from gatewayd.config.rules import Rule
    from gatewayd.errors import Fault
    from gatewayd.message.values import Address
    from gatewayd.registry.loading import Registry
    from gatewayd.runtime.times_of_day import TimesOfDay

__all__ = ["AccountConfig", "Config", "OperatorConfig", "SecretUse", "TargetConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetConfig:
    """A named place that an operator's mail can be forwarded to."""

    name: str
    #: The forwarder.
    kind: str
    #: The account that sends, the addresses and the mode; of a target that gets no mail they are empty.
    account: str = ""
    to: tuple[str, ...] = ()
    mode: Literal["attached", "inline"] = "attached"
    #: The forwarder's own options; None for a target that gets mail, whose options are its account's.
    options: Plugin.Options | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorConfig:
    """A tour operator."""

    name: str
    title: str = ""
    #: Accounts of all operators serve it.
    receive: bool = True
    brands: tuple[str, ...] = ()
    #: None where the operator has no directory.
    directory_kind: str | None = None
    directory_options: Directory.Options | None = None
    #: (kind, options) in the order of the file.
    matchers: tuple[tuple[str, Matcher.Options], ...] = ()
    #: By name.
    targets: Mapping[str, TargetConfig] = field(default_factory=dict)
    #: In the order of the file.
    rules: tuple[Rule, ...] = ()
    #: Its error queues by name, besides ``ERRORS``; None: any name is one.
    queues: Mapping[str, QueueBlock] | None = None
    #: By the word that YAML and the command line use.
    users: Mapping[str, UserConfig] = field(default_factory=dict)
    #: The file has faults: mail is filed for the operator, with the fault ``config`` and without any matching.
    faulty: bool = False

    def has_queue(self, name: str) -> bool:
        """Whether an error queue may have this name."""
        return self.queues is None or name == ERRORS or name in self.queues


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    """A mailbox or an account that sends."""

    #: The file's name. State hangs on it.
    name: str
    #: The transport, or the forwarder.
    kind: str
    description: str = ""
    #: The operators that it serves; for a personal account that of the user.
    operators: tuple[str, ...]
    #: For a personal account the user of that one operator, else None.
    user: str | None = None
    #: Other users of that operator, who see all its mail and offers, too.
    share: tuple[str, ...] = ()
    #: The transport's or the forwarder's.
    options: Plugin.Options
    #: The name of the shared credential that it logs in with; empty if there is none.
    credential: str = ""
    #: Identifies its mailbox among all; empty if that is not possible, or nothing is imported.
    mailbox: str = ""
    #: See ``Transport.group``; empty if there is none.
    group: str = ""
    #: It may import a mailbox that another account has or had.
    second: bool = False
    #: How many sessions may be open at once, the transport's own limit included; None: as many as the server bears.
    connections: int | None = 2
    #: How many new messages may be listed in a day; None: as many as ``limits.day_messages``.
    day_messages: int | None = None
    #: None: nothing is imported.
    imports: ImportConfig | None = None
    #: The times of day at which it is visited; None: every ``imports.every`` seconds.
    at: TimesOfDay | None = None
    #: None: nothing is sent.
    sends: SendConfig | None = None
    #: The modes of mail that its forwarder can send.
    modes: tuple[Mode, ...] = ("attached", "inline", "as is")
    #: Where each key of ``sends`` is written, as file:line; for one that is not, where the block begins.
    sends_lines: Mapping[str, str] = field(default_factory=dict, compare=False)
    #: Addresses that a person may forward its mail to.
    approved: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretUse:
    """A reference to a secret, and its place in the config."""

    file: str
    line: int
    column: int
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole config folder: all of it that can be used, and the faults of the rest."""

    #: The config folder, absolute.
    folder: Path
    #: The state folder, absolute.
    state: Path
    store_kind: str
    store_options: Store.Options
    #: The key that our own messages are signed with; None: the one in the state folder.
    signing_key: Secret | None = None
    #: The key that seals what the store keeps; None: the one in the state folder.
    sealing_key: Secret | None = None
    #: The keys that sealed it before, which still open it.
    old_sealing_keys: tuple[Secret, ...] = ()
    #: The folder of single-file plugins, if there is one.
    plugins_folder: Path | None = None
    #: The plugins that the options above belong to.
    registry: Registry = field(repr=False, compare=False)
    operators: Mapping[str, OperatorConfig] = field(default_factory=dict)
    #: The accounts that can run, in the order of their names: of several system accounts of an operator the first counts.
    accounts: Mapping[str, AccountConfig] = field(default_factory=dict)
    #: The credentials that accounts share, by name.
    credentials: Mapping[str, TokenSource] = field(default_factory=dict)
    workers: WorkersConfig = field(default_factory=WorkersConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    #: What holds for the mailboxes that users add; see ``gatewayd.config.user_accounts``.
    accounts_of_users: AccountsOfUsers = field(default_factory=AccountsOfUsers)
    log: LogConfig = field(default_factory=LogConfig)
    #: The addresses of the administrators by name, and how they are notified; None: they are not.
    administrators: Mapping[str, str] = field(default_factory=dict)
    notify: NotifyConfig | None = None
    #: Of the forwarder that notifies them; None if an account sends them a mail.
    notify_options: Plugin.Options | None = None
    #: None: metrics are not served.
    metrics: MetricsConfig | None = None
    #: Of times of day in the config, and of people who did not choose another one.
    time_zone: str = "UTC"
    web: WebConfig = field(default_factory=WebConfig)
    #: Kind and options of the store as the pages read it.
    web_store: tuple[str, Store.Options] | None = None
    #: Every fault of every operator and account, by file and line.
    faults: tuple[Fault, ...] = ()
    #: The faulty files that run as last accepted; see ``running``.
    standing_in: tuple[str, ...] = ()
    #: Every reference to a secret, in all files.
    secrets: tuple[SecretUse, ...] = ()
    #: The operators' and accounts' files that were found, each with the SHA-256 of what was read; empty for a faulty one.
    digests: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def web_socket(self) -> Path:
        """The daemon's socket, by which the pages ask for what is written."""
        return self.web.socket or self.state / "web.sock"

    def secrets_by_file(self) -> Iterator[tuple[str, Secret]]:
        """Yield each secret with a file that needs it: the file that names it, and an account that names its credential."""
        yield from ((use.file, use.secret) for use in self.secrets)
        for account in self.accounts.values():
            shared = self.credentials.get(account.credential)
            yield from ((f"accounts/{account.name}.yaml", secret) for secret in (shared.secrets if shared else ()))
