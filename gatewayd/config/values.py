"""The config as frozen values: equality of two tells whether something changed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gatewayd.api.forwarder import Forwarder
    from gatewayd.api.options import Secret
    from gatewayd.api.roles import Directory, Matcher, Plugin
    from gatewayd.api.store import Store
    from gatewayd.api.values import Action
    from gatewayd.config.models import Start
    from gatewayd.config.rules import Rule
    from gatewayd.errors import Fault
    from gatewayd.message.values import Address
    from gatewayd.registry.loading import Registry

__all__ = [
    "ERRORS",
    "AccountConfig",
    "Config",
    "ImportConfig",
    "LimitsConfig",
    "LogConfig",
    "MetricsConfig",
    "NotifyConfig",
    "OperatorConfig",
    "SecretUse",
    "SendConfig",
    "TargetConfig",
    "UserConfig",
    "WorkersConfig",
    "processes",
]


#: The error queue that every operator has.
ERRORS = "errors"


def processes(cpus: int) -> int:
    """Return how many worker processes there are where nobody says: one for each CPU that may be used, within reason."""
    return min(max(cpus, 2), 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """A user of an operator."""

    #: The full name, for people.
    name: str
    email: str


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
    """A tour operator, as its file says."""

    name: str
    title: str = ""
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
    #: The titles of its error queues by name, besides ``ERRORS``; None: any name is one.
    queues: Mapping[str, str] | None = None
    #: By the word that YAML and the command line use.
    users: Mapping[str, UserConfig] = field(default_factory=dict)
    #: The file has faults: mail is filed for the operator, with the fault ``config`` and without any matching.
    faulty: bool = False

    def has_queue(self, name: str) -> bool:
        """Whether an error queue may have this name."""
        return self.queues is None or name == ERRORS or name in self.queues


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportConfig:
    """What is imported from an account, and how often."""

    folders: tuple[str, ...] = ("INBOX",)
    #: Seconds between two visits.
    every: float = 60.0
    enabled: bool = True
    start: Start = "all"
    #: For each kind of owner the types of contact whose mail is admitted; empty: all mail is.
    contact_types: Mapping[Literal["customer", "supplier"], tuple[str, ...]] = field(default_factory=dict)
    error_queue: str = ERRORS
    #: What is done on the server once a mail is filed; None: nothing.
    after: Action | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendConfig:
    """What an account may send."""

    sender: Address
    system: bool = False
    #: Mail must be from ``sender``.
    match: bool = False
    cc: bool = True
    bcc: bool = True
    docx: bool = False
    max_bytes: int = 36700160
    #: Where each of the fields above is said, as file:line; for one that is not, where the block is.
    where: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    """A mailbox or an account that sends, as its file says."""

    #: The file's name. State hangs on it.
    name: str
    #: The transport, or the forwarder.
    kind: str
    description: str = ""
    #: The operators that it serves; for a personal account the user's one.
    operators: tuple[str, ...]
    #: For a personal account the user of that one operator, else None.
    user: str | None = None
    #: The transport's or the forwarder's.
    options: Plugin.Options
    #: What tells its mailbox from every other; empty where that can't be told, or nothing is imported.
    mailbox: str = ""
    #: It may import a mailbox that another account has or had.
    second: bool = False
    #: How many sessions may be open at once, the transport's own limit included; None: as many as the server bears.
    connections: int | None = 2
    #: None: nothing is imported.
    imports: ImportConfig | None = None
    #: None: nothing is sent.
    sends: SendConfig | None = None
    #: Addresses that a person may forward its mail to.
    approved: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersConfig:
    """The processes in which mail is examined."""

    #: 0: mail is examined in the daemon itself.
    processes: int = field(default_factory=lambda: processes(len(os.sched_getaffinity(0))))
    #: Seconds that a matcher may take for a batch.
    deadline: float = 10.0
    #: Seconds that all the work on a batch for one operator may take.
    budget: float = 30.0
    #: MiB of memory that a process may take beyond what it has when its plugins are loaded.
    memory_mib: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """What bounds the work on all accounts together."""

    #: How many accounts are visited at once, and how many of them at one server.
    visits: int = 16
    visits_per_host: int = 8
    #: How many messages and how many bytes make a batch at most; a larger message comes alone.
    batch_messages: int = 200
    batch_bytes: int = 16777216
    #: The largest message that is fetched, in bytes. A batch takes at most this and twice ``batch_bytes`` of the disk.
    message_bytes: int = 268435456
    #: How many bytes a server may send in one visit, how many new messages it may list, and how many seconds that may
    #: take.
    visit_bytes: int = 17179869184
    visit_messages: int = 50000
    visit_time: float = 3600.0
    #: How many bytes the server of an account may send in a day, and how many new messages it may list.
    day_bytes: int = 68719476736
    day_messages: int = 500000
    #: Seconds until a message is fetched once more that is of another size than the server lists.
    reread_after: float = 600.0
    #: Seconds of the longest pause between tries after faults of a network or server.
    backoff: float = 900.0
    #: Seconds of the least pause after a refused log-in.
    auth_pause: float = 900.0
    #: To how many destinations is delivered at once.
    deliveries: int = 8
    #: Seconds after which a delivery is parked, and warned of.
    give_up: float = 432000.0
    warn: float = 14400.0
    #: How many forwards by rules a target gets in an hour.
    forwards_per_hour: int = 1000
    #: How many of them of one sender; None: a thirtieth, and 10 at least.
    forwards_per_sender: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """The daemon's log."""

    format: Literal["plain", "json"] = "plain"
    level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """Where metrics are served."""

    port: int = 9464
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyConfig:
    """How the administrators are told what needs them."""

    #: The account that sends a mail; empty where a forwarder tells them by itself.
    through: str = ""
    kind: str = ""
    options: Forwarder.Options | None = None
    #: Seconds after which is told what may pass by itself.
    after: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretUse:
    """A reference to a secret, and where it stands."""

    file: str
    line: int
    column: int
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole config folder: what can be used of it, and what is wrong with the rest."""

    #: The config folder, absolute.
    folder: Path
    #: The state folder, absolute.
    state: Path
    store_kind: str
    store_options: Store.Options
    #: The key that our own messages are signed with; None: the one in the state folder.
    signing_key: Secret | None = None
    #: The folder of single-file plugins, if there is one.
    plugins_folder: Path | None = None
    #: The plugins that the options above belong to.
    registry: Registry = field(repr=False, compare=False)
    operators: Mapping[str, OperatorConfig] = field(default_factory=dict)
    #: The accounts that can run, in the order of their names: of several system accounts of an operator the first counts.
    accounts: Mapping[str, AccountConfig] = field(default_factory=dict)
    workers: WorkersConfig = field(default_factory=WorkersConfig)
    limits: LimitsConfig = LimitsConfig()
    log: LogConfig = LogConfig()
    #: The addresses of the administrators, by name, and how they are told; None: they are not.
    administrators: Mapping[str, str] = field(default_factory=dict)
    notify: NotifyConfig | None = None
    #: None: metrics are not served.
    metrics: MetricsConfig | None = None
    #: Every fault of every operator and account, by file and line.
    faults: tuple[Fault, ...] = ()
    #: The faulty files in whose place what was last accepted runs; see ``running``.
    standing_in: tuple[str, ...] = ()
    #: Every reference to a secret, in all files.
    secrets: tuple[SecretUse, ...] = ()
    #: The operators' and accounts' files that were found, each with the SHA-256 of what was read; empty for a faulty one.
    digests: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
