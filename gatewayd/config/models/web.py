"""The fields of the block ``web`` in ``gatewayd.yaml``: the pages for people."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from gatewayd.api.http.urls import split_url
from gatewayd.api.options import ConfigPath, Duration
from gatewayd.config.models.fields import Block, distinct

__all__ = ["LogInConfig", "WebConfig", "WebSessionsConfig", "WebTlsConfig"]

_LISTEN = re.compile(r"([A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})")
_UNIX_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


def _listen(value: object) -> str:
    found = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if not found or not 0 < int(found[2]) < 1 << 16:
        raise ValueError("expected an address with a port such as 127.0.0.1:8025 or [::1]:8025")
    return found[0]


def _origin(value: object) -> str:
    parts = split_url(value)
    if parts.path not in ("", "/") or parts.query:
        raise ValueError("expected an address without a path, such as https://mail.example.com")
    # Browsers write it so (RFC 6454 section 6.2).
    default = {"https": 443, "http": 80}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _proxy(value: object) -> str:
    if isinstance(value, str):
        try:
            return str(ip_network(value))
        except ValueError:
            pass
    raise ValueError("expected an IP address or a network such as 10.0.0.0/24")


def _unix_user(value: object) -> str:
    if isinstance(value, str) and _UNIX_USER.fullmatch(value):
        return value
    raise ValueError("expected the name of a user of this system, such as gatewayd-web")


_Listen = Annotated[str, PlainValidator(_listen), WithJsonSchema({"type": "string", "pattern": f"^{_LISTEN.pattern}$"})]
_Origin = Annotated[str, PlainValidator(_origin), WithJsonSchema({"type": "string", "pattern": "^https?://[!-~]+$"})]
_Proxy = Annotated[str, PlainValidator(_proxy), WithJsonSchema({"type": "string", "minLength": 2})]
_UnixUser = Annotated[str, PlainValidator(_unix_user), WithJsonSchema({"type": "string", "pattern": f"^{_UNIX_USER.pattern}$"})]


class WebSessionsConfig(Block):
    """How long a person stays logged in."""

    idle: Duration = Field(default=28800.0, description="A web session that is not used for so long ends.", ge=60, le=2592000)
    longest: Duration = Field(default=604800.0, description="So long after the log-in it ends in any case.", ge=60, le=31536000)

    @model_validator(mode="after")
    def _ordered(self) -> WebSessionsConfig:
        if self.longest < self.idle:
            raise ValueError("longest: expected at least idle")
        return self


class LogInConfig(Block):
    """How people log in."""

    password: bool = Field(default=True, description="By a password, which `gatewayd user password` sets.")


class WebTlsConfig(Block):
    """TLS of the pages, where no proxy speaks it for them."""

    certificate: ConfigPath = Field(description="The certificate with those that lead to its CA, as PEM.")
    key: ConfigPath = Field(description="Its private key, as PEM, which the user of `gatewayd web` can read.")


class WebConfig(Block):
    """The pages for people, which `gatewayd web` serves."""

    listen: _Listen = Field(default="127.0.0.1:8025", description="The address and the port to listen on.")
    url: _Origin | None = Field(
        default=None,
        description="The address that people type, such as `https://mail.example.com`. Default: by `listen`.",
    )
    tls: WebTlsConfig | None = Field(default=None, description="TLS, where the pages are not behind a proxy that speaks it.")
    sessions: WebSessionsConfig = Field(default_factory=WebSessionsConfig, description="How long a person stays logged in.")
    log_in: LogInConfig = Field(default_factory=LogInConfig, description="How people log in.")
    frame_ancestors: Annotated[tuple[_Origin, ...], BeforeValidator(distinct)] = Field(
        default=(), description="Sites that may show the pages within their own, such as `https://crm.example.com`. Default: none."
    )
    proxies: Annotated[tuple[_Proxy, ...], BeforeValidator(distinct)] = Field(
        default=(),
        description="Addresses or networks of proxies, whose X-Forwarded-For says where a person comes from. Default: none.",
    )
    store: dict[str, object] | None = Field(
        default=None,
        description="The store as the pages read it: its `kind`, with its options, such as a `url` with a role that may SELECT "
        "alone. Default: as `store`.",
    )
    socket: ConfigPath | None = Field(
        default=None,
        description="The daemon's socket, by which the pages ask for what is written. Default: `web.sock` in the state folder.",
    )
    user: _UnixUser | None = Field(
        default=None, description="The user of this system that `gatewayd web` runs as. Default: the daemon's own."
    )
