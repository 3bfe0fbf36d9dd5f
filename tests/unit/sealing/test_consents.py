"""Tokens by consents: the next refresh token is on the disk before its access token is used, whoever dies or comes first."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import (
    AuthError,
    ConsentEnded,
    Folders,
    GatewaydError,
    PermanentError,
    PluginError,
    SealedSecret,
    Token,
    TokenSource,
    TokenUse,
    TransientError,
)
from gatewayd.api.consent import Grant
from gatewayd.sealing.consents import KeptConsents, about_consent
from gatewayd.sealing.keys import SealingKey, SealingKeys, name_of
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.unit.sealing.paper_authority import PaperConsent, PaperCredential, PaperOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

USER = "irina@paper.example"
KEYS = SealingKeys([SealingKey("1" * 32)], "in gatewayd.yaml")
ROOT = Path(__file__).parents[3]


def options(folder: Path, **changed: object) -> PaperOptions:
    return PaperOptions.model_validate({"folder": str(folder / "authority"), **changed})


def use_of(folder: Path, user: str = USER, **changed: object) -> TokenUse:
    return TokenUse(TokenSource(PaperCredential(options(folder, **changed))), user, "paper")


def consents(store: Sql, *uses: TokenUse, keys: SealingKeys = KEYS, patience: float = 5.0) -> KeptConsents:
    names = {use: f"account{number}" for number, use in enumerate(uses, 1)}
    return KeptConsents(lambda: store, lambda _: keys, names, patience=patience)


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[], Sql]]:
    opened: list[Sql] = []

    def open_store() -> Sql:
        opened.append(Sql(SqlOptions(url=f"sqlite:///{tmp_path}/gatewayd.db"), place=Folders(config=tmp_path, state=tmp_path)))
        opened[-1].open()
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Sql]) -> Sql:
    return open_store()


@pytest.fixture
def authority(tmp_path: Path) -> PaperConsent:
    made = PaperConsent(options(tmp_path))
    made.consented("code", "irina")
    return made


def connected(authority: PaperConsent, store: Sql, use: TokenUse) -> KeptConsents:
    """Let the person consent, and keep that."""
    authority.consented("code", "irina")
    found = consents(store, use)
    found.keep(use, PaperConsent.redeem(authority, None, "code"))  # type: ignore[arg-type]  # it asks for no challenge
    return found


# --- one process ------------------------------------------------------------------------------------------------------


def test_a_consent_is_used_again_and_again(authority: PaperConsent, open_store: Callable[[], Sql], tmp_path: Path) -> None:
    use = use_of(tmp_path)
    connected(authority, open_store(), use)
    seen = set()
    for _ in range(3):
        # After a restart, too.
        token = consents(open_store(), use).renewed(use)
        assert token.text.endswith(f"-{USER}-paper")
        seen |= {token.text, *authority.valid}
    assert len(seen) == 6


def test_names_are_compared_in_any_case_and_the_mailbox_s_id_is_one(authority: PaperConsent, store: Sql, tmp_path: Path) -> None:
    for user in ("IRINA@Paper.example", "ID-of-irina"):
        use = use_of(tmp_path, user)
        connected(authority, store, use)
        assert consents(store, use).renewed(use_of(tmp_path, user.upper()))


def test_another_mailbox_than_the_account_s_is_refused_with_both_names(authority: PaperConsent, store: Sql, tmp_path: Path) -> None:
    use = use_of(tmp_path, "boss@paper.example")
    with pytest.raises(PermanentError, match=rf"^{USER} has consented, and the account's mailbox is boss@paper\.example") as raised:
        connected(authority, store, use)
    assert "log in there as boss@paper.example" in raised.value.advice
    assert store.sealing_keys() == {}


def test_a_grant_that_would_end_within_the_hour_is_not_kept(store: Sql, tmp_path: Path) -> None:
    use = use_of(tmp_path)
    with pytest.raises(PermanentError, match="no refresh token for irina"):
        consents(store, use).keep(use, Grant(Token("access-x-irina", 3600.0)))
    assert store.sealing_keys() == {}


def test_who_has_not_consented_is_told_which_command_asks_for_it(store: Sql, tmp_path: Path) -> None:
    use = use_of(tmp_path)
    with pytest.raises(AuthError, match=f"{USER} has not consented") as raised:
        consents(store, use).renewed(use)
    assert raised.value.advice == "Run `gatewayd account connect account1`."
    # Where there is no store yet, nobody makes one for that.
    with pytest.raises(AuthError, match="has not consented"):
        KeptConsents(lambda: None, lambda _: KEYS, {}).renewed(use)
    with pytest.raises(TransientError, match="no store"):
        KeptConsents(lambda: None, lambda _: KEYS, {}).forget(use)


def test_a_revoked_consent_has_its_own_advice_and_the_command(authority: PaperConsent, store: Sql, tmp_path: Path) -> None:
    use = use_of(tmp_path)
    connected(authority, store, use)
    authority.revoke()
    with pytest.raises(ConsentEnded, match="has revoked the consent") as raised:
        consents(store, use, patience=0.0).renewed(use)
    assert raised.value.advice == "The person took it back. Run `gatewayd account connect account1`."
    # A new consent takes the place of the old one.
    assert connected(authority, store, use).renewed(use)


def test_each_account_of_a_mailbox_is_told_to_ask_for_what_it_needs_itself(
    authority: PaperConsent, store: Sql, tmp_path: Path
) -> None:
    """What a person has consented to for one resource may not do for another one."""
    use = use_of(tmp_path)
    other = TokenUse(use.source, use.user, "another resource")
    connected(authority, store, use)
    authority.revoke()
    found = consents(store, use, other, patience=0.0)
    for one, account in ((use, "account1"), (other, "account2")):
        with pytest.raises(ConsentEnded) as raised:
            found.renewed(one)
        assert raised.value.advice.endswith(f"Run `gatewayd account connect {account}`.")


def test_an_authority_that_is_away_costs_nothing(authority: PaperConsent, store: Sql, tmp_path: Path) -> None:
    use = use_of(tmp_path)
    found = connected(authority, store, use)
    (tmp_path / "authority" / "away").touch()
    with pytest.raises(TransientError, match="is away"):
        found.renewed(use)
    (tmp_path / "authority" / "away").unlink()
    assert found.renewed(use)


def test_without_a_new_refresh_token_the_old_one_stays(authority: PaperConsent, store: Sql, tmp_path: Path) -> None:
    use = use_of(tmp_path, rotation="none")
    found = connected(authority, store, use)
    before, name = authority.valid, name_of(about_consent(use))
    row = store.sealed_secret(name)
    assert found.renewed(use) != found.renewed(use)
    assert (authority.valid, store.sealed_secret(name)) == (before, row)


def test_a_forgotten_consent_is_gone(authority: PaperConsent, store: Sql, tmp_path: Path) -> None:
    use = use_of(tmp_path)
    found = connected(authority, store, use)
    assert found.mark(use)
    assert [found.forget(use), found.forget(use)] == [True, False]
    assert found.mark(use) == b""
    with pytest.raises(AuthError, match="has not consented"):
        found.renewed(use)


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rotation", ["strict", "none"])
def test_after_a_change_of_the_key_each_consent_is_sealed_by_the_new_one_when_it_is_used(
    authority: PaperConsent, store: Sql, tmp_path: Path, rotation: str
) -> None:
    use = use_of(tmp_path, rotation=rotation)
    connected(authority, store, use)
    old, new = SealingKey("1" * 32), SealingKey("2" * 32)
    assert store.sealing_keys() == {old.id: 1}
    assert consents(store, use, keys=SealingKeys([new, old], "in gatewayd.yaml")).renewed(use)
    assert store.sealing_keys() == {new.id: 1}
    assert consents(store, use, keys=SealingKeys([new], "in gatewayd.yaml")).renewed(use)


def test_with_another_key_it_is_said_which_is_missing(authority: PaperConsent, store: Sql, tmp_path: Path) -> None:
    use = use_of(tmp_path)
    connected(authority, store, use)
    before = authority.valid
    other = SealingKeys([SealingKey("2" * 32)], "that of /state/sealing.key")
    with pytest.raises(
        AuthError, match=r"is sealed by the key c32575f01b5aec0c, which is not that of /state/sealing\.key"
    ) as raised:
        consents(store, use, keys=other).renewed(use)
    assert raised.value.advice == "Restore that key, or ask for the consent anew. Run `gatewayd account connect account1`."
    assert authority.valid == before


def test_P6_a_consent_that_was_put_under_another_mailbox_s_name_opens_nothing(
    authority: PaperConsent, store: Sql, tmp_path: Path
) -> None:
    irina, boss = use_of(tmp_path), use_of(tmp_path, "boss@paper.example")
    connected(authority, store, irina)
    row = store.sealed_secret(name_of(about_consent(irina)))
    assert row
    store.replace_secret(name_of(about_consent(boss)), None, row)
    with pytest.raises(AuthError, match="is damaged, or was sealed for another one"):
        consents(store, boss).renewed(boss)


# --- several processes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rotation", ["strict", "lenient"])
def test_daemons_on_one_store_that_renew_at_once_all_get_tokens_and_nobody_loses_the_consent(
    authority: PaperConsent, open_store: Callable[[], Sql], tmp_path: Path, rotation: str
) -> None:
    use = use_of(tmp_path, rotation=rotation)
    connected(authority, open_store(), use)
    daemons = [consents(open_store(), use, patience=60.0) for _ in range(3)]
    for _ in range(4):
        with ThreadPoolExecutor(3) as pool:
            tokens = list(pool.map(lambda one: one.renewed(use), daemons))
        assert len({token.text for token in tokens}) == 3
    if rotation == "strict":
        assert len(authority.valid) == 1


def test_the_loser_takes_what_the_winner_wrote(authority: PaperConsent, open_store: Callable[[], Sql], tmp_path: Path) -> None:
    store = open_store()
    use = use_of(tmp_path)
    connected(authority, store, use)
    other = consents(open_store(), use)

    class Overtaken(PaperConsent):
        """Another daemon is quicker, once."""

        turns = 0

        def refresh(self, user: str, resource: str, refresh_token: str) -> Grant:
            self.turns += 1
            if self.turns == 1:
                other.renewed(use)
            return super().refresh(user, resource, refresh_token)

    overtaken = Overtaken(options(tmp_path))

    class Slow(PaperCredential):
        def consent(self) -> PaperConsent:
            return overtaken

    slow = TokenUse(TokenSource(Slow(options(tmp_path))), USER, "paper")
    assert consents(store, slow, patience=60.0).renewed(slow)
    assert (overtaken.turns, len(authority.valid)) == (2, 1)


def test_a_new_consent_is_not_written_over_by_a_token_of_the_old_one(authority: PaperConsent, store: Sql, tmp_path: Path) -> None:
    use = use_of(tmp_path, rotation="lenient")
    connected(authority, store, use)
    name = name_of(about_consent(use))
    kept: list[tuple[SealedSecret | None, str]] = []

    class Reconnected(PaperConsent):
        """Meanwhile the person consents anew, once."""

        def refresh(self, user: str, resource: str, refresh_token: str) -> Grant:
            if not kept:
                connected(authority, store, use)
                kept.append((store.sealed_secret(name), refresh_token))
            else:
                assert refresh_token != kept[0][1]
            return super().refresh(user, resource, refresh_token)

    class Slow(PaperCredential):
        def consent(self) -> PaperConsent:
            return Reconnected(options(tmp_path, rotation="none"))

    slow = TokenUse(TokenSource(Slow(options(tmp_path))), USER, "paper")
    assert consents(store, slow).renewed(slow)
    assert store.sealed_secret(name) == kept[0][0]


_CHILD = """
import os, signal, sys
from pathlib import Path
from gatewayd import Folders
from tests.unit.sealing import test_consents as t

folder, rotation, when = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
kill = lambda: os.kill(os.getpid(), signal.SIGKILL)

class Killed(t.PaperConsent):
    def refresh(self, *asked):
        grant = super().refresh(*asked)
        if when == "before it is written":
            kill()
        return grant

class Credential(t.PaperCredential):
    def consent(self):
        return Killed(self.options)

store = t.Sql(t.SqlOptions(url=f"sqlite:///{folder}/gatewayd.db"), place=Folders(config=folder, state=folder))
store.open()
use = t.TokenUse(t.TokenSource(Credential(t.options(folder, rotation=rotation))), t.USER, "paper")
use.source.keep_consents(t.consents(store, use))
use.source.token(use.user, use.resource)
kill()
"""


def _killed(folder: Path, rotation: str, when: str) -> None:
    done = subprocess.run([sys.executable, "-c", _CHILD, folder, rotation, when], cwd=ROOT, check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("rotation", "when"),
    [
        ("strict", "before it is used"),
        ("lenient", "before it is used"),
        ("lenient", "before it is written"),
        ("none", "before it is written"),
    ],
)
def test_a_kill_loses_nothing_that_could_be_kept(
    authority: PaperConsent, store: Sql, tmp_path: Path, rotation: str, when: str
) -> None:
    use = use_of(tmp_path, rotation=rotation)
    connected(authority, store, use)
    for _ in range(2):
        _killed(tmp_path, rotation, when)
        assert consents(store, use).renewed(use)


def test_what_is_lost_between_answer_and_disk_is_asked_for_anew(authority: PaperConsent, store: Sql, tmp_path: Path) -> None:
    use = use_of(tmp_path)
    connected(authority, store, use)
    _killed(tmp_path, "strict", "before it is written")
    with pytest.raises(ConsentEnded, match="revoked") as raised:
        consents(store, use, patience=0.0).renewed(use)
    assert "gatewayd account connect account1" in raised.value.advice


def test_no_refresh_token_is_used_while_its_successor_could_not_be_written(
    authority: PaperConsent, store: Sql, tmp_path: Path
) -> None:
    use = use_of(tmp_path)
    found = connected(authority, store, use)
    before = authority.valid

    class Full(Sql):
        def prove_writable(self) -> None:
            raise TransientError("the disk is full")

    full = Full(store.options, place=store.place)
    full.open()
    try:
        with pytest.raises(TransientError, match="disk is full"):
            consents(full, use).renewed(use)
        assert authority.valid == before
    finally:
        full.close()
    assert found.renewed(use)


class ReadOnlyLater(Sql):
    """Can be written until the authority has answered, and then not so many times."""

    failures = 0

    def replace_secret(self, name: str, old: SealedSecret | None, new: SealedSecret) -> bool:
        if self.failures:
            self.failures -= 1
            raise TransientError("the store is read-only")
        return super().replace_secret(name, old, new)


@pytest.fixture
def read_only_later(store: Sql) -> Iterator[ReadOnlyLater]:
    found = ReadOnlyLater(store.options, place=store.place)
    found.open()
    yield found
    found.close()


def test_what_could_not_be_written_is_written_first_once_the_store_can_be(
    authority: PaperConsent, store: Sql, read_only_later: ReadOnlyLater, tmp_path: Path
) -> None:
    """The authority takes each refresh token once, so the one that it gave is all that there is."""
    use = use_of(tmp_path)
    connected(authority, store, use)
    found = consents(read_only_later, use, patience=0.0)
    read_only_later.failures = 3
    for _ in range(3):
        with pytest.raises(TransientError, match="read-only"):
            found.renewed(use)
    assert found.renewed(use)
    # Another process goes on with it.
    assert consents(store, use, patience=0.0).renewed(use)


@pytest.mark.parametrize("anew", [True, False])
def test_what_could_not_be_written_takes_no_newer_consent_s_place(
    authority: PaperConsent, store: Sql, read_only_later: ReadOnlyLater, tmp_path: Path, *, anew: bool
) -> None:
    use = use_of(tmp_path)
    others = connected(authority, store, use)
    found = consents(read_only_later, use, patience=0.0)
    read_only_later.failures = 1
    with pytest.raises(TransientError, match="read-only"):
        found.renewed(use)
    if anew:
        connected(authority, store, use)
        assert found.renewed(use)
        assert others.renewed(use)
    else:
        assert others.forget(use)
        with pytest.raises(AuthError, match="has not consented"):
            found.renewed(use)


# --- plugins at fault -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        KeyError("refresh-of-irina"),
        "refresh-of-irina",
        Grant("access-of-irina", "x"),  # type: ignore[arg-type]  # that is what is tested
        Grant(Token("", lasts=60.0), "x"),
        Grant(Token("access-of-irina", lasts="60"), "x"),  # type: ignore[arg-type]  # as above
        Grant(Token("access-of-irina\r\nX: y", lasts=60.0), "x"),
        Grant(Token("access-of-irina", lasts=60.0), "refresh-of-irina\ud800"),
    ],
)
def test_P9_a_fault_of_the_plugin_is_told_as_its_own_and_quotes_nothing(
    authority: PaperConsent, store: Sql, tmp_path: Path, wrong: object
) -> None:
    class Odd(PaperConsent):
        def refresh(self, *_: str) -> Grant:
            if isinstance(wrong, Exception):
                raise wrong
            return wrong  # type: ignore[return-value]  # that is what is tested

    class OddCredential(PaperCredential):
        def consent(self) -> PaperConsent:
            return Odd(self.options)

    use = TokenUse(TokenSource(OddCredential(options(tmp_path))), USER, "paper")
    found = connected(authority, store, use)
    before = authority.valid
    with pytest.raises(
        PluginError, match=r"the credential paper is at fault with consents: (KeyError in|expected a Grant with a token, got)"
    ) as raised:
        found.renewed(use)
    assert "irina" not in raised.value.sentences
    assert authority.valid == before


@pytest.mark.parametrize("wrong", [None, "access-of-irina", Grant("access-of-irina", "x"), [None]])  # type: ignore[arg-type]  # as above
def test_P9_what_is_no_grant_or_has_no_names_is_the_plugin_s_fault(
    authority: PaperConsent, store: Sql, tmp_path: Path, wrong: object
) -> None:
    class Odd(PaperConsent):
        def names(self, _grant: Grant) -> Sequence[str]:
            return [None]  # type: ignore[list-item]  # that is what is tested

    class OddCredential(PaperCredential):
        def consent(self) -> PaperConsent:
            return Odd(self.options)

    use = TokenUse(TokenSource(OddCredential(options(tmp_path))), USER, "paper")
    grant = authority.redeem(None, "code") if isinstance(wrong, list) else wrong  # type: ignore[arg-type]  # it asks for no challenge
    with pytest.raises(PluginError, match="the credential paper is at fault with consents: expected") as raised:
        consents(store, use).keep(use, grant)  # type: ignore[arg-type]  # that is what is tested
    assert "irina" not in raised.value.sentences


# --- secrecy ----------------------------------------------------------------------------------------------------------


def test_P9_no_token_is_in_the_database_or_in_what_is_shown(authority: PaperConsent, store: Sql, tmp_path: Path) -> None:
    use = use_of(tmp_path)
    found = connected(authority, store, use)
    assert found.renewed(use)
    tokens = authority.given
    raw = b"".join(path.read_bytes() for path in tmp_path.glob("gatewayd.db*"))
    assert b"c32575f01b5aec0c" in raw
    assert not [token for token in tokens if token.encode() in raw]
    authority.revoke()
    with pytest.raises(GatewaydError) as raised:
        consents(store, use, patience=0.0).renewed(use)
    shown = f"{raised.value.sentences} {found!r} {use!r} {store.sealed_secret(name_of(about_consent(use)))!r}"
    assert not [token for token in tokens if token in shown]
