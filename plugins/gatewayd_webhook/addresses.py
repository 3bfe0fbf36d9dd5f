"""Decide which addresses a webhook may connect to: public ones, unless its host is allowed by name. A URL is an operator's word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import AuthError, public_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd import HostAddress
    from gatewayd_webhook.options import WebhookOptions

__all__ = ["permitted"]


def permitted(options: WebhookOptions, places: Sequence[HostAddress]) -> Sequence[HostAddress]:
    """Return those of the host's addresses that may be connected to.

    Raises AuthError if there is none. It names none: what lies inside is nobody's business.
    """
    found = places if options.may_be_private else public_places(places)
    if not found:
        raise AuthError(
            f"{options.host}: the host has no public address, so nothing is sent there",
            advice=f"Correct `url`; if the host is meant to be inside your network, allow it: allow_private: [{options.host}]",
        )
    return found
