"""The forwarder ``smtp``: hands mail to a server by SMTP (RFC 5321), by submission or as a relay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import hookimpl
from gatewayd_smtp.forwarder import Smtp

if TYPE_CHECKING:
    from gatewayd import Forwarder

__all__ = ["gatewayd_forwarders"]


@hookimpl
def gatewayd_forwarders() -> list[type[Forwarder]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Smtp]
