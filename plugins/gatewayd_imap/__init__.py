"""The transport `imap`: reads folders of an IMAP4rev1 mailbox (RFC 3501) without changing them; filed mail is marked, moved or
deleted if the account says so.
"""

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
