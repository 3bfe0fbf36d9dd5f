"""The store's verbs for users: who has come, who has left, and what is void from then on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["KnownUser", "UserVerbs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownUser:
    """A user from the day that the config has it until the day that it no longer has it."""

    #: Never used again: a user who leaves and comes back has another one. A rename keeps it.
    id: int
    operator: str
    name: str
    #: The config has this user no more.
    left: bool = False
    #: Personal mail or offers of a former user of this name are kept from this one, until an administrator gives them.
    withheld: bool = False


class UserVerbs(ABC):
    """Keep which users there are (promise P6). This is the one place where it is decided who has left.

    The daemon calls ``keep_users`` at its start and after each reload of a sound config, before any account runs. What belongs to
    a user, such as shares, subscriptions or sealed passwords, is kept under ``KnownUser.id``, so that it is nobody's when the user
    has left: in the store ``sql`` each row of a table with a column ``user_id`` or ``owner_id`` is deleted by the same transaction.
    A rename changes the name of the row, before a config with the new name is loaded; else the user has left.
    """

    @abstractmethod
    def keep_users(self, users: Mapping[str, Collection[str]], *, unknown: Collection[str] = ()) -> Sequence[KnownUser]:
        """Commit who is in a sound config; return who has left since the last time.

        ``users``: by operator, also where it has none. ``unknown``: operators whose users can't be known now, since their file is
        faulty; nobody comes or leaves there. All users of any other operator have left.

        With a user who has left go the user's shares, subscriptions and seen-marks. A user of that name who comes back is another
        one, from whom the old personal mail is withheld. Who has mail and was never kept counts as one who has left.
        """

    @abstractmethod
    def known_users(self) -> Sequence[KnownUser]:
        """Return all users who are here or have left, by operator and name; of several of one name, the last one."""

    @abstractmethod
    def know_user(self, operator: str, name: str) -> KnownUser:
        """Return a user who is in the config, entered if no daemon has done that yet.

        Raises PermanentError for one who has left: only a daemon that loads the config says that the user is back.
        """

    @abstractmethod
    def give_old_mail(self, operator: str, name: str) -> bool:
        """Commit that a user is shown the personal mail of former users of that name; return whether it was withheld."""
