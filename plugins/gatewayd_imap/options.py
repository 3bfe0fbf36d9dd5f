"""The YAML fields of the transport ``imap``."""

from __future__ import annotations

from pydantic import Field

from gatewayd import TokenEndpoint, Transport

__all__ = ["ImapOptions"]


class ImapOptions(Transport.Options, TokenEndpoint, use_attribute_docstrings=False):
    """How to reach and log in to an IMAP server. The port is 993 for ``security: tls``, else 143."""

    # RFC 8314 section 3.2.
    ports = {"tls": 993, "starttls": 143, "none": 143}  # noqa: RUF012  nobody changes it

    max_messages: int = Field(
        250_000,
        description="A folder with more messages is not imported: their keys are in memory while it is compared as a whole.",
        ge=1,
        le=5_000_000,
    )
