"""The fields of an account's file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from gatewayd.api.options import Duration
from gatewayd.config.models.fields import (
    ERRORS,
    After,
    AllOrSome,
    AnyStart,
    Block,
    Email,
    Name,
    Text,
    Texts,
    TimeOfDay,
    TimeZone,
    User,
    distinct,
)
from gatewayd.message.values import Address

__all__ = ["AccountFile", "ForwardBlock", "ImportConfig", "SendConfig", "SenderBlock"]


class ImportConfig(Block):
    """The import from an account: which mail, how often, and what is done afterwards."""

    folders: Texts = Field(default=("INBOX",), description="Folders to import.", min_length=1)
    every: Duration = Field(default=60.0, description="How often the account is looked at.", ge=1)
    at: Annotated[tuple[TimeOfDay, ...], BeforeValidator(distinct)] = Field(
        default=(),
        description='Times of day at which the account is looked at, such as `["07:00", "12:30"]`, in `time_zone`: in place of '
        "`every`, and of what its server announces.",
        min_length=1,
        max_length=288,
    )
    enabled: bool = Field(default=True, description="`false`: nothing is imported for now.")
    take: Literal["all", "chosen"] = Field(
        default="all",
        description="`chosen`: mail is offered, and only what people choose is imported: see `gatewayd remote`.",
    )
    start: AnyStart = Field(
        default="all",
        description="What a folder's first listing takes: `all`, `now`, or what arrived since a date (from 00:00 UTC on).",
    )
    contact_types: dict[Literal["customer", "supplier"], Texts] = Field(
        default={}, description="Only mail from customers' or suppliers' contacts of these types is admitted. Empty: all mail is."
    )
    error_queue: Name = Field(
        default=ERRORS,
        description="Queue of its filings that need a person: one of `queues` of each operator that has them.",
    )
    after: After = Field(
        default=None,
        description="What is done on the server once a mail is filed: `keep` (nothing), `seen`, `delete` or `{move: FOLDER}`. "
        "Where the server only estimates sizes, it is done when the same bytes came again: see `limits.reread_after`.",
        json_schema_extra={"default": "keep"},
    )

    @model_validator(mode="after")
    def _either(self) -> ImportConfig:
        if self.at and "every" in self.model_fields_set:
            raise ValueError("expected either 'every' or 'at', found both")
        return self


class ApprovedBlock(Block):
    """An address that mail of this account may be forwarded to."""

    name: Text = Field(description="Who that is.")
    address: Email = Field(description="The mail address.")


class ForwardBlock(Block):
    """Forwarding of an account's mail by people."""

    approved: tuple[ApprovedBlock, ...] = Field(default=(), description="Addresses that a person may forward its mail to.")


class SenderBlock(Block):
    """From whom an account sends."""

    name: str = Field(default="", description="The name that people see.", max_length=200)
    address: Email = Field(description="The mail address.")


class SendConfig(Block):
    """What an account may send."""

    from_: SenderBlock = Field(description="From whom mail is, unless its writer says otherwise.", alias="from")
    system: bool = Field(
        default=False, description="`true`: replies and new mail of its operators go through it; one for each operator."
    )
    match: bool = Field(default=False, description="`true`: mail that is from another address than `from` is refused.")
    cc: bool = Field(default=True, description="`false`: mail with Cc is refused.")
    bcc: bool = Field(default=True, description="`false`: mail with Bcc is refused.")
    docx: bool = Field(
        default=False, description="`true`: Word documents (.docx) may be attached. They are known by their content."
    )
    max_bytes: int = Field(
        default=36700160,
        description="How large a mail may be when it is sent, in bytes; servers may allow less.",
        ge=1024,
        le=1 << 30,
    )

    @property
    def sender(self) -> Address:
        """``from`` as an address."""
        return Address(name=self.from_.name, email=self.from_.address)


class AccountFile(Block):
    """`accounts/<name>.yaml`: One mailbox to import from or account to send from. The fields of its kind are beside these."""

    kind: str = Field(description="The transport that imports, or the forwarder that sends.")
    description: str = Field(default="", description="What the account is, for people.", max_length=1000)
    operators: Annotated[tuple[Name, ...], AllOrSome()] = Field(
        default=(),
        description="General account: the operators that it serves. Either this or `user`. "
        "`all`: every operator whose file does not say `receive: false`.",
        min_length=1,
    )
    user: User | None = Field(default=None, description="Personal account: whose it is, as `operator/user`.")
    share: Annotated[tuple[User, ...], BeforeValidator(distinct)] = Field(
        default=(),
        description="Personal account: users of the same operator, as `operator/user`, who see all its mail and offers, too. "
        "Its user may share it with others: see `gatewayd subscriptions`.",
        max_length=1000,
    )
    connections: Annotated[int, Field(ge=1, le=100)] | Literal["unlimited"] = Field(
        default=2,
        description="How many connections may be open at once: a number or `unlimited`; never more than the transport allows.",
    )
    second: bool = Field(
        default=False,
        description="`true`: the account may import a mailbox that another one has or had. All its mail is filed once more then.",
    )
    time_zone: TimeZone | None = Field(
        default=None, description="Time zone of `import.at`, such as `Europe/Berlin`. Default: that of `gatewayd.yaml`."
    )
    imports: ImportConfig | None = Field(default=None, description="What is imported. Without it, nothing is.", alias="import")
    sends: SendConfig | None = Field(
        default=None, description="What is sent, and how. An account whose kind sends needs it.", alias="send"
    )
    forward: ForwardBlock | None = Field(default=None, description="Forwarding of the account's mail by people.")
