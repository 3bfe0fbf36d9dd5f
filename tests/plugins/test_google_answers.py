"""What Google's token endpoint may answer: each refusal has a text and an advice of its own, and nothing that it sends does harm."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given as each
from hypothesis import settings
from hypothesis import strategies as st

from gatewayd import HIDDEN, AuthError, ConsentEnded, GatewaydError, HttpAnswer, TooLarge, TransientError
from gatewayd_google.answers import TokenRequest, given
from gatewayd_google.refusals import REFUSALS, Refusal, Way
from tests.plugins.google_site import CLIENT_SECRET, REFRESH_TOKEN, USER, by_account, by_consent, google, pem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatewayd_google.credential import Google
    from tests.plugins.google_site import GoogleSite

TOKEN: dict[str, Any] = {"access_token": "ya29.a0", "expires_in": 3599, "token_type": "Bearer"}
ASKED: dict[Way, TokenRequest] = {
    "service account": TokenRequest(
        where="oauth2.googleapis.com:443", way="service account", user=USER, client="1048576001234", scope="SCOPE",
        account="sa@project.iam.gserviceaccount.com", secrets=("the signed assertion", pem()),
    ),
    "refresh token": TokenRequest(
        where="oauth2.googleapis.com:443", way="refresh token", user=USER, client="CLIENT", scope="SCOPE",
        secrets=(CLIENT_SECRET, REFRESH_TOKEN),
    ),
    "consent": TokenRequest(where="oauth2.googleapis.com:443", way="consent", user=USER, client="CLIENT", scope="SCOPE", secrets=()),
    "code": TokenRequest(where="oauth2.googleapis.com:443", way="code", user=USER, client="CLIENT", scope="SCOPE", secrets=()),
}  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GoogleSite]:
    with google(tmp_path) as site:
        yield site


def answer(status: int, body: object, headers: dict[str, str] | None = None) -> HttpAnswer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer(status=status, reason="", headers=headers or {}, body=raw)


def error_of(status: int, body: object, way: Way = "refresh token", headers: dict[str, str] | None = None) -> GatewaydError:
    with pytest.raises(GatewaydError) as caught:
        given(answer(status, body, headers), ASKED[way])
    return caught.value


# --- the table --------------------------------------------------------------------------------------------------------


def body_of(one: Refusal, code: str) -> tuple[int, object]:
    """An answer that this entry is for."""
    if code in ("429", "5xx"):
        return (429 if code == "429" else 503), b""
    words = f"Google says {one.words[0]} here" if one.words else "Google says so"
    if code.isupper():
        return 403, {"error": {"code": 403, "message": words, "status": "X", "details": [{"@type": "t"}, {"reason": code}]}}
    return 400, {"error": code, "error_description": words}


@pytest.mark.parametrize("one", REFUSALS, ids=lambda one: f"{one.codes[0]} {'/'.join(one.ways)} {' '.join(one.words)}")
def test_each_refusal_has_its_own_text_and_advice(one: Refusal) -> None:
    for way in one.ways or ASKED:
        for code in one.codes:
            status, body = body_of(one, code)
            error = error_of(status, body, way)
            names = {"user": USER, "account": ASKED[way].account, "client": ASKED[way].client, "scope": "SCOPE"}
            assert one.says.format(**names) in error.message
            assert error.advice == one.advice.format(**names)
            assert type(error) is (TransientError if one.later else ConsentEnded if one.ends else AuthError)


def test_no_two_refusals_say_the_same() -> None:
    assert len({one.says for one in REFUSALS}) == len({one.advice for one in REFUSALS}) == len(REFUSALS)


@pytest.mark.parametrize(
    ("way", "status", "error", "words", "says"),
    [
        ("refresh token", 400, "invalid_grant", "Token has been expired or revoked.", "has expired or was revoked"),
        ("refresh token", 400, "invalid_grant", "Bad Request", "does not take the refresh token"),
        ("refresh token", 400, "invalid_grant", "reauth related error (invalid_rapt)", "wants a new log-in"),
        ("refresh token", 401, "invalid_client", "The OAuth client was not found.", "`client` or `client_secret` is wrong"),
        ("refresh token", 401, "deleted_client", "The OAuth client was deleted.", "was deleted"),
        ("refresh token", 400, "admin_policy_enforced", None, "administrator does not allow"),
        ("service account", 400, "invalid_grant", "Invalid JWT Signature.", "the key of the service account"),
        ("service account", 400, "invalid_grant", "Not a valid email or user ID.", "no user"),
        ("service account", 400, "invalid_grant", "Invalid grant: account not found", "service account sa@project"),
        ("service account", 400, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes)", "the clock"),
        ("service account", 401, "unauthorized_client", "Client is unauthorized to retrieve access tokens", "is not delegated"),
        ("service account", 400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.", "the scope SCOPE"),
        ("service account", 400, "something_new", "Never heard of it", "Google refuses a token"),
    ],
)
def test_what_google_is_known_to_say_is_understood(way: Way, status: int, error: str, words: str | None, says: str) -> None:
    found = error_of(status, {"error": error, "error_description": words}, way)
    assert isinstance(found, AuthError)
    assert says in found.message
    assert f"({status} {error}{f': {words}' if words else ''})" in found.message


def test_a_subtype_counts_where_the_words_say_nothing() -> None:
    assert "wants a new log-in" in error_of(400, {"error": "invalid_grant", "error_subtype": "rapt_required"}).message


def test_a_disabled_api_is_told_with_the_page_that_enables_it() -> None:
    words = "Gmail API has not been used in project 1 before or it is disabled."
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}]
    found = error_of(403, {"error": {"code": 403, "message": words, "status": "PERMISSION_DENIED", "details": details}})
    assert isinstance(found, AuthError)
    assert "https://console.cloud.google.com/apis/library/gmail.googleapis.com" in found.advice


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_go_well_later_is_tried_when_google_says(site: GoogleSite, status: int) -> None:
    site.answers = [(status, {"Retry-After": "70"}, b"<html>")]
    with pytest.raises(TransientError) as caught:
        by_consent(site).obtain(USER, "")
    assert caught.value.retry_after == 70
    assert "by itself" in caught.value.advice


@pytest.mark.parametrize("words", [{"error": "internal_failure"}, {"error": "x", "error_description": "temporarily_unavailable"}])
def test_googles_own_words_for_later_count_whatever_the_status(words: dict[str, str]) -> None:
    assert isinstance(error_of(400, words), TransientError)


def test_a_proxy_that_says_later_is_heard() -> None:
    error = error_of(408, b"", headers={"retry-after": "70"})
    assert isinstance(error, TransientError)
    assert error.retry_after == 70


@pytest.mark.parametrize("status", [201, 204, 302, 307])
def test_a_refusal_with_the_status_of_something_else_is_none(status: int) -> None:
    assert type(error_of(status, {"error": "invalid_grant"})) is TransientError


# --- answers that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 204, 302, 400, 401, 403, 404, 407])
@pytest.mark.parametrize("body", [b"", b"<html>Log in to the hotel's network</html>", b"\xff\xfe", b"[]", b"7", b'{"error": 7}'])
def test_an_answer_that_is_not_googles_is_no_refusal(status: int, body: bytes) -> None:
    error = error_of(status, body)
    assert type(error) is TransientError
    assert "`token_url`" in error.advice


@pytest.mark.parametrize(
    "fields",
    [
        {"access_token": None},
        {"access_token": 7},
        {"access_token": ""},
        {"access_token": "two words"},
        {"access_token": "a\x01auth=Bearer b"},
        {"access_token": "a\r\nb"},
        {"access_token": "é"},
        {"access_token": "\ud800"},
        {"access_token": "x" * 9000},
        {"access_token": ["x"]},
        {"token_type": "mac"},
        {"token_type": None},
        {"expires_in": None},
        {"expires_in": "3599"},
        {"expires_in": True},
        {"expires_in": 0},
        {"expires_in": -1},
        {"expires_in": 1e999},
        {"expires_in": float("nan")},
        {"expires_in": [1]},
    ],
)
def test_what_is_no_token_is_not_taken_for_one(fields: dict[str, Any]) -> None:
    assert type(error_of(200, TOKEN | fields)) is TransientError


def test_a_token_is_believed_for_twelve_hours_at_most() -> None:
    assert given(answer(200, TOKEN | {"expires_in": 10**4000}), ASKED["refresh token"]).lasts == 43200
    digits = json.dumps(TOKEN).replace("3599", "9" * 5000).encode()
    assert type(error_of(200, digits)) is TransientError


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"a":' * 10_000, b'{"error":' + b"[" * 50_000])
def test_deep_json_does_no_harm(body: bytes) -> None:
    assert type(error_of(400, body)) is TransientError


def test_a_huge_answer_is_not_read_to_its_end(site: GoogleSite) -> None:
    site.answers = [(200, {}, json.dumps(TOKEN | {"more": "x" * (1 << 17)}).encode())]
    with pytest.raises(TransientError) as caught:
        by_consent(site).obtain(USER, "")
    # Only messages are said to be too large.
    assert not isinstance(caught.value, TooLarge)
    assert "`token_url`" in caught.value.advice


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_NAMES = ["error", "error_description", "error_subtype", "status", "message", "details", "reason", "access_token", "expires_in"]
_ANSWERS = st.dictionaries(st.sampled_from(_NAMES), _JSON | st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=4), max_size=5)


@settings(max_examples=30, deadline=None)
@each(body=_ANSWERS.map(lambda found: json.dumps(found).encode()) | st.binary(max_size=60), status=st.integers(200, 599))
def test_whatever_comes_is_a_token_or_an_error_that_can_be_shown(body: bytes, status: int) -> None:
    for asked in ASKED.values():
        try:
            given(answer(status, body), asked)
        except (AuthError, TransientError) as error:
            assert error.sentences.isprintable()  # noqa: PT017
            assert error.advice  # noqa: PT017
            assert len(error.sentences) < 1200  # noqa: PT017


# --- P9 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [by_account, by_consent])
def test_P9_no_secret_is_shown_though_google_repeats_it(site: GoogleSite, make: Callable[[GoogleSite], Google]) -> None:
    credential = make(site)
    credential.obtain(USER, "")
    names = site.forms[0].keys() & {"assertion", "client_secret", "refresh_token"}
    assert names
    for name in sorted(names):
        for place in ("error", "error_description"):
            site.repeats = (name, place)
            with pytest.raises(AuthError) as caught:
                credential.obtain(USER, "")
            shown = f"{caught.value.sentences} {caught.value!r} {credential.options!r} {vars(credential)!r}"
            assert HIDDEN in shown
            assert site.forms[-1][name] not in shown


def test_P9_the_key_is_in_no_repr(site: GoogleSite) -> None:
    credential = by_account(site)
    token = credential.obtain(USER, "")
    assert token.text not in repr(token)
    assert not any(line in f"{credential!r} {vars(credential)!r}" for line in pem().splitlines()[1:-1])
