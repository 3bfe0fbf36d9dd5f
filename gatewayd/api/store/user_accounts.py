"""The store's verbs for the mailboxes that users add for themselves. Their passwords come sealed: the store has no key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.store.sealed_secrets import SealedSecret

__all__ = ["MOST_USER_ACCOUNTS", "NewUserAccount", "UserAccount", "UserAccountVerbs"]

#: How many mailboxes a user may add.
MOST_USER_ACCOUNTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUserAccount:
    """A mailbox that a user adds, as the user said."""

    #: A random text that nothing else has. The password is sealed for it, since names may be another's one day.
    mark: str
    #: The transport.
    kind: str
    host: str
    port: int
    security: str
    #: The mail address, for people; ``username`` is what is logged in with.
    address: str
    username: str
    password: SealedSecret


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAccount(NewUserAccount):
    """A mailbox that a user added, and whose it is."""

    #: Such as ``acme/irina/1``: no file can have this name. It never changes, also where operator or user get other names.
    name: str
    operator: str
    user: str


class UserAccountVerbs(ABC):
    """Keep the mailboxes that users added, for as long as these users are in the config: see ``UserVerbs``."""

    @abstractmethod
    def add_user_account(self, user_id: int, new: NewUserAccount) -> str:
        """Commit a mailbox of a user, and return the name of its account, which no account ever had.

        Raises PermanentError where the user has left, or has ``MOST_USER_ACCOUNTS`` already.
        """

    @abstractmethod
    def user_accounts(self) -> Sequence[UserAccount]:
        """Return all mailboxes that users added and that are there, by name."""

    @abstractmethod
    def replace_password(self, old: UserAccount, new: SealedSecret) -> bool:
        """Put a password in place of that of ``old``; return False, and change nothing, where the account is not so any more."""

    @abstractmethod
    def remove_user_account(self, name: str) -> bool:
        """Remove a mailbox and its password; return whether it was there. Its mail and its ledger stay.

        It is shared with nobody any more, from the same commit on.
        """
