"""Whatever daemons, persons and administrators do after each other or in the middle of each other's work: a consent that stands gives
tokens, one that doesn't names the command, and the newest refresh token is the one that is kept.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gatewayd import AuthError, Folders, Grant, TokenSource, TokenUse
from gatewayd.sealing.consents import KeptConsents
from gatewayd.sealing.keys import SealingKey, SealingKeys
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.unit.sealing.paper_authority import PaperConsent, PaperCredential, PaperOptions

if TYPE_CHECKING:
    from collections.abc import Callable

_KEYS = [SealingKey(letter * 32) for letter in "abc"]
_USER = "irina@paper.example"
_DAEMONS = st.integers(0, 1)


def _nothing() -> None:
    """Nothing happens."""


class Interrupted(PaperConsent):
    """While the authority is asked, something else happens."""

    def __init__(self, options: PaperOptions) -> None:
        super().__init__(options)
        self.meanwhile: Callable[[], object] = _nothing

    def refresh(self, user: str, resource: str, refresh_token: str) -> Grant:
        happens, self.meanwhile = self.meanwhile, _nothing
        happens()
        return super().refresh(user, resource, refresh_token)


class InterruptedCredential(PaperCredential):
    """Has that consent."""

    def __init__(self, options: PaperOptions) -> None:
        super().__init__(options)
        self.made = Interrupted(options)

    def consent(self) -> Interrupted:
        return self.made


def _stands(machine: Histories) -> bool:
    """Whether a token can be had: where none can, there is little to lose."""
    return machine.stands


class Histories(RuleBasedStateMachine):
    """Two daemons with stores of their own on one database, and an authority that takes each refresh token once."""

    @initialize(rotation=st.sampled_from(["strict", "lenient", "none"]))
    def begin(self, rotation: str) -> None:
        """Open the stores."""
        self.folder = Path(tempfile.mkdtemp())
        options = PaperOptions.model_validate({"folder": str(self.folder / "authority"), "rotation": rotation})
        self.credential = InterruptedCredential(options)
        self.authority = self.credential.made
        self.use = TokenUse(TokenSource(self.credential), _USER, "paper")
        url = f"sqlite:///{self.folder}/gatewayd.db"
        self.stores = [Sql(SqlOptions(url=url), place=Folders(config=self.folder, state=self.folder)) for _ in range(2)]
        for store in self.stores:
            store.open()
        self.keys = _KEYS[:1]
        self.daemons = [
            KeptConsents(lambda at=at: self.stores[at], lambda _: SealingKeys(self.keys, "here"), {self.use: "irina"}, patience=0.0)  # type: ignore[misc]  # mypy knows no defaults of a lambda
            for at in range(2)
        ]
        #: Whether a token can be had.
        self.stands = False
        self._connect(0)

    def _connect(self, daemon: int) -> None:
        self.authority.consented("code", "irina")
        self.daemons[daemon].keep(self.use, self.authority.redeem(None, "code"))  # type: ignore[arg-type]  # it asks for no challenge
        self.stands = True

    def _revoke(self) -> None:
        if (self.folder / "authority" / "tokens").exists():
            self.authority.revoke()
        self.stands = False

    def _forget(self, daemon: int) -> None:
        self.daemons[daemon].forget(self.use)
        self.stands = False

    def _renew(self, daemon: int) -> bool:
        """Return whether there is a token."""
        try:
            token = self.daemons[daemon].renewed(self.use)
        except AuthError as error:
            advice, why = error.advice, error.sentences
        else:
            assert token.text.endswith(f"{_USER}-paper")
            return True
        assert not self.stands, why
        assert "Run `gatewayd account connect irina`." in advice
        return False

    @rule(daemon=_DAEMONS)
    def connect(self, daemon: int) -> None:
        """The person consents."""
        self._connect(daemon)

    @precondition(_stands)
    @rule()
    def revoke(self) -> None:
        """The person takes it back."""
        self._revoke()

    @precondition(_stands)
    @rule(daemon=_DAEMONS)
    def forget(self, daemon: int) -> None:
        """The administrator lets it be forgotten."""
        self._forget(daemon)

    @rule(daemons=st.lists(_DAEMONS, min_size=1, max_size=4))
    def renew(self, daemons: list[int]) -> None:
        """Daemons want tokens one after the other, and get them exactly if the consent stands."""
        assert {self._renew(daemon) for daemon in daemons} == {self.stands}

    @rule(number=st.integers(0, 2))
    def change_key(self, number: int) -> None:
        """Another key seals from now on; the others open still."""
        self.keys = [_KEYS[number], *(one for one in _KEYS if one is not _KEYS[number])]

    @rule(daemon=_DAEMONS, what=st.sampled_from(["connect", "forget", "renew"]))
    def renew_while(self, daemon: int, what: str) -> None:
        """While a daemon waits for the authority, the other one does something."""
        happens = {"connect": self._connect, "forget": self._forget, "renew": self._renew}[what]
        self.authority.meanwhile = lambda: happens(1 - daemon)
        self._renew(daemon)
        self.authority.meanwhile = _nothing

    @precondition(_stands)
    @rule(daemon=_DAEMONS)
    def answer_is_lost(self, daemon: int) -> None:
        """A daemon dies with the authority's answer in its hands: only where each token is taken once, the consent is lost."""

        class Killed(BaseException):
            pass

        class Dying(PaperConsent):
            def refresh(self, user: str, resource: str, refresh_token: str) -> Grant:
                super().refresh(user, resource, refresh_token)
                raise Killed

        made, self.credential.made = self.credential.made, Dying(self.authority.options)  # type: ignore[assignment]  # it asks the same authority
        dying = TokenUse(TokenSource(self.credential), _USER, "paper")
        self.credential.made = made
        try:
            self.daemons[daemon].renewed(dying)
        except AuthError:
            assert not self.stands
        except Killed:
            self.stands = self.stands and self.authority.options.rotation != "strict"

    @invariant()
    def at_most_one_is_kept(self) -> None:
        """There is one consent, or none."""
        if hasattr(self, "stores"):
            assert sum(self.stores[0].sealing_keys().values()) <= 1

    def teardown(self) -> None:
        """Close all."""
        if hasattr(self, "stores"):
            for store in self.stores:
                store.close()
            shutil.rmtree(self.folder)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=20, stateful_step_count=12, deadline=None)
