"""Follow accounts, ask for personal accounts of others, and share the own one: each user decides about the own mail alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gatewayd.api.store.subscriptions import Share
from gatewayd.desk.following import accounts_seen, following
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.queries import Viewer
    from gatewayd.api.store import Store
    from gatewayd.config import AccountConfig, Config

__all__ = ["ask_share", "end_share", "follow", "refuse_share", "share", "shares"]

_SEE = "`gatewayd subscriptions show` lists what there is."


def follow(config: Config, store: Store, viewer: Viewer, accounts: Sequence[str], *, followed: bool) -> int:
    """Commit that the viewer, one user, follows accounts or not; return how many changed.

    Raises PermanentError for an account of which the viewer may see nothing, and then changes none.
    """
    seen = {one.account for one in following(config, store, viewer)}
    for name in accounts:
        if name not in seen:
            have = ", ".join(sorted(seen)) or "none"
            raise PermanentError(f"{viewer.users[0]} has no mail of account {name}", advice=f"Accounts are: {have}.")
    return sum(store.follow(viewer, name, followed=followed) for name in accounts)


def ask_share(config: Config, store: Store, viewer: Viewer, account: str) -> tuple[str, bool] | None:
    """Commit that the viewer asks for another user's personal account.

    Returns who is asked, and whether that is new; None if it is shared already. Raises PermanentError for any account
    but one of another user of the operator.
    """
    found = config.accounts.get(account)
    if found is None or found.user is None or viewer.operator not in found.operators or found.user in viewer.users:
        what = f"account {account} is not the personal account of another user of {viewer.operator}"
        raise PermanentError(what, advice=_SEE)
    if account in accounts_seen(config, store, viewer):
        return None
    return found.user, store.ask_share(viewer, account, owner=found.user)


def share(config: Config, store: Store, viewer: Viewer, account: str, user: str) -> bool:
    """Commit that the viewer shares the own account with a user, who asked for it or not; return whether that is new.

    Raises PermanentError if it is not the viewer's own, or there is no such other user of the operator.
    """
    _own(config, viewer, account)
    if user in viewer.users:
        raise PermanentError(f"{user} is the account's own user", advice="Name another user.")
    if user not in config.operators[viewer.operator].users:
        have = ", ".join(config.operators[viewer.operator].users)
        raise PermanentError(f"operator {viewer.operator} has no user {user!r}", advice=f"Users are: {have}.")
    return store.answer_share(viewer, account, user=user, agree=True)


def refuse_share(store: Store, viewer: Viewer, account: str, user: str) -> None:
    """Commit that the viewer refuses what a user asked for. Raises PermanentError if that user does not ask."""
    if _state(store, viewer, account, user) != "asked":
        raise PermanentError(f"{user} does not ask for account {account}", advice=_SEE)
    store.answer_share(viewer, account, user=user, agree=False)


def end_share(config: Config, store: Store, viewer: Viewer, account: str, user: str) -> bool:
    """Commit that the viewer's agreement with a user is over; return whether the account's file shares it still.

    Raises PermanentError if there is no agreement. What the file shares, an administrator ends.
    """
    found = config.accounts.get(account)
    by_file = found is not None and found.user in viewer.users and user in found.share
    if _state(store, viewer, account, user) != "agreed":
        advice = f"accounts/{account}.yaml shares it: an administrator ends that." if by_file else _SEE
        raise PermanentError(f"{viewer.users[0]} does not share account {account} with {user}", advice=advice)
    store.answer_share(viewer, account, user=user, agree=False)
    return by_file


def shares(config: Config, store: Store, viewer: Viewer) -> Sequence[tuple[Share, Literal["file", "owner"]]]:
    """Return what the viewer, one user, shares, is asked for, asks for and is shared with, each with who says so."""
    (user,) = viewer.users
    personal = [one for one in config.accounts.values() if one.user is not None and viewer.operator in one.operators]
    by_file = sorted((one.name, one.user or "", other) for one in personal for other in one.share if user in {one.user, other})
    found: list[tuple[Share, Literal["file", "owner"]]] = [
        (Share(account=name, owner=owner, user=other, state="agreed"), "file") for name, owner, other in by_file
    ]
    return [*found, *((one, "owner") for one in store.shares(viewer))]


def _own(config: Config, viewer: Viewer, account: str) -> AccountConfig:
    found = config.accounts.get(account)
    if found is None or found.user not in viewer.users or viewer.operator not in found.operators:
        raise PermanentError(f"account {account} is not {viewer.users[0]}'s own", advice="Its own user shares it.")
    return found


def _state(store: Store, viewer: Viewer, account: str, user: str) -> str:
    """Return what the store has of the viewer's sharing with one user; empty where it has nothing."""
    asked = (account, viewer.users[0], user)
    return next((one.state for one in store.shares(viewer) if (one.account, one.owner, one.user) == asked), "")
