"""The credential ``google``: access tokens for Gmail, by a service account or by a user's refresh token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import hookimpl
from gatewayd_google.credential import Google

if TYPE_CHECKING:
    from gatewayd import Credential

__all__ = ["gatewayd_credentials"]


@hookimpl
def gatewayd_credentials() -> list[type[Credential]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Google]
