"""Passwords as the store has them: hashed and sealed, so that neither a copy of it nor who writes it gets in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import PermanentError, TransientError, UserSecrets
from gatewayd.access.kept_passwords import KeptPasswords, give_password
from gatewayd.access.passwords import Passwords
from gatewayd.api.options import Secret
from tests.unit.access.people import CHEAP

if TYPE_CHECKING:
    from gatewayd import Store
    from gatewayd.config import Config

_PASSWORD = "four words and an ü"


def _secrets(store: Store, user: str = "irina") -> UserSecrets:
    found = store.user_secrets("acme", user)
    assert found
    return found


def test_an_administrator_gives_a_password_which_logs_the_user_out(config: Config, store: Store) -> None:
    irina, times = store.know_user("acme", "irina").id, {"idle": 99.0, "longest": 99.0}
    store.add_web_session(irina, b"d" * 32, address="", agent="", **times)
    passwords = Passwords(**CHEAP)
    give_password(config, store, "acme", "irina", _PASSWORD, passwords=passwords)
    assert KeptPasswords(store, passwords).fits(config, _secrets(store), _PASSWORD)
    assert store.web_session(b"d" * 32, **times) is None
    with pytest.raises(PermanentError, match="shorter"):
        give_password(config, store, "acme", "irina", "short", passwords=passwords)
    assert KeptPasswords(store, passwords).fits(config, _secrets(store), _PASSWORD)


def test_what_the_store_has_can_not_be_guessed_at_and_is_nobody_elses(config: Config, store: Store) -> None:
    kept = KeptPasswords(store, Passwords(**CHEAP))
    kept.keep(config, _secrets(store).user_id, _PASSWORD)
    irina = _secrets(store).password
    assert irina
    assert b"argon2" not in irina.sealed
    # Who could write the store would give an administrator's user his own password.
    store.keep_password(_secrets(store, "tom").user_id, irina)
    with pytest.raises(TransientError, match="can't be checked") as caught:
        kept.fits(config, _secrets(store, "tom"), _PASSWORD)
    assert "gatewayd check" in caught.value.advice


def test_nobody_and_who_has_no_password_have_no_right_one(config: Config, store: Store) -> None:
    kept = KeptPasswords(store, Passwords(**CHEAP))
    assert not kept.fits(config, None, _PASSWORD)
    assert not kept.fits(config, _secrets(store), "")


def test_a_new_sealing_key_takes_over_with_the_next_log_in(config: Config, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST", "first " * 10)
    monkeypatch.setenv("SECOND", "second " * 10)
    before, after = (replace(config, sealing_key=Secret("env", name)) for name in ("FIRST", "SECOND"))
    kept = KeptPasswords(store, Passwords(**CHEAP))
    kept.keep(before, _secrets(store).user_id, _PASSWORD)
    with pytest.raises(TransientError, match="can't be checked"):
        kept.fits(after, _secrets(store), _PASSWORD)
    both = replace(after, old_sealing_keys=(Secret("env", "FIRST"),))
    assert not kept.fits(both, _secrets(store), "another password")
    old = _secrets(store).password
    assert kept.fits(both, _secrets(store), _PASSWORD)
    new = _secrets(store).password
    assert old
    assert new
    assert old.key_id != new.key_id
    assert kept.fits(after, _secrets(store), _PASSWORD), "the old key is needed no more"
