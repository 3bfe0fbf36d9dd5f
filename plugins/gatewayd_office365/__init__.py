"""Transport, forwarder and credential `office365`: mail of Exchange Online by Microsoft Graph, access tokens by Microsoft Entra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import hookimpl
from gatewayd_office365.credential import Office365Credential
from gatewayd_office365.forwarder import Office365Forwarder
from gatewayd_office365.transport import Office365

if TYPE_CHECKING:
    from gatewayd import Credential, Forwarder, Transport

__all__ = ["gatewayd_credentials", "gatewayd_forwarders", "gatewayd_transports"]


@hookimpl
def gatewayd_credentials() -> list[type[Credential]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Office365Credential]


@hookimpl
def gatewayd_forwarders() -> list[type[Forwarder]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Office365Forwarder]


@hookimpl
def gatewayd_transports() -> list[type[Transport]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Office365]
