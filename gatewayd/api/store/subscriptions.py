"""The store's verbs for personal accounts that are shared, and for the accounts that a user follows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd.api.queries import Viewer

__all__ = ["Share", "SubscriptionVerbs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A personal account that its owner shares with another user of the operator, or is asked to."""

    account: str
    #: Whose mail it is.
    owner: str
    #: Who sees it, or asks to.
    user: str
    state: Literal["asked", "agreed", "refused"]


class SubscriptionVerbs(ABC):
    """Keep what users agree on, and what each follows (promise P6).

    Each viewer here is one user: what others share is nobody else's to see or change. All of it is void when one of the two users
    has left: see ``UserVerbs``. What an account's file shares is not kept here, but stands in ``Viewer.shared``.

    Raising: PermanentError for a user who has left.
    """

    @abstractmethod
    def ask_share(self, viewer: Viewer, account: str, *, owner: str) -> bool:
        """Commit that the viewer asks the owner to share an account; return False if that was asked, or is shared."""

    @abstractmethod
    def answer_share(self, viewer: Viewer, account: str, *, user: str, agree: bool) -> bool:
        """Commit that the viewer shares the own mail of an account with ``user``, asked or not; or not, or no longer.

        From this commit on ``user`` sees all mail of the account that is the viewer's, and its offers, or nothing of it any more.
        Agreed to, the account is followed until ``user`` says otherwise. Returns whether that changed anything.
        """

    @abstractmethod
    def shares(self, viewer: Viewer) -> Sequence[Share]:
        """Return what the viewer shares, is asked for, asks for and is shared with, by account, owner and user."""

    @abstractmethod
    def follow(self, viewer: Viewer, account: str, *, followed: bool) -> bool:
        """Commit whether the viewer follows an account; return whether that changed anything."""

    @abstractmethod
    def choices(self, viewer: Viewer) -> Mapping[str, bool]:
        """Return what the viewer chose to follow and not to follow, by account. Any other account is followed if it may be seen."""
