"""The fields of an operator's file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from gatewayd.api.values import Kind
from gatewayd.api.web_sessions import Role
from gatewayd.config.models.fields import Block, Correspondent, Email, Name, OneOrMore, Pattern, Text, Texts, distinct

__all__ = ["ForwardRule", "MailTarget", "OperatorFile", "QueueBlock", "RuleConditions", "UserConfig"]


class UserConfig(Block):
    """A user of an operator."""

    name: Text = Field(description="The user's full name.")
    email: Email = Field(description="The user's mail address.")
    role: Role = Field(
        default="agent",
        description="What the user may do on the pages. `reader`: see. `agent`: also mark, link, choose and write. `manager`: also "
        "look after the operator's queues, outbox, activity log, web sessions and shares.",
    )


class QueueBlock(Block):
    """An error queue of an operator."""

    title: Text = Field(description="What people call it.")


class MailTarget(Block):
    """A target that gets mail, through an account that sends."""

    kind: Name = Field(description="The forwarder, such as `smtp`.")
    account: Name = Field(description="The account that sends; it must serve the operator.")
    to: Annotated[tuple[Email, ...], BeforeValidator(distinct)] = Field(
        description="The addresses. They are approved by standing here.", min_length=1, max_length=100
    )
    mode: Literal["attached", "inline"] = Field(
        default="attached",
        description="`attached`: the original in a new message from our own address. `inline`: the original itself, to the byte, "
        "behind Resent-* headers; receivers that check DMARC may refuse it.",
    )


class RuleConditions(Block):
    """What mail a rule is for. All that is given must hold."""

    linked: Annotated[tuple[Kind, ...], OneOrMore()] = Field(
        default=(), description="The mail is linked to a record of this kind, or of one of these.", min_length=1
    )
    unlinked: bool = Field(default=False, description="`true`: the mail is linked to nothing.")
    accounts: Annotated[tuple[Name, ...], OneOrMore()] = Field(
        default=(),
        description="It came by this account, or one of these. A user's personal mail is taken only where its account is named.",
        min_length=1,
        alias="account",
    )
    from_: Annotated[tuple[Correspondent, ...], OneOrMore()] = Field(
        default=(), description="It is from this address or domain (`@example.com`), or one of these.", min_length=1, alias="from"
    )
    to: Annotated[tuple[Correspondent, ...], OneOrMore()] = Field(
        default=(), description="It is to this address or domain, or one of these, in To or Cc.", min_length=1
    )
    subject: Pattern = Field(
        default="", description="A pattern (RE2's syntax) that is found in the decoded subject, such as `(?i)urgent`."
    )
    attachment: bool | None = Field(default=None, description="Whether it has an attachment.")
    queues: Annotated[tuple[Name, ...], OneOrMore()] = Field(
        default=(), description="It is in this error queue, or one of these.", min_length=1, alias="queue"
    )
    automatic: bool = Field(
        default=False,
        description="`true`: mail that programs sent of themselves, to lists or in bulk, is taken too; robots' answers never are.",
    )

    @model_validator(mode="after")
    def _can_hold(self) -> RuleConditions:
        if self.linked and self.unlinked:
            raise ValueError("unlinked: expected it without linked: no mail is both")
        return self


class ForwardRule(Block):
    """A rule that forwards mail to targets."""

    when: RuleConditions = Field(description="What mail the rule is for; `{}` is for all.")
    to: Annotated[tuple[Name, ...], OneOrMore()] = Field(description="One of the operator's targets, or several.", min_length=1)


class OperatorFile(Block):
    """`operators/<name>.yaml`: One tour operator."""

    title: str = Field(default="", description="The operator's name for people.", max_length=1000)
    receive: bool = Field(
        default=True, description="`false`: accounts with `operators: all` don't serve it. An account that names it does."
    )
    brands: Texts = Field(default=(), description="The operator's brands, as they stand in booking codes.")
    directory: dict[str, object] | None = Field(
        default=None, description="Where the operator's records are looked up: its `kind`, with its options. Matchers need one."
    )
    matchers: list[object] = Field(
        default=[], description="What finds out what mail is about, in this order: `kind`, or `kind: {options}`."
    )
    targets: dict[Name, dict[str, object]] = Field(
        default={}, description="Places that mail can be forwarded to: for each name its `kind`, with that forwarder's options."
    )
    forward: tuple[ForwardRule, ...] = Field(
        default=(), description="What mail goes on to which target; each rule that fits fires."
    )
    queues: dict[Name, QueueBlock] | None = Field(
        default=None,
        description="The error queues that its accounts and rules may name, besides `errors`, which there always is. "
        "Without it they may have any name.",
    )
    users: dict[Name, UserConfig] = Field(default={}, description="The operator's users, who may have personal accounts.")
