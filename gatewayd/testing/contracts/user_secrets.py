"""Tests of every store: what users log in with, what counts once, and that nothing of it outlives its user."""

# ruff: noqa: N802  tests are named after promises

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from gatewayd import Activity, PermanentError, SealedSecret, SecondFactor, UserSecrets
from gatewayd.testing.contracts.custodian import rename

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd import Store

__all__ = ["UserSecretContract"]

_SECRET, _OTHER = SealedSecret("a1", b"\x00\xff sealed"), SealedSecret("b2", b"other")
_PASSWORDS = [SealedSecret("a1", bytes([number]) + b"\x00\xff hashed") for number in range(3)]
_CODES = [sha256(bytes([number])).digest() for number in range(10)]


def _irina(store: Store) -> int:
    store.keep_users({"acme": ["irina", "tom"]})
    return store.know_user("acme", "irina").id


def _secrets(store: Store) -> UserSecrets:
    found = store.user_secrets("acme", "irina")
    assert found is not None
    return found


class UserSecretContract:
    """Part of ``StoreContract``."""

    def test_a_password_is_kept_and_replaced(self, open_store: Callable[[], Store]) -> None:
        store = open_store()
        assert store.user_secrets("acme", "irina") is None
        irina = _irina(store)
        assert _secrets(store) == UserSecrets(user_id=irina, password=None, factor=None, recovery_codes=0)
        store.keep_password(irina, _PASSWORDS[0])
        store.keep_password(store.know_user("acme", "tom").id, _PASSWORDS[1])
        store.keep_password(irina, _PASSWORDS[2])
        assert _secrets(open_store()).password == _PASSWORDS[2]
        assert store.sealing_keys() == {"a1": 2}
        new = SealedSecret("b2", b"new")
        assert not store.reseal_password(irina, _PASSWORDS[0], new)
        assert store.reseal_password(irina, _PASSWORDS[2], new)
        assert _secrets(store).password == new
        assert "sealed" not in repr(new).replace("SealedSecret", "")

    def test_a_new_password_ends_the_other_web_sessions(self, store: Store) -> None:
        irina, tom = _irina(store), store.know_user("acme", "tom").id
        times = {"idle": 60.0, "longest": 60.0}
        made = [
            store.add_web_session(who, sha256(bytes([number])).digest(), address="", agent="", **times)
            for number, who in enumerate([irina, irina, irina, tom])
        ]
        store.keep_password(irina, _PASSWORDS[0], but=made[1].number)
        assert {one.number for one in store.web_sessions("acme", None, **times)} == {made[1].number, made[3].number}
        store.keep_password(irina, _PASSWORDS[0])
        assert store.web_sessions("acme", None, **times) == [made[3]]

    def test_a_second_factor_counts_once_it_was_confirmed(self, open_store: Callable[[], Store]) -> None:
        store = open_store()
        irina = _irina(store)
        assert store.begin_second_factor(irina, _OTHER)
        assert store.begin_second_factor(irina, _SECRET), "nobody had confirmed the first one"
        assert _secrets(store).factor == SecondFactor(secret=_SECRET, confirmed=False, step=0)
        assert not store.take_step(irina, 5)
        assert not store.replace_recovery_codes(irina, _CODES)
        assert not store.confirm_second_factor(irina, _OTHER, 7, _CODES)
        assert store.confirm_second_factor(irina, _SECRET, 7, _CODES)
        assert not store.confirm_second_factor(irina, _SECRET, 8, _CODES)
        assert not store.begin_second_factor(irina, _OTHER), "only who ends it begins anew"
        found = _secrets(open_store())
        assert (found.factor, found.recovery_codes) == (SecondFactor(secret=_SECRET, confirmed=True, step=7), len(_CODES))
        assert store.sealing_keys() == {"a1": 1}
        assert store.reseal_second_factor(irina, _SECRET, _OTHER)
        assert not store.reseal_second_factor(irina, _SECRET, _OTHER)
        assert store.sealing_keys() == {"b2": 1}
        assert store.end_second_factor(irina)
        assert not store.end_second_factor(irina)
        assert (_secrets(store).factor, _secrets(store).recovery_codes) == (None, 0)

    def test_a_code_counts_once_whoever_types_it_at_once(self, open_store: Callable[[], Store]) -> None:
        stores = [open_store() for _ in range(3)]
        irina = _irina(stores[0])
        stores[0].begin_second_factor(irina, _SECRET)
        stores[0].confirm_second_factor(irina, _SECRET, 7, _CODES)
        assert [stores[0].take_step(irina, step) for step in (6, 7)] == [False, False]
        with ThreadPoolExecutor(6) as threads:
            steps = [threads.submit(stores[at % 3].take_step, irina, 8) for at in range(6)]
            codes = [threads.submit(stores[at % 3].take_recovery_code, irina, _CODES[0]) for at in range(6)]
        assert sum(one.result(60) for one in steps) == 1
        assert sum(one.result(60) for one in codes) == 1
        assert _secrets(stores[0]).recovery_codes == len(_CODES) - 1

    def test_recovery_codes_are_ones_own_and_are_replaced_whole(self, store: Store) -> None:
        irina, tom = _irina(store), store.know_user("acme", "tom").id
        for who in (irina, tom):
            store.begin_second_factor(who, _SECRET)
            store.confirm_second_factor(who, _SECRET, 7, _CODES[:2] if who == irina else _CODES[2:4])
        assert not store.take_recovery_code(irina, _CODES[2])
        assert store.replace_recovery_codes(irina, _CODES[5:])
        assert not store.take_recovery_code(irina, _CODES[0])
        assert store.take_recovery_code(irina, _CODES[5])
        assert store.take_recovery_code(tom, _CODES[2])

    def test_a_renamed_user_stays_logged_in_and_has_the_same_password(self, store: Store) -> None:
        irina = _irina(store)
        store.keep_password(irina, _PASSWORDS[0])
        digest, times = sha256(b"token").digest(), {"idle": 999.0, "longest": 999.0}
        made = store.add_web_session(irina, digest, address="", agent="", **times)
        store.note_activities([Activity(operator="acme", who="irina", what="logged in")])
        rename(store, "acme/irina", "acme/nina", kind="user")
        rename(store, "acme", "acme2", kind="operator")
        found = store.user_secrets("acme2", "nina")
        assert store.user_secrets("acme", "irina") is None
        assert found
        assert (found.user_id, found.password) == (irina, _PASSWORDS[0])
        assert store.web_session(digest, **times) == replace(made, operator="acme2", user="nina")
        assert [one.who for one in store.activities("acme2")] == ["irina"], "as she was called then"
        assert store.activities("acme") == []

    def test_P9_who_has_left_has_no_password_no_factor_and_no_codes(self, store: Store) -> None:
        irina = _irina(store)
        store.keep_password(irina, _PASSWORDS[0])
        store.begin_second_factor(irina, _SECRET)
        store.confirm_second_factor(irina, _SECRET, 7, _CODES)
        store.keep_users({"acme": ["tom"]})
        assert store.user_secrets("acme", "irina") is None
        assert store.sealing_keys() == {}
        assert not store.take_recovery_code(irina, _CODES[0])
        assert not store.take_step(irina, 9)
        for write in (
            lambda: store.keep_password(irina, _PASSWORDS[0]),
            lambda: store.begin_second_factor(irina, _SECRET),
            lambda: store.confirm_second_factor(irina, _SECRET, 9, _CODES),
            lambda: store.replace_recovery_codes(irina, _CODES),
        ):
            with pytest.raises(PermanentError, match="left"):
                write()
        again = _irina(store)
        assert again != irina
        assert _secrets(store) == UserSecrets(user_id=again, password=None, factor=None, recovery_codes=0)
