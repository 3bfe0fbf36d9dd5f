"""The transport ``imap``: reads mail from folders of an IMAP4rev1 mailbox (RFC 3501) and changes nothing in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import hookimpl
from gatewayd_imap.transport import Imap

if TYPE_CHECKING:
    from gatewayd import Transport

__all__ = ["gatewayd_transports"]


@hookimpl
def gatewayd_transports() -> list[type[Transport]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Imap]
