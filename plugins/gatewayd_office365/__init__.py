"""The transport and the credential `office365`: mail of Exchange Online by Microsoft Graph, access tokens by Microsoft Entra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import hookimpl
from gatewayd_office365.credential import Office365Credential

if TYPE_CHECKING:
    from gatewayd import Credential

__all__ = ["gatewayd_credentials"]


@hookimpl
def gatewayd_credentials() -> list[type[Credential]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Office365Credential]
