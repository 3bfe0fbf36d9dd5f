"""The transport `pop3`: reads a POP3 mailbox (RFC 1939) without changing it; filed mail is deleted if the account says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import hookimpl
from gatewayd_pop3.transport import Pop3

if TYPE_CHECKING:
    from gatewayd import Transport

__all__ = ["gatewayd_transports"]


@hookimpl
def gatewayd_transports() -> list[type[Transport]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Pop3]
