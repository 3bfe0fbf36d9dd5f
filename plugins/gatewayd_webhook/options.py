"""The YAML fields of a target of kind ``webhook``."""

from __future__ import annotations

import re
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from gatewayd import ConfigPath, Duration, Forwarder, HttpUrl, Secret, split_url

if TYPE_CHECKING:
    from typing import Self
    from urllib.parse import SplitResult

__all__ = ["WebhookOptions"]

_LARGEST = 16 << 20
_HOST = re.compile(r"[A-Za-z0-9_.:-]{1,253}")


def _template(value: object) -> str:
    split_url(value)
    text = str(value)
    fields = [found for found in Formatter().parse(text) if found[1] is not None]
    if any(name not in ("operator", "id") or form or conversion for _, name, form, conversion in fields):
        raise ValueError("expected a URL with {id} and {operator} at most, such as https://mail.example.com/{operator}/{id}")
    return text


def _host(value: object) -> str:
    name = value.strip("[]") if isinstance(value, str) else ""
    if _HOST.fullmatch(name):
        return name.lower().rstrip(".")
    raise ValueError("expected the name or address of a host as it stands in `url`, such as crm.internal")


_Template = Annotated[str, PlainValidator(_template), WithJsonSchema({"type": "string", "pattern": "^https?://[!-~]+$"})]
_Host = Annotated[str, PlainValidator(_host), WithJsonSchema({"type": "string", "minLength": 1})]


class WebhookOptions(Forwarder.Options, use_attribute_docstrings=False):
    """Where a filing is posted to, how it is signed, and what goes along."""

    url: HttpUrl = Field(description="Where filings are posted to. No secret belongs into it: the request is signed.")
    secret: Secret = Field(description="What requests are signed with, as a reference: `whsec_` and base64 of 24 to 64 bytes.")
    previous_secret: Secret | None = Field(
        None, description="The secret before it. While it stands here, requests carry both signatures: no receiver misses one."
    )
    insecure: bool = Field(False, description="Allows `http://`: mail goes over the network in plain text.")
    ca_file: ConfigPath | None = Field(None, description="Certificates to trust in place of the system's, as a PEM file.")
    allow_private: tuple[_Host, ...] = Field(
        (), description="Hosts that may have private, loopback and other special addresses; all others are refused there."
    )
    timeout: Duration = Field(20.0, description="How long each step on the network may take.", gt=0, le=300)
    deadline: Duration = Field(60.0, description="How long a whole request may take, its answer included.", gt=0, le=300)
    text: bool = Field(False, description="`true`: the readable text goes along, at most its first 100000 characters.")
    raw: Literal["none", "inline"] = Field("none", description="`inline`: the mail as it came goes along in base64.")
    inline_bytes: int = Field(1 << 20, description="How large a mail may be to go inline, in bytes.", ge=0, le=_LARGEST)
    raw_url: _Template | None = Field(
        None, description="A link to the mail that goes along; `{operator}` and `{id}` stand for the filing's."
    )

    @model_validator(mode="after")
    def _plain_text_is_spelled_out(self) -> Self:
        if self.parts.scheme == "http" and not self.insecure:
            raise ValueError("url: http sends mail in plain text; expected https, or insecure: true beside it")
        return self

    @property
    def parts(self) -> SplitResult:
        """The parts of ``url``."""
        return urlsplit(self.url)

    @property
    def host(self) -> str:
        """The host's name, in lower case, or its address without brackets."""
        return self.parts.hostname or ""

    @property
    def may_be_private(self) -> bool:
        """Whether this host may have a private address."""
        return self.host.rstrip(".") in self.allow_private
