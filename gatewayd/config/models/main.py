"""The fields of ``gatewayd.yaml``."""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from gatewayd.api.options import ConfigPath, Duration, Secret
from gatewayd.config.models.fields import Block, Email, Name, Text, Texts, TimeZone, distinct
from gatewayd.config.models.web import WebConfig

__all__ = [
    "AccountsOfUsers",
    "GatewaydFile",
    "LimitsConfig",
    "LogConfig",
    "MetricsConfig",
    "NotifyConfig",
    "WorkersConfig",
    "processes",
]


class PluginsBlock(Block):
    """Plugins that are not gatewayd's own."""

    folder: ConfigPath | None = Field(default=None, description="Folder of single-file plugins, each a `.py` file.")
    without: Texts = Field(
        default=(),
        description="Plugins that are left out, by their names or those of their files or distributions.",
    )
    deadline: Duration = Field(
        default=20.0,
        description="How long it may take to import one, in a process of its own. If it takes longer, it is out of use.",
        ge=1,
        le=600,
    )


def processes(cpus: int) -> int:
    """Return the default number of worker processes: one for each usable CPU, at least 2 and at most 8."""
    return min(max(cpus, 2), 8)


class WorkersConfig(Block):
    """The worker processes, in which mail is parsed, admitted and matched."""

    processes: int = Field(
        default_factory=lambda: processes(len(os.sched_getaffinity(0))),
        description="How many there are. Default: as many as CPUs may be used, at least 2, at most 8. "
        "0: commands match in their own process, without any guard.",
        ge=0,
        le=64,
    )
    deadline: Duration = Field(default=10.0, description="How long a matcher may take for a batch.", ge=1, le=3600)
    budget: Duration = Field(
        default=30.0,
        description="How long all the work on a batch for one operator may take; then as long again the search for a mail that a "
        "matcher can't bear.",
        ge=1,
        le=86400,
    )
    memory_mib: int = Field(
        default=512,
        description="MiB of memory that a process may take beyond what it has when its plugins are loaded.",
        ge=64,
        le=65536,
    )

    @model_validator(mode="after")
    def _ordered(self) -> WorkersConfig:
        if self.budget < self.deadline:
            raise ValueError("budget: expected at least the deadline of one matcher")
        return self


class LimitsConfig(Block):
    """What bounds the work on all accounts together."""

    visits: int = Field(default=16, description="How many accounts are visited at once.", ge=1, le=1000)
    visits_per_host: int = Field(default=8, description="How many of them at one server.", ge=1, le=1000)
    batch_messages: int = Field(default=200, description="How many messages make a batch at most.", ge=1, le=1000)
    batch_bytes: int = Field(
        default=16777216, description="How many bytes make a batch at most; a larger message comes alone.", ge=1, le=1 << 30
    )
    message_bytes: int = Field(
        default=268435456,
        description="The largest message that is fetched, in bytes; a larger one waits on the server. While an account is visited, "
        "three spools of at most this and twice `batch_bytes` each may lie in the state folder.",
        ge=1 << 16,
        le=1 << 36,
    )
    visit_bytes: int = Field(
        default=17179869184,
        description="How many bytes a server may send in one visit. What it has beyond that is had by the next one.",
        ge=1 << 30,
        le=1 << 50,
    )
    visit_messages: int = Field(
        default=50000,
        description="How many new messages are listed in one visit. The others are listed by the next one.",
        ge=1000,
        le=5_000_000,
    )
    visit_time: Duration = Field(
        default=3600.0,
        description="How long a visit may take before it ends with the step that it is at. What is left is had by the next one.",
        ge=60,
        le=604800,
    )
    day_bytes: int = Field(
        default=68719476736,
        description="How many bytes the server of an account may send in a day. When they came, it is visited once an hour, for "
        "as many as an hour's share.",
        ge=1 << 30,
        le=1 << 50,
    )
    day_messages: int = Field(
        default=500_000, description="How many new messages may be listed in a day, likewise.", ge=1000, le=100_000_000
    )
    reread_after: Duration = Field(
        default=600.0,
        description="How long after it was filed a message is fetched once more that is of another size than the server lists. "
        "Only if the same bytes come, is `after` done to it.",
        ge=1,
        le=604800,
    )
    backoff: Duration = Field(
        default=900.0, description="The longest pause between tries after faults of a network or server.", ge=1, le=86400
    )
    auth_pause: Duration = Field(
        default=900.0,
        description="The least pause after a refused log-in. A short one may lock a mailbox at its server.",
        ge=1,
        le=604800,
    )
    deliveries: int = Field(
        default=8, description="Through how many accounts and to how many webhooks is delivered at once.", ge=1, le=100
    )
    give_up: Duration = Field(default=432000.0, description="A delivery that is not taken for so long is parked.", ge=1, le=2592000)
    warn: Duration = Field(default=14400.0, description="A delivery that is not taken for so long is warned of.", ge=1, le=2592000)
    forwards_per_hour: int = Field(
        default=1000,
        description="How many forwards by rules a target gets in an hour; further ones are withheld: they may go in a circle.",
        ge=1,
        le=1000000,
    )
    forwards_per_sender: int | None = Field(
        default=None,
        description="How many of them may be of one sender, where the target gets mail; further ones are withheld: the sender may "
        "answer each. Default: a thirtieth of `forwards_per_hour`, and 10 at least.",
        ge=1,
        le=1000000,
    )


class LogConfig(Block):
    """The log, which goes to standard error."""

    format: Literal["plain", "json"] = Field(default="plain", description="A line of text or a JSON object for each event.")
    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="What is at least as grave is logged.")


class MetricsConfig(Block):
    """Metrics for Prometheus, at `/metrics`."""

    port: int = Field(default=9464, description="The port to listen on.", ge=1, le=65535)
    host: Text = Field(
        default="127.0.0.1", description="The address to listen on. Metrics name accounts and operators: keep it local."
    )


class AdministratorBlock(Block):
    """Somebody who looks after gatewayd."""

    email: Email = Field(description="The mail address.")


class NotifyConfig(Block):
    """How the administrators are told when an account stops, a directory goes stale or the store can't be written.

    And when it is over: little and together, at most six times an hour.
    """

    through: Name | None = Field(default=None, description="The account that sends them a mail. Either this or `kind`.")
    kind: Name | None = Field(
        default=None, description="The forwarder that tells them, such as `webhook`; its own fields stand beside it."
    )
    after: Duration = Field(default=900.0, description="How long what may pass by itself lasts before it is told.", ge=1, le=86400)

    @model_validator(mode="after")
    def _one_way(self) -> NotifyConfig:
        if (self.through is None) == (self.kind is None):
            found = "neither" if self.kind is None else "both"
            raise ValueError(f"expected either 'through' or 'kind', found {found}")
        return self


_HOST = re.compile(r"([A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?")


def _host(value: object) -> str:
    found = _HOST.fullmatch(value) if isinstance(value, str) else None
    if not found or not 0 < int(found[2] or 1) < 1 << 16:
        raise ValueError("expected a host such as imap.example.com, imap.example.com:1993 or [2001:db8::1]")
    return found[0].lower()


_AllowedHost = Annotated[str, PlainValidator(_host), WithJsonSchema({"type": "string", "pattern": f"^{_HOST.pattern}$"})]


class AccountsOfUsers(Block):
    """The mailboxes that users add for themselves, without an administrator (`gatewayd account add --user`)."""

    enabled: bool = Field(default=True, description="`false`: nobody adds one, and those that there are stop. Their mail stays.")
    hosts: Annotated[tuple[_AllowedHost, ...], BeforeValidator(distinct)] = Field(
        default=(),
        description="The only hosts that they may be at, such as `imap.example.com`, with a port if it is none of the standard "
        "ones (143, 993, 110, 995): `mail.internal:1993`. These may be inside your network. Without it, any host with a public "
        "address may be.",
        min_length=1,
    )
    max_messages: int = Field(
        default=50000, description="A folder of theirs with more messages is not listed.", ge=1, le=10_000_000
    )
    day_messages: int = Field(
        default=50000,
        description="How many new messages one of them may list in a day, in place of `limits.day_messages`.",
        ge=1,
        le=1_000_000_000,
    )


def _enabled(value: object) -> object:
    """``true`` and ``false`` stand for the block."""
    if not isinstance(value, bool | dict | AccountsOfUsers):
        raise ValueError("expected true, false, or a block with `hosts`")  # noqa: TRY004  pydantic translates ValueErrors
    return {"enabled": value} if isinstance(value, bool) else value


class GatewaydFile(Block):
    """`gatewayd.yaml`: What concerns the whole daemon."""

    state: ConfigPath | None = Field(default=None, description="Folder for all state. Default: `$STATE_DIRECTORY`.")
    store: dict[str, object] | None = Field(
        default=None,
        description="What keeps everything: its `kind`, with its options. Default: `sql`, `store/gatewayd.db` in the state folder.",
    )
    credentials: dict[Name, dict[str, object]] = Field(
        default={},
        description="What gets access tokens for accounts that log in without a password, by names that accounts give as "
        "`credential`: each has a `kind`, with its options.",
    )
    plugins: PluginsBlock = Field(default_factory=PluginsBlock, description="Plugins of your own, and plugins that are left out.")
    signing_key: Secret | None = Field(
        default=None,
        description="The key, of at least 32 characters, by which our own messages are known again; needed where several daemons "
        "share the store. Default: `signing.key` in the state folder, made by itself.",
    )
    sealing_key: Secret | None = Field(
        default=None,
        description="The key, of at least 32 characters, that seals persons' consents, passwords and second factors in the store; "
        "needed where daemons on several machines can use it. Default: `sealing.key` in the state folder, made by itself.",
    )
    old_sealing_keys: tuple[Secret, ...] = Field(
        default=(), description="Keys that came before: they still open what they sealed, and seal nothing more."
    )
    workers: WorkersConfig = Field(default_factory=WorkersConfig, description="The processes in which mail is matched.")
    limits: LimitsConfig = Field(default_factory=LimitsConfig, description="Bounds of the work on all accounts together.")
    log: LogConfig = Field(default_factory=LogConfig, description="The daemon's log.")
    time_zone: TimeZone = Field(
        default="UTC", description="Time zone of the times of day at which accounts are looked at (`import.at`)."
    )
    administrators: dict[Name, AdministratorBlock] = Field(default={}, description="Who is told by `notify`.")
    notify: dict[str, object] | None = Field(default=None, description="How the administrators are told what needs them.")
    accounts_of_users: Annotated[AccountsOfUsers, BeforeValidator(_enabled, json_schema_input_type=AccountsOfUsers | bool)] = Field(
        default_factory=AccountsOfUsers,
        description="Whether users may add mailboxes of their own, and at which hosts: `true`, `false`, or a block.",
    )
    metrics: MetricsConfig | None = Field(default=None, description="Metrics for Prometheus. Without it there are none.")
    web: WebConfig = Field(default_factory=WebConfig, description="The pages for people, which `gatewayd web` serves.")
