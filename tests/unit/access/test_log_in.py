"""Log-ins: by name or address, with password and second factor, without a word on what was wrong."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import PermanentError, Store, TransientError
from gatewayd.access.codes import one_time_code
from gatewayd.access.kept_passwords import give_password
from gatewayd.access.log_in import Authenticator
from gatewayd.access.passwords import Passwords
from gatewayd.access.people import Person, person_of
from gatewayd.access.second_factors import SecondFactors
from gatewayd.access.throttle import Throttle
from gatewayd.config import WebConfig
from tests.unit.access.people import CHEAP, user, without

if TYPE_CHECKING:
    from gatewayd.config import Config

_PASSWORD = "correct horse battery"
_NOW = 1_800_000_000


@pytest.fixture
def log_in(config: Config, store: Store) -> Authenticator:
    """Irina has a password, and tom has none."""
    passwords = Passwords(**CHEAP)
    give_password(config, store, "acme", "irina", _PASSWORD, passwords=passwords)
    # No time passes, however slow the machine is.
    throttle, factors = Throttle(lambda: 0.0), SecondFactors(store, lambda: _NOW)
    return Authenticator(store, passwords=passwords, throttle=throttle, second_factors=factors)


def _in(
    log_in: Authenticator,
    config: Config,
    name: str = "acme/irina",
    password: str = _PASSWORD,
    *,
    code: str = "",
    at: str = "192.0.2.1",
) -> str:
    return log_in.log_in(config, name, password, code, address=at, agent="Firefox")


def _person(config: Config, store: Store, token: str) -> Person:
    found = person_of(config, store, token)
    assert found
    return found


@pytest.mark.parametrize("name", ["acme/irina", " ACME/Irina ", "irina@example.com", "Irina@Example.com"])
def test_a_user_logs_in_by_name_or_mail_address(log_in: Authenticator, config: Config, store: Store, name: str) -> None:
    person = _person(config, store, _in(log_in, config, name))
    assert (person.operator, person.user) == ("acme", "irina")
    assert (person.web_session.address, person.web_session.agent) == ("192.0.2.1", "Firefox")
    assert [(one.who, one.what, one.address) for one in store.activities("acme")] == [("irina", "logged in", "192.0.2.1")]


def test_each_log_in_has_a_token_of_its_own(log_in: Authenticator, config: Config, store: Store) -> None:
    first, second = _in(log_in, config), _in(log_in, config)
    assert first != second
    assert _person(config, store, first).web_session.number != _person(config, store, second).web_session.number


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("acme/irina", "wrong horse battery"),
        ("acme/irina", ""),
        ("acme/tom", _PASSWORD),
        ("acme/tom", ""),
        ("acme/nobody", _PASSWORD),
        ("globetrot/irina", _PASSWORD),
        ("nobody/irina", _PASSWORD),
        ("irina", _PASSWORD),
        ("nobody@example.com", _PASSWORD),
        ("", ""),
        ("\ud800\0" * 1000, _PASSWORD),
    ],
)
def test_whatever_is_wrong_the_words_are_the_same(log_in: Authenticator, config: Config, name: str, password: str) -> None:
    with pytest.raises(PermanentError) as caught:
        _in(log_in, config, name, password)
    assert caught.value.message == "name, password or code is wrong"
    assert caught.value.advice == "Type them again. A code is needed by whoever has set up a second factor."


def test_an_address_that_two_users_have_is_nobodys(log_in: Authenticator, config: Config) -> None:
    globetrot = replace(config.operators["globetrot"], users={"ivan": user("ivan", email="IRINA@example.com")})
    both = replace(config, operators={**config.operators, "globetrot": globetrot})
    with pytest.raises(PermanentError, match="is wrong"):
        _in(log_in, both, "irina@example.com")
    assert _in(log_in, both, "acme/irina")


def test_what_failed_is_in_the_activity_log_and_what_was_typed_is_not(log_in: Authenticator, config: Config, store: Store) -> None:
    for name in ("acme/irina", "acme/my-password-by-mistake"):
        with pytest.raises(PermanentError):
            _in(log_in, config, name, "wrong")
    assert [(one.who, one.what) for one in store.activities("acme")] == [("irina", "log-in refused")]
    assert [(one.who, one.what, one.detail) for one in store.activities("")] == [("", "log-in refused", "")]


def test_a_second_factor_is_needed_by_who_has_one(log_in: Authenticator, config: Config, store: Store) -> None:
    factors = SecondFactors(store, lambda: _NOW)
    secret = factors.begin(config, "acme", "irina").secret
    codes = factors.confirm(config, "acme", "irina", one_time_code(secret, _NOW // 30 - 1))
    for code in ("", "000", one_time_code(secret, _NOW // 30 - 1)):
        with pytest.raises(PermanentError, match="is wrong"):
            _in(log_in, config, code=code)
    with pytest.raises(PermanentError, match="is wrong"):
        _in(log_in, config, password="wrong", code=codes[0])
    assert _in(log_in, config, code=codes[0]), "a wrong password uses no code up"
    assert _in(log_in, config, code=one_time_code(secret, _NOW // 30), at="192.0.2.2")
    with pytest.raises(PermanentError, match="is wrong"):
        _in(log_in, config, code=codes[0], at="192.0.2.2")


def test_guessing_is_stopped_and_a_person_elsewhere_gets_in(log_in: Authenticator, config: Config, store: Store) -> None:
    ends = []
    for number in range(200):
        with pytest.raises((PermanentError, TransientError)) as caught:
            _in(log_in, config, f"acme/{number}" if number % 2 else "acme/irina", "wrong")
        ends.append(caught.value)
    assert sum(isinstance(one, PermanentError) for one in ends) <= 25
    assert all(isinstance(one, TransientError) and one.retry_after for one in ends[100:])
    with pytest.raises(TransientError):
        _in(log_in, config)
    assert _in(log_in, config, at="198.51.100.7")
    assert len(store.activities("", limit=1000)) + len(store.activities("acme", limit=1000)) <= 26, "nor does it fill the log"


def test_without_passwords_nobody_logs_in_by_one(log_in: Authenticator, config: Config) -> None:
    off = replace(config, web=WebConfig.model_validate({"log_in": {"password": False}}))
    with pytest.raises(PermanentError, match="nobody logs in by a password here"):
        _in(log_in, off)


def test_who_has_left_does_not_log_in_and_who_comes_back_has_no_password(
    log_in: Authenticator, config: Config, store: Store
) -> None:
    gone = without(config, "acme", "irina")
    with pytest.raises(PermanentError, match="is wrong"):
        _in(log_in, gone)
    for one in (gone, config):
        store.keep_users({name: tuple(operator.users) for name, operator in one.operators.items()})
    with pytest.raises(PermanentError, match="is wrong"):
        _in(log_in, config)


def test_a_password_is_changed_by_who_knows_it_and_ends_other_web_sessions(
    log_in: Authenticator, config: Config, store: Store
) -> None:
    other, mine = _in(log_in, config), _in(log_in, config)
    person = _person(config, store, mine)
    with pytest.raises(PermanentError, match="is wrong"):
        log_in.change_password(config, person, "wrong", "another horse")
    with pytest.raises(PermanentError, match="shorter"):
        log_in.change_password(config, person, _PASSWORD, "short")
    assert person_of(config, store, other)
    log_in.change_password(config, person, _PASSWORD, "another horse")
    assert person_of(config, store, other) is None
    assert person_of(config, store, mine) == person
    with pytest.raises(PermanentError, match="is wrong"):
        _in(log_in, config)
    assert _in(log_in, config, password="another horse")
    assert (store.activities("acme")[2].what, store.activities("acme")[2].detail) == ("changed", "password")


def test_who_is_logged_in_proves_it_by_the_password(log_in: Authenticator, config: Config, store: Store) -> None:
    person = _person(config, store, _in(log_in, config))
    log_in.prove(config, person, _PASSWORD)
    with pytest.raises(PermanentError, match="is wrong"):
        log_in.prove(config, person, "wrong")


def test_whoever_is_named_a_password_is_checked_so_that_the_time_tells_nothing(config: Config, store: Store) -> None:
    passwords = Passwords(memory_kib=16384, passes=2, lanes=1)
    give_password(config, store, "acme", "irina", _PASSWORD, passwords=passwords)
    log_in = Authenticator(store, passwords=passwords)

    def spent(name: str) -> float:
        """Return the processor's time of this thread, in which all of it is done: others on the machine don't count."""
        before = time.thread_time()
        for _ in range(3):
            with pytest.raises(PermanentError, match="is wrong"):
                _in(log_in, config, name, "wrong")
        return time.thread_time() - before

    spent("acme/irina")
    known, unknown, without_one = spent("irina@example.com"), spent("acme/nobody"), spent("acme/tom")
    assert known / 2 < unknown < known * 2
    assert known / 2 < without_one < known * 2


def test_tries_by_name_and_by_address_count_for_one_user(config: Config, store: Store) -> None:
    throttle = Throttle(lambda: 0.0)
    for number in range(999):
        throttle.enter("acme/irina", "acme/irina", f"10.0.{number >> 8}.{number & 255}")
    log_in = Authenticator(store, passwords=Passwords(**CHEAP), throttle=throttle)
    with pytest.raises(PermanentError, match="is wrong"):
        _in(log_in, config, "irina@example.com", "wrong", at="192.0.2.1")
    for name in ("acme/irina", "irina@example.com"):
        with pytest.raises(TransientError, match="too many tries"):
            _in(log_in, config, name, "wrong", at="192.0.2.2")
    with pytest.raises(PermanentError, match="is wrong"):
        _in(log_in, config, "acme/tom", "wrong", at="192.0.2.3")
