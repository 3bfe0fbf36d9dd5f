"""The YAML fields of the transport ``imap``."""

from __future__ import annotations

from pydantic import Field

from gatewayd import Endpoint, Transport

__all__ = ["ImapOptions"]


class ImapOptions(Transport.Options, Endpoint, use_attribute_docstrings=False):
    """How to reach and log in to an IMAP server. The port is 993 for ``security: tls``, else 143."""

    max_messages: int = Field(
        250_000,
        description="A folder with more messages is not imported: their keys are in memory while it is compared as a whole.",
        ge=1,
        le=5_000_000,
    )

    @property
    def effective_port(self) -> int:
        """The port to connect to: the given one, else the standard one for ``security`` (RFC 8314 section 3.2)."""
        return self.port or (993 if self.security == "tls" else 143)

    @property
    def where(self) -> str:
        """Host and port, as messages name the server."""
        return f"{self.host}:{self.effective_port}"
