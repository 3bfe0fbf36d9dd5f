"""The YAML fields of the transport ``pop3``."""

from __future__ import annotations

from pydantic import Field

from gatewayd import TokenEndpoint, Transport

__all__ = ["Pop3Options"]


class Pop3Options(Transport.Options, TokenEndpoint, use_attribute_docstrings=False):
    """How to reach and log in to a POP3 server. The port is 995 for ``security: tls``, else 110."""

    # RFC 8314 section 3.3.
    ports = {"tls": 995, "starttls": 110, "none": 110}  # noqa: RUF012  nobody changes it

    max_messages: int = Field(
        40_000,
        description="A mailbox with more messages is not imported: POP3 lists all of them at each visit, and they take memory.",
        ge=1,
        le=5_000_000,
    )
