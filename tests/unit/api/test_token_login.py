"""The messages by which a client logs in with an access token."""

from __future__ import annotations

from base64 import b64encode
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import (
    HIDDEN,
    AuthError,
    Credential,
    Login,
    Secret,
    Token,
    TokenRefused,
    TokenSource,
    TransientError,
    logged_in,
    refusal_reason,
    token_mechanism,
    token_message,
)

if TYPE_CHECKING:
    from gatewayd import GatewaydError


class Server(Login):
    ports = {"tls": 993}  # noqa: RUF012  nobody changes it


def server(**fields: Any) -> Server:
    return Server.model_validate(fields)


def test_the_standard_mechanism_is_preferred() -> None:
    used = server(host="mail.example", username="someuser@example.com")
    assert token_mechanism(used, {"PLAIN", "XOAUTH2", "OAUTHBEARER"}) == "OAUTHBEARER"
    assert token_mechanism(used, {"PLAIN", "XOAUTH2"}) == "XOAUTH2"
    with pytest.raises(AuthError, match="takes no access token on this connection"):
        token_mechanism(used, {"PLAIN"})


def test_XOAUTH2_as_Google_and_Microsoft_describe_it() -> None:
    used = server(host="mail.example", username="someuser@example.com")
    assert token_message("XOAUTH2", used, used.username, "ya29.vF9") == (
        b"user=someuser@example.com\x01auth=Bearer ya29.vF9\x01\x01",
        b"",
    )


def test_OAUTHBEARER_as_RFC_7628_section_4_1_shows_it() -> None:
    used = server(host="server.example.com", port=143, username="user@example.com")
    said, answer = token_message("OAUTHBEARER", used, used.username, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")
    assert said == (
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
        b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
    )
    assert answer == b"\x01"


def test_a_name_may_have_a_comma_and_an_equals_sign() -> None:
    said, _ = token_message("OAUTHBEARER", server(host="h", username="x"), "a,b=c", "t")
    assert said.startswith(b"n,a=a=2Cb=3Dc,\x01")


# --- logged_in --------------------------------------------------------------------------------------------------------


class Mint(Credential):
    kind = "mint"

    class Options(Credential.Options):
        name: str

    options: Options

    def obtain(self, user: str, resource: str) -> Token:
        del resource
        _MINTED.append(f"token {len(_MINTED) + 1} of {user}")
        return Token(_MINTED[-1], 3600)


_MINTED: list[str] = []


def account(name: str, *, username: str | None = "ann", password: Secret | None = None, by_token: bool = True) -> Any:
    _MINTED.clear()
    credential = TokenSource(Mint(Mint.Options(name=name))) if by_token else None
    return SimpleNamespace(username=username, password=password, credential=credential)


class Door:
    """Refuses these tokens, and remembers what was shown to it."""

    def __init__(self, *refuses: str, error: type[GatewaydError] = TokenRefused) -> None:
        self.refuses, self.error = refuses, error
        self.shown: list[str] = []

    def enter(self, secret: str) -> str:
        self.shown.append(secret)
        if secret in self.refuses:
            raise self.error(f"refused {len(self.shown)}")
        return "in"


def test_a_refused_token_is_asked_for_once_more(request: pytest.FixtureRequest) -> None:
    one, door = account(request.node.name), Door("token 1 of ann")
    assert [logged_in(one, door.enter), logged_in(one, door.enter)] == ["in", "in"]
    assert door.shown == ["token 1 of ann", "token 2 of ann", "token 2 of ann"]


def test_a_second_refusal_is_the_end(request: pytest.FixtureRequest) -> None:
    door = Door("token 1 of ann", "token 2 of ann")
    with pytest.raises(TokenRefused, match="refused 2"):
        logged_in(account(request.node.name), door.enter)
    assert len(door.shown) == len(_MINTED) == 2


def test_a_token_that_is_not_replaced_once_more_is_not_shown_twice(request: pytest.FixtureRequest) -> None:
    """One was thrown away within the last minute: each log-in that is refused counts against the mailbox."""
    one, door = account(request.node.name), Door("token 1 of ann", "token 2 of ann")
    for _ in range(2):
        with pytest.raises(TokenRefused, match="refused"):
            logged_in(one, door.enter)
    assert door.shown == ["token 1 of ann", "token 2 of ann", "token 2 of ann"]


@pytest.mark.parametrize("error", [AuthError, TransientError])
def test_other_errors_are_not_the_tokens_fault(request: pytest.FixtureRequest, error: type[GatewaydError]) -> None:
    door = Door("token 1 of ann", error=error)
    with pytest.raises(error):
        logged_in(account(request.node.name), door.enter)
    assert len(door.shown) == len(_MINTED) == 1


def test_a_password_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCOUNT_PASSWORD", "geheim")
    door = Door("geheim", error=AuthError)
    with pytest.raises(AuthError):
        logged_in(account("", password=Secret("env", "ACCOUNT_PASSWORD"), by_token=False), door.enter)
    assert door.shown == ["geheim"]
    door = Door()
    assert logged_in(account("", username=None, by_token=False), door.enter) == "in"
    assert door.shown == [""]


# --- reasons ----------------------------------------------------------------------------------------------------------


def test_the_reason_of_a_refusal_is_read_from_the_challenge() -> None:
    said = b'{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}'
    for challenge in (b64encode(said), said):
        assert refusal_reason(challenge, ["secret"]) == f", and its reason is {said.decode()!r}"
    assert refusal_reason(b"", []) == refusal_reason(b64encode(b" "), []) == ""


@given(st.binary(max_size=300), st.binary(max_size=10_000), st.booleans())
def test_P9_no_challenge_shows_a_token(before: bytes, after: bytes, encoded: bool) -> None:  # noqa: FBT001  hypothesis gives it
    token = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0." + "x" * 200
    said = before + token.encode() + after
    shown = refusal_reason(b64encode(said) if encoded else said, [token])
    assert shown == f", and its reason is {HIDDEN!r}"
    assert len(refusal_reason(after, [token])) < 1000
