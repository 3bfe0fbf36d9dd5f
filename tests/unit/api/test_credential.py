"""Tokens: each is asked for once, kept while it lasts, and renewed in time; errors are shared as well."""

from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Never, cast
from weakref import ref

import pytest
from pydantic import Field

from gatewayd import AuthError, Credential, GatewaydError, PluginError, Secret, Token, TokenSource, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Expiry


class Authority:
    """Gives tokens, or errors, and remembers who asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.lasts: float = 3600
        self.errors: list[GatewaydError] = []
        self.delay = 0.0
        self._lock = threading.Lock()

    def token(self, user: str, resource: str) -> Token:
        with self._lock:
            self.asked.append((user, resource))
            number = len(self.asked)
            error = self.errors.pop(0) if self.errors else None
        time.sleep(self.delay)
        if error:
            raise error
        return Token(f"token {number}", self.lasts)


_AUTHORITIES: dict[str, Authority] = {}


class Seal(Credential):
    kind = "seal"

    class Options(Credential.Options):
        authority: str
        wax: Secret | None = None

    options: Options

    def obtain(self, user: str, resource: str) -> Token:
        return _AUTHORITIES[self.options.authority].token(user, resource)


class App(Seal):
    kind = "app"
    serves_all_users = True


@pytest.fixture
def authority(request: pytest.FixtureRequest) -> Iterator[Authority]:
    _AUTHORITIES[request.node.nodeid] = made = Authority()
    yield made
    del _AUTHORITIES[request.node.nodeid]


def source(authority: Authority, cls: type[Seal] = Seal, wax: Secret | None = None) -> TokenSource:
    name = next(name for name, one in _AUTHORITIES.items() if one is authority)
    return TokenSource(cls(cls.Options(authority=name, wax=wax)))


def everybody(ask: Sequence[TokenSource], user: str = "ann") -> set[str]:
    with ThreadPoolExecutor(len(ask)) as pool:
        return set(pool.map(lambda one: one.token(user), ask))


def test_however_many_threads_and_accounts_want_a_token_it_is_asked_for_once(authority: Authority) -> None:
    authority.delay = 0.05
    accounts = [source(authority) for _ in range(20)]
    assert everybody(accounts) == {"token 1"}
    # A reload of the config makes another object.
    assert source(authority).token("ann") == "token 1"
    assert authority.asked == [("ann", "")]


def test_each_user_and_resource_has_a_token_unless_one_serves_all(authority: Authority) -> None:
    one = source(authority)
    assert [one.token("ann"), one.token("bob"), one.token("ann", "https://graph.example")] == ["token 1", "token 2", "token 3"]
    app = source(authority, App)
    assert [app.token("ann"), app.token("bob")] == ["token 4"] * 2
    assert authority.asked[3:] == [("", "")]


def test_two_hundred_accounts_of_one_app_ask_for_one_token(authority: Authority) -> None:
    authority.delay = 0.05
    accounts = [source(authority, App) for _ in range(200)]
    with ThreadPoolExecutor(20) as pool:
        assert {*pool.map(lambda number: accounts[number].token(f"user{number}"), range(200))} == {"token 1"}
    assert authority.asked == [("", "")]


def test_a_token_is_renewed_before_it_ends(authority: Authority) -> None:
    authority.lasts = 0.0
    one = source(authority)
    assert [one.token("ann"), one.token("ann")] == ["token 1", "token 2"]
    authority.lasts = 3600.0
    assert [one.token("ann"), one.token("ann")] == ["token 3"] * 2


@pytest.mark.parametrize(("lasts", "margin"), [(3600.0, 300.0), (60.0, 30.0)])
def test_a_token_is_renewed_five_minutes_before_its_end_or_at_half_of_a_short_life(
    authority: Authority, lasts: float, margin: float
) -> None:
    authority.lasts = lasts
    one = source(authority)
    began = time.monotonic()
    one.token("ann")
    slot = one._tokens.slot("ann", "")
    assert slot.ends_at - slot.renew_at == pytest.approx(margin)
    assert began + lasts <= slot.ends_at <= time.monotonic() + lasts


def test_a_token_that_has_ended_does_not_serve_while_the_authority_is_away(authority: Authority) -> None:
    authority.lasts = 0.0
    one = source(authority)
    assert one.token("ann") == "token 1"
    authority.errors = [TransientError("away")]
    with pytest.raises(TransientError, match="away"):
        one.token("ann")


def test_an_authority_can_not_keep_us_away_for_ever(authority: Authority) -> None:
    authority.errors = [TransientError("busy", retry_after=1e9)]
    one = source(authority)
    with pytest.raises(TransientError):
        one.token("ann")
    with pytest.raises(TransientError) as caught:
        one.token("ann")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after <= 3600


def test_a_refused_token_is_thrown_away_once(authority: Authority) -> None:
    one = source(authority)
    refused = one.token("ann")
    assert everybody_again([one] * 10, refused) == {"token 2"}
    # One that is refused, too, is not thrown away: somebody else may be let in with it.
    assert one.token("ann", refused="token 2") == "token 2"
    assert len(authority.asked) == 2


def test_P4_a_mailbox_that_refuses_the_token_takes_it_from_no_other_while_the_authority_is_away(authority: Authority) -> None:
    app = source(authority, App)
    token = app.token("ann")
    authority.errors = [TransientError("away", retry_after=600)]
    for _ in range(2):
        with pytest.raises(TransientError, match="away"):
            app.token("ann", refused=token)
    assert app.token("bob") == token
    assert len(authority.asked) == 2


def everybody_again(ask: Sequence[TokenSource], refused: str) -> set[str]:
    with ThreadPoolExecutor(len(ask)) as pool:
        return set(pool.map(lambda one: one.token("ann", refused=refused), ask))


def test_all_who_wait_share_an_error_and_nobody_asks_again_at_once(authority: Authority) -> None:
    authority.errors = [AuthError("wrong secret", advice="Mend it.")]
    authority.delay = 0.05
    one = source(authority)

    def refused(_: int) -> str:
        with pytest.raises(AuthError) as caught:
            one.token("ann")
        return caught.value.sentences

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(refused, range(10))) == {"wrong secret. Mend it."}
    assert len(authority.asked) == 1


def test_with_another_secret_a_refused_credential_is_tried_at_once(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAX", "old")
    one = source(authority, wax=Secret("env", "WAX"))
    authority.errors = [AuthError("wrong secret")]
    for _ in range(2):
        with pytest.raises(AuthError):
            one.token("ann")
    monkeypatch.setenv("WAX", "new")
    assert one.token("ann") == "token 2"


def test_a_secret_that_is_missing_hides_no_error_of_the_authority(authority: Authority) -> None:
    authority.errors = [AuthError("wrong secret")]
    one = source(authority, wax=Secret("env", "NOBODY_HAS_SET_THIS"))
    for _ in range(2):
        with pytest.raises(AuthError, match="wrong secret"):
            one.token("ann")
    assert len(authority.asked) == 1


def test_an_error_that_is_kept_keeps_nothing_of_what_its_first_caller_had_at_hand(authority: Authority) -> None:
    class Message:
        pass

    one = source(authority)
    authority.errors = [TransientError("away")]
    messages: list[ref[Message]] = []

    def ask() -> None:
        message = Message()
        messages.append(ref(message))
        one.token("ann")

    with suppress(TransientError):
        ask()
    gc.collect()
    assert [each() for each in messages] == [None]


def test_an_authority_that_asks_us_to_wait_is_not_asked_before(authority: Authority) -> None:
    authority.errors = [TransientError("busy", retry_after=600)]
    one = source(authority)
    waits = []
    for _ in range(3):
        with pytest.raises(TransientError) as caught:
            one.token("ann")
        assert caught.value.retry_after is not None
        waits.append(caught.value.retry_after)
    # Who asks later waits for less.
    assert 600 == waits[0] > waits[1] > waits[2] > 500
    assert len(authority.asked) == 1


def test_while_the_authority_is_away_a_token_serves_until_its_end(authority: Authority) -> None:
    authority.lasts = 3600.0
    one = source(authority)
    # It is due for renewal at once, and lasts for half an hour still.
    slot = one._tokens.slot("ann", "")
    assert one.token("ann") == "token 1"
    slot.renew_at = time.monotonic()
    authority.errors = [TransientError("away")]
    assert [one.token("ann"), one.token("ann")] == ["token 1"] * 2
    assert len(authority.asked) == 2


def test_a_token_serves_no_longer_than_its_secret_is_taken(authority: Authority) -> None:
    one = source(authority)
    slot = one._tokens.slot("ann", "")
    assert one.token("ann") == "token 1"
    slot.renew_at = time.monotonic()
    authority.errors = [AuthError("wrong secret")]
    for _ in range(2):
        with pytest.raises(AuthError, match="wrong secret"):
            one.token("ann")
    assert len(authority.asked) == 2


def test_P6_credentials_that_differ_in_a_field_that_their_repr_leaves_out_share_no_token(authority: Authority) -> None:
    class Quiet(Seal):
        kind = "quiet"

        class Options(Seal.Options):
            tenant: str = Field(repr=False)

        options: Options

    name = next(name for name, one in _AUTHORITIES.items() if one is authority)
    one, other = (TokenSource(Quiet(Quiet.Options(authority=name, tenant=tenant))) for tenant in ("acme", "beta"))
    assert one != other
    assert [one.token("ann"), other.token("ann"), one.token("ann")] == ["token 1", "token 2", "token 1"]


def test_P9_no_token_is_in_a_repr(authority: Authority) -> None:
    one = source(authority)
    text = one.token("ann")
    slot = one._tokens.slot("ann", "")
    assert text not in f"{one!r} {slot!r} {Token(text, 1.0)!r} {vars(one)!r}"


@pytest.mark.parametrize(
    ("gives", "wrong"),
    [
        ("hunter2", "expected a Token with a text and seconds, got str"),
        (Token("hunter2\r\nX: y", lasts=60.0), "expected a Token with a text and seconds, got Token"),
        (Token("hunter\ud800", lasts=60.0), "expected a Token with a text and seconds, got Token"),
        (Token("", lasts=60.0), "expected a Token with a text and seconds, got Token"),
        (Token("hunter2", lasts="3600"), "expected a Token with a text and seconds, got Token"),  # type: ignore[arg-type]
        (KeyError("hunter2"), r"KeyError in test_credential\.py:[0-9]+"),
    ],
)
def test_P9_a_fault_of_the_credential_is_told_as_its_own_without_what_it_says(gives: object, wrong: str) -> None:
    asked: list[str] = []

    class Leak(Credential):
        kind = "leak"

        def obtain(self, user: str, resource: str) -> Token:
            asked.append(user + resource)
            if isinstance(gives, Exception):
                raise gives
            return cast("Token", gives)

    one = TokenSource(Leak(Credential.Options()))
    for _ in range(2):
        with pytest.raises(PluginError, match=f"^the credential leak is at fault, `obtain`: {wrong}$") as told:
            one.token("ann")
        assert told.value.__cause__ is None
    assert asked == ["ann"]


def test_P4_a_credential_that_fails_at_its_advice_or_its_end_hides_nothing_else() -> None:
    class Odd(Credential):
        kind = "odd"

        def obtain(self, user: str, resource: str) -> Never:
            raise AuthError(f"no token for {user} and {resource}")

        def advice(self, protocol: str) -> str:
            raise KeyError(protocol)

        def expiry(self) -> Expiry | None:
            raise KeyError("day")

    one = TokenSource(Odd(Credential.Options()))
    assert one.advice("IMAP") == "Check `username`, and that this credential may open its mailbox by IMAP."
    assert one.expiry() is None
