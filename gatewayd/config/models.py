"""The kernel's own fields of the three kinds of YAML file. A plugin's fields stand beside them and are the plugin's."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PlainValidator, StringConstraints, WithJsonSchema, model_validator

from gatewayd.model import Action, Kind
from gatewayd.options import ConfigPath, Duration, Options, Secret
from gatewayd.rules import compiled

__all__ = [
    "NAME",
    "AccountFile",
    "GatewaydFile",
    "ImportBlock",
    "LimitsBlock",
    "LogBlock",
    "OperatorFile",
    "Start",
    "WorkersBlock",
]

#: The name of an account, operator, user or target.
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_USER = re.compile(rf"{NAME.pattern}/{NAME.pattern}")

#: What a folder's first listing takes: all, only what comes from now on, or what arrived at or after a time.
Start: TypeAlias = Literal["all", "now"] | datetime


def _start(value: object) -> Start:
    if value == "all" or value == "now":  # noqa: PLR1714  mypy narrows this to the words
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            pass
    msg = "expected all, now or a date such as 2026-01-31"
    raise ValueError(msg)


def _after(value: object) -> Action | None:
    if value == "keep":
        return None
    if value == "seen":
        return Action(do="seen")
    if value == "delete":
        return Action(do="delete")
    if isinstance(value, dict) and list(value) == ["move"] and isinstance(value["move"], str) and value["move"].strip():
        return Action(do="move", folder=value["move"])
    msg = "expected keep, seen, delete or {move: FOLDER}"
    raise ValueError(msg)


def _user(value: object) -> str:
    if isinstance(value, str) and _USER.fullmatch(value):
        return value
    msg = "expected operator/user, such as acme/irina"
    raise ValueError(msg)


def _name(value: object) -> str:
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    msg = "expected a name such as acme (a-z, 0-9, - _ .; at most 64)"
    raise ValueError(msg)


def _email(value: object) -> str:
    if isinstance(value, str) and len(value) <= _MAX_EMAIL and re.fullmatch(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+", value):
        return value
    msg = "expected a mail address such as irina@example.com"
    raise ValueError(msg)


def _correspondent(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[^@\s<>,;\"]*@[^@\s<>,;\"]+", value) and len(value) <= _MAX_EMAIL:
        return value.lower()
    msg = "expected a mail address or a domain such as @example.com"
    raise ValueError(msg)


def _pattern(value: object) -> str:
    if not isinstance(value, str) or not value:
        msg = "expected a pattern such as (?i)urgent"
        raise ValueError(msg)
    compiled(value)
    return value


def _several(value: object) -> object:
    """Let one stand for a list of one."""
    return _distinct([value] if isinstance(value, str) else value)


def _distinct(value: object) -> object:
    if isinstance(value, list):
        twice = next((item for item in value if isinstance(item, str) and value.count(item) > 1), None)
        if twice is not None:
            msg = f"{twice!r} stands here twice, expected it once"
            raise ValueError(msg)
    return value


_MAX_EMAIL = 254
_NAME_SCHEMA = {"type": "string", "pattern": f"^{NAME.pattern}$"}
_MOVE_SCHEMA = {
    "type": "object",
    "properties": {"move": {"type": "string", "minLength": 1, "description": "The folder to move to."}},
    "required": ["move"],
    "additionalProperties": False,
}
_AFTER_SCHEMA = {"oneOf": [{"enum": ["keep", "seen", "delete"]}, _MOVE_SCHEMA]}

Name = Annotated[str, PlainValidator(_name), WithJsonSchema(_NAME_SCHEMA)]
Email = Annotated[str, PlainValidator(_email), WithJsonSchema({"type": "string", "pattern": "^[^@\\s]+@[^@\\s]+$"})]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Correspondent = Annotated[str, PlainValidator(_correspondent), WithJsonSchema({"type": "string", "pattern": "^[^@\\s]*@[^@\\s]+$"})]
Pattern = Annotated[str, PlainValidator(_pattern), WithJsonSchema({"type": "string", "minLength": 1})]
_User = Annotated[str, PlainValidator(_user), WithJsonSchema({"type": "string", "pattern": f"^{_USER.pattern}$"})]
_Start = Annotated[
    Start,
    PlainValidator(_start),
    WithJsonSchema({"type": "string", "pattern": "^(all|now|[0-9]{4}-[0-9]{2}-[0-9]{2})$"}),
]
_After = Annotated[Action | None, PlainValidator(_after), WithJsonSchema(_AFTER_SCHEMA)]


#: A list of texts, each once.
Texts = Annotated[tuple[Text, ...], BeforeValidator(_distinct)]


class PluginsBlock(Options):
    """Where further plugins lie."""

    folder: ConfigPath = Field(description="Folder of single-file plugins, each a `.py` file.")


class WorkersBlock(Options):
    """The processes in which mail is examined: parsed, admitted and matched."""

    processes: int | None = Field(
        None,
        description="How many there are. Default: as many as CPUs may be used, at least 2, at most 8. "
        "0: commands examine by themselves, without any guard.",
        ge=0,
        le=64,
    )
    deadline: Duration = Field(10.0, description="How long a matcher may take for a batch.", ge=1, le=3600)
    budget: Duration = Field(30.0, description="How long all the work on a batch for one operator may take.", ge=1, le=86400)
    memory_mib: int = Field(
        512, description="MiB of memory that a process may take beyond what it has when its plugins are loaded.", ge=64, le=65536
    )

    @model_validator(mode="after")
    def _ordered(self) -> WorkersBlock:
        if self.budget < self.deadline:
            msg = "budget: expected at least the deadline of one matcher"
            raise ValueError(msg)
        return self


class LimitsBlock(Options):
    """What bounds the work on all accounts together."""

    visits: int = Field(16, description="How many accounts are visited at once.", ge=1, le=1000)
    visits_per_host: int = Field(8, description="How many of them at one server.", ge=1, le=1000)
    batch_messages: int = Field(100, description="How many messages make a batch at most.", ge=1, le=1000)
    batch_bytes: int = Field(
        16777216, description="How many bytes make a batch at most; a larger message comes alone.", ge=1, le=1 << 30
    )
    backoff: Duration = Field(
        900.0, description="The longest pause between tries after faults of a network or server.", ge=1, le=86400
    )
    auth_pause: Duration = Field(
        900.0, description="The least pause after a refused log-in. A short one may lock a mailbox at its server.", ge=1, le=604800
    )
    deliveries: int = Field(8, description="Through how many accounts and to how many webhooks is delivered at once.", ge=1, le=100)
    give_up: Duration = Field(432000.0, description="A delivery that is not taken for so long is parked.", ge=1, le=2592000)
    warn: Duration = Field(14400.0, description="A delivery that is not taken for so long is warned of.", ge=1, le=2592000)
    forwards_per_hour: int = Field(
        1000,
        description="How many forwards by rules a target gets in an hour; further ones are withheld: they may go in a circle.",
        ge=1,
        le=1000000,
    )


class LogBlock(Options):
    """The log, which goes to standard error."""

    format: Literal["plain", "json"] = Field("plain", description="A line of text or a JSON object for each event.")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is at least as grave is logged.")


class MetricsBlock(Options):
    """Metrics for Prometheus, at `/metrics`."""

    port: int = Field(9464, description="The port to listen on.", ge=1, le=65535)
    host: Text = Field("127.0.0.1", description="The address to listen on. Metrics name accounts and operators: keep it local.")


class GatewaydFile(Options):
    """`gatewayd.yaml`: What concerns the whole daemon."""

    state: ConfigPath | None = Field(None, description="Folder for all state. Default: `$STATE_DIRECTORY`.")
    store: dict[str, object] | None = Field(
        None, description="What keeps everything: its `kind`, with its options. Default: `sql`, `gatewayd.db` in the state folder."
    )
    plugins: PluginsBlock | None = Field(None, description="Where further plugins lie.")
    signing_key: Secret | None = Field(
        None,
        description="The key, of at least 32 characters, by which our own messages are known again; needed where several daemons "
        "share the store. Default: `signing.key` in the state folder, made by itself.",
    )
    workers: WorkersBlock | None = Field(None, description="The processes in which mail is examined.")
    limits: LimitsBlock | None = Field(None, description="What bounds the work on all accounts together.")
    log: LogBlock | None = Field(None, description="The daemon's log.")
    metrics: MetricsBlock | None = Field(None, description="Metrics for Prometheus. Without it there are none.")


class UserBlock(Options):
    """A user of an operator."""

    name: Text = Field(description="The user's full name.")
    email: Email = Field(description="The user's mail address.")


class MailTarget(Options):
    """A target that gets mail, through an account that sends."""

    kind: Name = Field(description="The forwarder, such as `smtp`.")
    account: Name = Field(description="The account that sends; it must serve the operator.")
    to: Annotated[tuple[Email, ...], BeforeValidator(_distinct)] = Field(
        description="The addresses. They are approved by standing here.", min_length=1, max_length=100
    )
    mode: Literal["attached", "inline"] = Field(
        "attached",
        description="`attached`: the original in a new message from our own address. `inline`: the original itself, to the byte, "
        "behind Resent-* headers; receivers that check DMARC may refuse it.",
    )


class WhenBlock(Options):
    """What mail a rule is for. All that is given must hold."""

    linked: Annotated[tuple[Kind, ...], BeforeValidator(_several)] = Field(
        (), description="The mail is linked to a record of this kind, or of one of these."
    )
    unlinked: bool = Field(False, description="`true`: the mail is linked to nothing.")
    account: Annotated[tuple[Name, ...], BeforeValidator(_several)] = Field(
        (), description="It came by this account, or one of these."
    )
    from_: Annotated[tuple[Correspondent, ...], BeforeValidator(_several)] = Field(
        (), description="It is from this address or domain (`@example.com`), or one of these.", alias="from"
    )
    to: Annotated[tuple[Correspondent, ...], BeforeValidator(_several)] = Field(
        (), description="It is to this address or domain, or one of these, in To or Cc."
    )
    subject: Pattern = Field("", description="A pattern (RE2's syntax) that is found in the decoded subject, such as `(?i)urgent`.")
    attachment: bool | None = Field(None, description="Whether it has an attachment.")
    queue: Annotated[tuple[Name, ...], BeforeValidator(_several)] = Field(
        (), description="It stands in this error queue, or one of these."
    )
    automatic: bool = Field(
        False,
        description="`true`: mail that programs sent of themselves, to lists or in bulk, is taken too; robots' answers never are.",
    )


class ForwardRule(Options):
    """A rule that forwards mail to targets."""

    when: WhenBlock = Field(description="What mail the rule is for; `{}` is for all.")
    to: Annotated[tuple[Name, ...], BeforeValidator(_several)] = Field(
        description="One of the operator's targets, or several.", min_length=1
    )


class OperatorFile(Options):
    """`operators/<name>.yaml`: One tour operator."""

    title: str = Field("", description="The operator's name for people.", max_length=1000)
    brands: Texts = Field((), description="The operator's brands, as they stand in booking codes.")
    directory: dict[str, object] | None = Field(
        None, description="Where the operator's records are looked up: its `kind`, with its options. Matchers need one."
    )
    matchers: list[object] = Field(
        [], description="What finds out what mail is about, in this order: `kind`, or `kind: {options}`."
    )
    targets: dict[Name, dict[str, object]] = Field(
        {}, description="Places that mail can be forwarded to: for each name its `kind`, with that forwarder's options."
    )
    forward: tuple[ForwardRule, ...] = Field((), description="What mail goes on to which target; each rule that fits fires.")
    users: dict[Name, UserBlock] = Field({}, description="The operator's users, who may have personal accounts.")


class ImportBlock(Options):
    """What is imported from an account, and how often."""

    folders: Texts = Field(("INBOX",), description="Folders to import.", min_length=1)
    every: Duration = Field(60.0, description="How often the account is looked at.", ge=1)
    enabled: bool = Field(True, description="`false`: nothing is imported for now.")
    start: _Start = Field(
        "all", description="What a folder's first listing takes: `all`, `now`, or what arrived since a date (from 00:00 UTC on)."
    )
    contact_types: dict[Literal["customer", "supplier"], Texts] = Field(
        {}, description="Only mail from customers' or suppliers' contacts of these types is admitted. Empty: all mail is."
    )
    error_queue: Name = Field("errors", description="Queue that shows the filings of this account which need a person.")
    after: _After = Field(
        None,
        description="What is done on the server once a mail is filed: `keep` (nothing), `seen`, `delete` or `{move: FOLDER}`.",
        json_schema_extra={"default": "keep"},
    )


class ApprovedBlock(Options):
    """An address that mail of this account may be forwarded to."""

    name: Text = Field(description="Who that is.")
    address: Email = Field(description="The mail address.")


class ForwardBlock(Options):
    """Forwarding of an account's mail by people."""

    approved: tuple[ApprovedBlock, ...] = Field((), description="Addresses that a person may forward its mail to.")


class SenderBlock(Options):
    """From whom an account sends."""

    name: str = Field("", description="The name that people see.", max_length=200)
    address: Email = Field(description="The mail address.")


class SendBlock(Options):
    """What an account may send."""

    from_: SenderBlock = Field(description="From whom mail is, unless its writer says otherwise.", alias="from")
    system: bool = Field(False, description="`true`: replies and new mail of its operators go through it; one for each operator.")
    match: bool = Field(False, description="`true`: mail that is from another address than `from` is refused.")
    cc: bool = Field(True, description="`false`: mail with Cc is refused.")
    bcc: bool = Field(True, description="`false`: mail with Bcc is refused.")
    docx: bool = Field(False, description="`true`: Word documents (.docx) may be attached. They are known by their content.")
    max_bytes: int = Field(
        36700160, description="How large a mail may be when it is sent, in bytes; servers may allow less.", ge=1024, le=1 << 30
    )


class AccountFile(Options):
    """`accounts/<name>.yaml`: One mailbox to import from or account to send from. Its kind's own fields stand beside these."""

    kind: str = Field(description="The transport that imports, or the forwarder that sends.")
    description: str = Field("", description="What the account is, for people.", max_length=1000)
    operators: Annotated[tuple[Name, ...], BeforeValidator(_distinct)] = Field(
        (), description="General account: the operators that it serves. Either this or `user`.", min_length=1
    )
    user: _User | None = Field(None, description="Personal account: whose it is, as `operator/user`.")
    connections: Annotated[int, Field(ge=1, le=100)] | Literal["unlimited"] = Field(
        2, description="How many connections may be open at once: a number or `unlimited`; never more than the transport allows."
    )
    import_: ImportBlock | None = Field(None, description="What is imported. Without it, nothing is.", alias="import")
    send: SendBlock | None = Field(None, description="What is sent, and how. An account whose kind sends needs it.")
    forward: ForwardBlock | None = Field(None, description="Forwarding of the account's mail by people.")
