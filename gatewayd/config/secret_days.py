"""When secrets end: by ``secret_expires`` of an account or of its credential, or as a certificate says itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gatewayd.api.expiry import expiry_of
from gatewayd.config.consents import token_use

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from gatewayd.api.expiry import Expiry
    from gatewayd.config.values import AccountConfig, Config

__all__ = ["ends_soon", "expiries", "expiry", "remark"]

#: How long before its end a secret is told of.
_SOON = timedelta(days=30)


def expiry(account: AccountConfig) -> Expiry | None:
    """Return when an account's secret ends; None if nobody knows. Files of secrets may be read."""
    use = token_use(account.options)
    return expiry_of(account.options) or (use.source.expiry() if use else None)


def expiries(config: Config) -> Mapping[str, Expiry]:
    """Return when secrets end, by the credential's name, or by the account's file. Files of secrets may be read."""
    # One account speaks for all that share a credential.
    named = {one.credential or f"accounts/{one.name}.yaml": one for one in config.accounts.values()}
    found = {name: expiry(one) for name, one in named.items()}
    return {name: one for name, one in found.items() if one is not None}


def ends_soon(one: Expiry, today: date) -> bool:
    """Whether a secret ends within 30 days, or has ended."""
    return one.day - today <= _SOON


def remark(one: Expiry | None, today: date) -> str:
    """Return what a person must do about a secret that ends soon; empty if it does not."""
    if one is None or not ends_soon(one, today):
        return ""
    left = (one.day - today).days
    when = f"ends on {one.day}, in {left} days" if left > 1 else f"ends on {one.day}" if left >= 0 else f"has ended on {one.day}"
    return f"Its {one.what} {when}: {one.advice}"
