"""Say what a password is about that a user typed: for which mailbox at which server it is, and for none other it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewayd.api.store.user_accounts import NewUserAccount
    from gatewayd.sealing.about import About

__all__ = ["about_password", "about_typed"]


def about_password(account: NewUserAccount) -> About:
    """Return what a password is about. Whoever could change host or port in the store would get it sent there otherwise."""
    return {
        "what": "password",
        "account": account.mark,
        "kind": account.kind,
        "host": account.host,
        "port": str(account.port),
        "security": account.security,
        "username": account.username,
    }


def about_typed(host: str, port: int, username: str) -> About:
    """Return what a password is about that a page sends sealed: only for this log-in it is opened."""
    return {"what": "typed password", "host": host, "port": str(port), "username": username}
