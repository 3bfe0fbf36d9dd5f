"""When secrets end, as the config says: by ``secret_expires`` of an account or of its credential."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from gatewayd.api.credential import TokenSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.config.values import AccountConfig, Config

__all__ = ["ends", "ends_soon", "remark"]

#: How long before its end a secret is told of.
_SOON = timedelta(days=30)


def ends(account: AccountConfig) -> date | None:
    """Return the day on which an account's secret ends; None if the config does not say."""
    own = dict(account.options)
    credential = own.get("credential")
    shared = dict(credential.options) if isinstance(credential, TokenSource) else {}
    found = own.get("secret_expires") or shared.get("secret_expires")
    return found if isinstance(found, date) else None


def ends_soon(config: Config, today: date) -> Mapping[str, date]:
    """Return the secrets that end within 30 days, or have ended: the day by the credential's name, or by the account's file."""
    days = {one.credential or f"accounts/{one.name}.yaml": ends(one) for one in config.accounts.values()}
    return {name: day for name, day in days.items() if day is not None and day - today <= _SOON}


def remark(day: date | None, today: date) -> str:
    """Return what a person must do about a secret that ends on this day; empty if that is not soon."""
    if day is None or day - today > _SOON:
        return ""
    left = (day - today).days
    when = f"ends on {day}, in {left} days" if left > 1 else f"ends on {day}" if left >= 0 else f"has ended on {day}"
    return f"Its secret {when}: make a new one, put it where the config points, and correct `secret_expires`."
