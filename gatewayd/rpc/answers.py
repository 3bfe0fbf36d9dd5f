"""What calls are answered with."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gatewayd.api.values import Kind

__all__ = [
    "Count",
    "Download",
    "FactorSetUp",
    "Failure",
    "LoggedIn",
    "Nothing",
    "RecordRow",
    "Records",
    "RecoveryCodes",
    "RequestIds",
    "Value",
]


class Value(BaseModel):
    """What goes over the socket: it has its fields and no others, and does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Nothing(Value):
    """It is done."""


class Failure(Value):
    """One of the five errors."""

    error: Literal["auth", "config", "plugin", "permanent", "transient"]
    message: str
    advice: str = ""
    #: Seconds to wait before the next try.
    retry_after: float | None = None


class LoggedIn(Value):
    """The token of a new web session, which nobody else has."""

    token: str


class FactorSetUp(Value):
    """What the person puts into an authenticator app, as text and as what a picture says. It is shown once."""

    secret: str = Field(repr=False)
    uri: str = Field(repr=False)


class RecoveryCodes(Value):
    """New recovery codes, which take the place of all that were. They are shown once."""

    codes: tuple[str, ...] = Field(repr=False)


class Count(Value):
    """How many things changed."""

    changed: int


class RecordRow(Value):
    """A record of the operator's directory."""

    kind: Kind
    id: str
    label: str


class Records(Value):
    """Records that fit, best first."""

    records: tuple[RecordRow, ...]


class RequestIds(Value):
    """The requests in the store by which what was asked can be followed, by account."""

    ids: dict[str, int]


class Download(Value):
    """The request in the store by which a download can be followed, and what it is of."""

    request_id: int
    count: int
    #: The least and the largest id of the entries that were chosen.
    oldest: int
    newest: int
