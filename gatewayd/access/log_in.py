"""Log people in: find the user, throttle, check password and second factor, and begin a web session. It lives in the daemon."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.access.activities import note
from gatewayd.access.kept_passwords import KeptPasswords
from gatewayd.access.passwords import good_password
from gatewayd.access.second_factors import SecondFactors
from gatewayd.access.throttle import Throttle
from gatewayd.access.tokens import digest_of, new_token
from gatewayd.api.web_sessions import Activity
from gatewayd.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from gatewayd.access.passwords import Passwords
    from gatewayd.access.people import Person
    from gatewayd.api.store import Store
    from gatewayd.api.store.user_secrets import UserSecrets
    from gatewayd.api.web_sessions import Deed
    from gatewayd.config import Config

__all__ = ["Authenticator", "named_user"]

#: No name and no address is longer, in characters.
_LONGEST = 320


@dataclass(frozen=True, slots=True)
class _Try:
    """A try to prove who one is: as whom, as it was typed, and from where."""

    #: Operator and user, if the config has such a user.
    user: tuple[str, str] | None
    spelt: str
    address: str

    @property
    def key(self) -> str:
        """Under which tries for this user are counted, from all addresses."""
        return "/".join(self.user) if self.user else self.spelt


class Authenticator:
    """Logs people in. All methods may be called from any thread, and wait."""

    def __init__(
        self,
        store: Store,
        *,
        passwords: Passwords | None = None,
        throttle: Throttle | None = None,
        second_factors: SecondFactors | None = None,
    ) -> None:
        """Keep what is given; there should be one of it in a process, since it counts tries."""
        self._store = store
        self._passwords = KeptPasswords(store, passwords)
        self._throttle = throttle or Throttle()
        #: Whoever is logged in sets up and ends one by these.
        self.second_factors = second_factors or SecondFactors(store)

    def log_in(self, config: Config, name: str, password: str, code: str = "", *, address: str, agent: str) -> str:
        """Return the token of a new web session.

        ``name`` is `operator/user`, or a mail address that one user alone has. ``code`` is of the second factor, or a recovery
        code, and counts only for a user who has one. Raises PermanentError that does not say which of them was wrong, and
        TransientError, with the seconds to wait, where there were too many tries; also what verbs raise.
        """
        if not config.web.log_in.password:
            raise PermanentError("nobody logs in by a password here", advice="`web.log_in.password` in gatewayd.yaml says so.")
        spelt = unicodedata.normalize("NFKC", name[:_LONGEST]).strip().casefold()
        who = self._proven(config, _Try(named_user(config, spelt), spelt, address), password, code)
        token, times = new_token(), config.web.sessions
        digest = digest_of(token) or b""
        made = self._store.add_web_session(
            who.user_id, digest, address=address, agent=agent, idle=times.idle, longest=times.longest
        )
        self._note(made.operator, made.user, "logged in", address)
        return token

    def prove(self, config: Config, person: Person, password: str) -> None:
        """Raise as ``log_in`` does unless this is the password of a person who is logged in: before something grave is done."""
        self._proven(config, _try_of(person), password, None)

    def change_password(self, config: Config, person: Person, old: str, new: str) -> None:
        """Change the password of a person who is logged in, and end that person's other web sessions.

        Raises as ``log_in`` does for a wrong ``old``, and PermanentError with what to do for one that is too short.
        """
        good_password(new)
        who = self._proven(config, _try_of(person), old, None)
        self._passwords.keep(config, who.user_id, new, but=person.web_session.number)
        note(self._store, person, "changed", detail="password")

    def _proven(self, config: Config, one: _Try, password: str, code: str | None) -> UserSecrets:
        """Return what the user logs in with, if all of it was right; None for ``code``: it is not asked for."""
        self._throttle.enter(one.key, one.spelt, one.address)
        who = self._store.user_secrets(*one.user) if one.user else None
        try:
            right = self._passwords.fits(config, who, password)
        except TransientError:
            # Nothing was tried.
            self._throttle.take_back(one.key, one.spelt, one.address)
            raise
        if who is None or not right or (code is not None and not self.second_factors.take(config, who, code)):
            # It is written for nobody, too: the time that it takes must not tell whether there is such a user.
            self._note(*(one.user if one.user and who else ("", "")), "log-in refused", one.address)
            if code is None:
                # Whoever asks is logged in: it is clear who is meant.
                raise PermanentError("the password is wrong", advice="Type it again.")
            raise PermanentError(
                "name, password or code is wrong",
                advice="Type them again. A code is needed by whoever has set up a second factor.",
            )
        self._throttle.succeeded(one.key, one.spelt, one.address)
        return who

    def _note(self, operator: str, user: str, what: Deed, address: str) -> None:
        self._store.note_activities([Activity(operator=operator, who=user, what=what, address=address)])


def named_user(config: Config, name: str) -> tuple[str, str] | None:
    """Return operator and user of a name in small letters: `operator/user`, or a mail address that one user alone has."""
    if "@" in name:
        having = [
            (operator, user)
            for operator, one in config.operators.items()
            for user, said in one.users.items()
            if said.email.casefold() == name
        ]
        return having[0] if len(having) == 1 else None
    operator, _, user = name.partition("/")
    known = config.operators.get(operator)
    return (operator, user) if known and user in known.users else None


def _try_of(person: Person) -> _Try:
    return _Try((person.operator, person.user), f"{person.operator}/{person.user}", person.web_session.address)
