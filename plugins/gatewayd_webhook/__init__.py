"""The forwarder ``webhook``: posts filings as signed JSON (Standard Webhooks 1.0.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import hookimpl
from gatewayd_webhook.forwarder import Webhook

if TYPE_CHECKING:
    from gatewayd import Forwarder

__all__ = ["gatewayd_forwarders"]


@hookimpl
def gatewayd_forwarders() -> list[type[Forwarder]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Webhook]
