"""Which accounts a user may see, by what right, and which of them the user follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gatewayd.api.queries import Viewer
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd.api.store import Store
    from gatewayd.config import AccountConfig, Config

__all__ = ["Following", "accounts_seen", "following", "importing_accounts", "viewer_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """An account that a user may see."""

    account: str
    kind: Literal["general", "own", "shared"]
    #: Whose it is; None for a general one.
    owner: str | None
    #: Whether the user's lists have its mail and offers.
    followed: bool


def viewer_of(config: Config, operator: str, users: Sequence[str]) -> Viewer:
    """Return who asks: an operator, with these users. What files of accounts share with them is theirs to see, too."""
    shared = [
        (one.name, one.user)
        for one in config.accounts.values()
        if one.user is not None and operator in one.operators and not set(users).isdisjoint(one.share)
    ]
    return Viewer(operator=operator, users=tuple(users), shared=tuple(sorted(shared)))


def accounts_seen(config: Config, store: Store, viewer: Viewer) -> Mapping[str, AccountConfig]:
    """Return the accounts of which the viewer may see all mail that came by them: general, own and shared ones."""
    shared = {*viewer.shared}
    for user in viewer.users:
        one_user = Viewer(operator=viewer.operator, users=(user,))
        shared |= {(one.account, one.owner) for one in store.shares(one_user) if one.state == "agreed" and one.user == user}
    return {
        name: one
        for name, one in config.accounts.items()
        if viewer.operator in one.operators and (one.user is None or one.user in viewer.users or (name, one.user) in shared)
    }


def importing_accounts(config: Config, store: Store, viewer: Viewer, names: Sequence[str] = ()) -> list[AccountConfig]:
    """Return the importing accounts that the viewer may see: those of ``names``, each once, or else those that the viewer
    follows.

    Raises PermanentError for one that this viewer may not see, as for one that there is not.
    """
    mine = {name: one for name, one in accounts_seen(config, store, viewer).items() if one.imports}
    for name in names:
        if name not in mine:
            have = ", ".join(sorted(mine)) or "none"
            raise PermanentError(f"{viewer.operator} has no mail of account {name}", advice=f"Accounts are: {have}.")
    if names:
        return [mine[name] for name in dict.fromkeys(names)]
    choices = store.choices(viewer) if len(viewer.users) == 1 else {}
    return [one for name, one in mine.items() if one.imports and one.imports.enabled and choices.get(name, True)]


def following(config: Config, store: Store, viewer: Viewer) -> Sequence[Following]:
    """Return what the viewer, one user, may see of what is imported: general accounts, then the own, then shared ones, by name."""
    (user,) = viewer.users
    choices = store.choices(viewer)
    kinds: dict[str | None, Literal["general", "own"]] = {None: "general", user: "own"}
    found = [
        Following(account=name, kind=kinds.get(one.user, "shared"), owner=one.user, followed=choices.get(name, True))
        for name, one in accounts_seen(config, store, viewer).items()
        if one.imports
    ]
    order = ("general", "own", "shared")
    return sorted(found, key=lambda one: (order.index(one.kind), one.account))
