"""Second factors: set up by a code, asked for from then on, each code once, and sealed in the store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import PermanentError, TransientError, UserSecrets
from gatewayd.access.codes import one_time_code
from gatewayd.access.second_factors import SecondFactors
from gatewayd.api.options import Secret

if TYPE_CHECKING:
    from gatewayd import Store
    from gatewayd.config import Config

NOW = 1_800_000_000


class _Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


def _secrets(store: Store, user: str = "irina") -> UserSecrets:
    found = store.user_secrets("acme", user)
    assert found
    return found


def _set_up(factors: SecondFactors, config: Config, user: str = "irina", now: float = NOW) -> tuple[str, list[str]]:
    """Return the secret and the recovery codes."""
    secret = factors.begin(config, "acme", user).secret
    return secret, [*factors.confirm(config, "acme", user, one_time_code(secret, int(now) // 30))]


def test_a_factor_is_asked_for_once_a_code_of_it_was_typed(config: Config, store: Store) -> None:
    factors = SecondFactors(store, _Clock())
    assert factors.take(config, _secrets(store), ""), "who has none needs none"
    begun = factors.begin(config, "acme", "irina")
    assert begun.secret in begun.uri
    assert begun.secret not in repr(begun)
    assert factors.take(config, _secrets(store), ""), "nor before it is confirmed"
    with pytest.raises(PermanentError, match="code is wrong"):
        factors.confirm(config, "acme", "irina", one_time_code(begun.secret, NOW // 30 + 5))
    codes = factors.confirm(config, "acme", "irina", one_time_code(begun.secret, NOW // 30))
    assert len({*codes}) == 10
    for wrong in ("", "123", codes[0][:-1], one_time_code(begun.secret, NOW // 30 + 5)):
        assert not factors.take(config, _secrets(store), wrong)
    for again in (lambda: factors.begin(config, "acme", "irina"), lambda: factors.confirm(config, "acme", "irina", "1")):
        with pytest.raises(PermanentError):
            again()


def test_a_code_counts_once_and_none_before_it(config: Config, store: Store) -> None:
    clock = _Clock()
    factors = SecondFactors(store, clock)
    secret, _ = _set_up(factors, config)
    step = NOW // 30
    assert not factors.take(config, _secrets(store), one_time_code(secret, step)), "it confirmed the factor"
    assert factors.take(config, _secrets(store), one_time_code(secret, step + 1)), "the app's clock is fast"
    assert not factors.take(config, _secrets(store), one_time_code(secret, step + 1))
    clock.now += 60
    old = _secrets(store)
    assert factors.take(config, old, one_time_code(secret, step + 2))
    assert not factors.take(config, old, one_time_code(secret, step + 2)), "two log-ins at once"


def test_a_recovery_code_counts_once_and_new_ones_replace_the_old(config: Config, store: Store) -> None:
    factors = SecondFactors(store, _Clock())
    _, codes = _set_up(factors, config)
    assert factors.take(config, _secrets(store), codes[0].upper())
    assert not factors.take(config, _secrets(store), codes[0])
    assert _secrets(store).recovery_codes == 9
    new = factors.new_codes("acme", "irina")
    assert not factors.take(config, _secrets(store), codes[1])
    assert factors.take(config, _secrets(store), new[1])
    with pytest.raises(PermanentError, match="no second factor"):
        factors.new_codes("acme", "tom")


def test_what_the_store_has_gives_no_codes_and_is_nobody_elses(config: Config, store: Store) -> None:
    factors = SecondFactors(store, _Clock())
    secret, _ = _set_up(factors, config)
    kept = _secrets(store).factor
    assert kept
    assert secret.encode() not in kept.secret.sealed
    # Who could write the store would give a user his own secret.
    store.begin_second_factor(store.know_user("acme", "tom").id, kept.secret)
    with pytest.raises(TransientError, match="can't be checked"):
        factors.take(config, replace(_secrets(store, "tom"), factor=kept), one_time_code(secret, NOW // 30))


def test_a_new_sealing_key_takes_over_with_the_next_code(config: Config, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST", "first " * 10)
    monkeypatch.setenv("SECOND", "second " * 10)
    first, second = Secret("env", "FIRST"), Secret("env", "SECOND")
    factors = SecondFactors(store, _Clock())
    before = replace(config, sealing_key=first)
    secret, _ = _set_up(factors, before)
    after = replace(config, sealing_key=second)
    with pytest.raises(TransientError):
        factors.take(after, _secrets(store), one_time_code(secret, NOW // 30 + 1))
    both = replace(after, old_sealing_keys=(first,))
    old = _secrets(store).factor
    assert factors.take(both, _secrets(store), one_time_code(secret, NOW // 30 + 1))
    new = _secrets(store).factor
    assert old
    assert new
    assert old.secret.key_id != new.secret.key_id


def test_only_what_waits_for_a_code_is_confirmed(config: Config, store: Store) -> None:
    factors = SecondFactors(store, _Clock())
    with pytest.raises(PermanentError, match="no second factor waits"):
        factors.confirm(config, "acme", "irina", "123456")
    secret, _ = _set_up(factors, config)
    with pytest.raises(PermanentError, match="no second factor waits"):
        factors.confirm(config, "acme", "irina", one_time_code(secret, NOW // 30))


def test_what_was_begun_anew_meanwhile_is_not_confirmed(config: Config, store: Store) -> None:
    other = SecondFactors(store, _Clock())

    def clock() -> float:
        """Let another browser begin anew just now."""
        other.begin(config, "acme", "irina")
        return NOW

    factors = SecondFactors(store, clock)
    secret = factors.begin(config, "acme", "irina").secret
    with pytest.raises(TransientError, match="set up elsewhere"):
        factors.confirm(config, "acme", "irina", one_time_code(secret, NOW // 30))
    assert _secrets(store).recovery_codes == 0
