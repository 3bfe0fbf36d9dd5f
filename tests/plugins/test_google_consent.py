"""The consent of a person at the stand-in for Google: the link, the code, tokens, the profile, and each refusal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd import HIDDEN, AuthError, ConsentEnded, GatewaydError, Grant, Secret, Token, TransientError
from gatewayd_google.consent import GoogleConsent
from gatewayd_google.credential import Google
from gatewayd_google.options import GoogleOptions
from tests.plugins.consent_pages import STATE, VERIFIER, opened, request, told
from tests.plugins.google_consents import ALL_MAIL, CLIENT
from tests.plugins.google_site import CLIENT_SECRET, REFRESH_TOKEN, USER, google, secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.plugins.google_site import GoogleSite

ACCOUNTS = "https://accounts.google.com/o/oauth2/v2/auth?"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GoogleSite]:
    with google(tmp_path) as site:
        yield site


def options(site: GoogleSite, **changed: object) -> GoogleOptions:
    fields: dict[str, object] = {
        "client": CLIENT,
        "client_secret": secret(site.ca_file.parent, "client", CLIENT_SECRET),
        "consent": True,
        "token_url": site.url,
        "gmail": site.base,
        "ca_file": site.ca_file,
    }
    return GoogleOptions.model_validate(fields | changed)


def ended_at(site: GoogleSite, way: GoogleConsent, user: str = USER) -> str:
    """A person opens the link, and ends at an address."""
    link = way.link(request(user))
    assert link.startswith(ACCOUNTS)
    return opened(link.replace("https://accounts.google.com", site.base), site.ca_file)


def connected(site: GoogleSite, way: GoogleConsent, user: str = USER) -> Grant:
    return way.redeem(request(user), told(ended_at(site, way, user))["code"])


def error_of(call: Callable[[], object]) -> GatewaydError:
    with pytest.raises(GatewaydError) as caught:
        call()
    shown = f"{caught.value!r} {caught.value.sentences}"
    assert not any(one in shown for one in (CLIENT_SECRET, VERIFIER, STATE, "-of-a-person", "ya29"))
    assert caught.value.advice
    return caught.value


def test_a_credential_has_a_consent_only_if_its_options_say_so(site: GoogleSite) -> None:
    assert isinstance(Google(options(site)).consent(), GoogleConsent)
    other = options(site, consent=False, refresh_token=secret(site.ca_file.parent, "refresh", REFRESH_TOKEN))
    assert Google(other).consent() is None


def test_a_person_consents_and_the_refresh_token_stays(site: GoogleSite) -> None:
    way = GoogleConsent(options(site))
    address = told(ended_at(site, way))
    assert address["state"] == STATE
    assert site.consents.asked[0]["login_hint"] == USER
    grant = way.redeem(request(USER), address["code"])
    assert way.names(grant) == [USER]
    assert site.consents.refresh_tokens == {grant.refresh_token: USER}
    again = way.refresh(USER, "", grant.refresh_token)
    assert (again.token.text, again.token.lasts, again.refresh_token) == (site.given[-1], 3599.0, "")
    assert site.forms[-1].keys() == {"grant_type", "client_id", "client_secret", "refresh_token"}


def test_the_identity_is_the_clients_whatever_else_changes(site: GoogleSite) -> None:
    identity = GoogleConsent(options(site)).identity
    assert identity == {"authority": site.url, "client": CLIENT}
    assert identity == GoogleConsent(options(site, timeout="5s", ca_file=None)).identity


def test_there_is_no_device_code_for_mail(site: GoogleSite) -> None:
    assert GoogleConsent(options(site)).device(request(USER)) is None


def test_who_is_logged_in_is_told_and_not_who_was_meant(site: GoogleSite) -> None:
    site.consents.signed_in = "other@example.com"
    way = GoogleConsent(options(site))
    assert way.names(connected(site, way)) == ["other@example.com"]


# --- what goes wrong ---------------------------------------------------------------------------------------------------


def test_a_person_who_declines_is_told(site: GoogleSite) -> None:
    site.consents.declines = True
    way = GoogleConsent(options(site))
    found = told(ended_at(site, way))
    error = error_of(lambda: (_ for _ in ()).throw(way.refused(request(USER), found["error"], "")))
    assert type(error) is AuthError
    assert error.message == f"localhost:{site.url.split(':')[2].split('/')[0]}: {USER} has declined (access_denied)"


@pytest.mark.parametrize(
    ("error", "words", "what"),
    [
        ("admin_policy_enforced", "", "does not allow this app"),
        ("org_internal", "", "of its own organisation only"),
        ("new", "Never heard", "Google refuses a token (new: Never heard)"),
        ("", "", "Google refuses a token (no error is named)"),
        ("x", STATE, "(not shown: it repeats a secret)"),
        ("temporarily_unavailable", "", "can't give a token now"),
    ],
)
def test_whatever_stands_in_the_address_is_told(site: GoogleSite, error: str, words: str, what: str) -> None:
    refused = GoogleConsent(options(site)).refused(request(USER), error, words)
    assert type(refused) is AuthError
    assert what in refused.message
    assert STATE not in refused.sentences


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=80), st.text(max_size=200))
def test_no_address_does_harm(error: str, words: str) -> None:
    fields = {"client": CLIENT, "client_secret": Secret("env", "NONE"), "consent": True}
    found = GoogleConsent(GoogleOptions.model_validate(fields)).refused(request(USER), error, words)
    assert found.sentences.isprintable()
    assert len(found.sentences) < 1000


def test_a_code_serves_once_and_for_who_asked_for_it(site: GoogleSite) -> None:
    way = GoogleConsent(options(site))
    code = told(ended_at(site, way))["code"]
    other = type(request(USER))(user=USER, redirect=request(USER).redirect, state=STATE, verifier="another" * 7)
    for asked in (other, request(USER)):
        error = error_of(lambda asked=asked: way.redeem(asked, code))  # type: ignore[misc]  # mypy can't infer it
        assert type(error) is AuthError
        assert "the pasted address is too old, was used already, or is not whole (400 invalid_grant" in error.message


@pytest.mark.parametrize("ticked", ["openid", "openid https://mail.google.com/feed/atom"])
def test_a_person_who_does_not_tick_the_box_is_told(site: GoogleSite, ticked: str) -> None:
    site.consents.scope = ticked
    way = GoogleConsent(options(site))
    error = error_of(lambda: connected(site, way))
    assert type(error) is AuthError
    assert f"{USER} has not allowed all that the page asks" in error.message


def test_a_wrong_client_secret_is_told_as_that(site: GoogleSite) -> None:
    way = GoogleConsent(options(site, client_secret=secret(site.ca_file.parent, "other", "GOCSPX-other")))
    assert "`client_secret` is wrong" in error_of(lambda: connected(site, way)).message


def test_a_consent_that_was_taken_back_has_ended(site: GoogleSite) -> None:
    way = GoogleConsent(options(site))
    grant = connected(site, way)
    site.consents.revoke()
    error = error_of(lambda: way.refresh(USER, "", grant.refresh_token))
    assert isinstance(error, ConsentEnded)
    assert f"the consent of {USER} has expired, or was taken back" in error.message
    assert "https://myaccount.google.com/connections" in error.advice


def test_google_that_is_busy_ends_no_consent(site: GoogleSite) -> None:
    way = GoogleConsent(options(site))
    grant = connected(site, way)
    site.answers = [(503, {"Retry-After": "9"}, b"")]
    error = error_of(lambda: way.refresh(USER, "", grant.refresh_token))
    assert isinstance(error, TransientError)
    assert error.retry_after == 9
    assert way.refresh(USER, "", grant.refresh_token).token.text


def test_a_project_without_the_gmail_api_is_told_with_the_page_that_enables_it(site: GoogleSite) -> None:
    site.consents.has_api = False
    way = GoogleConsent(options(site))
    error = error_of(lambda: way.names(connected(site, way)))
    assert type(error) is AuthError
    assert "https://console.cloud.google.com/apis/library/gmail.googleapis.com" in error.advice


def test_a_token_that_gmail_does_not_know_is_no_name(site: GoogleSite) -> None:
    assert isinstance(error_of(lambda: GoogleConsent(options(site)).names(Grant(Token("ya29.x", 60.0)))), AuthError)


@pytest.mark.parametrize("changed", [{"refresh_token": 7}, {"refresh_token": "a b"}, {"refresh_token": "x" * 5000}])
def test_what_is_no_refresh_token_is_not_taken_for_one(site: GoogleSite, changed: dict[str, object]) -> None:
    body = {"access_token": "ya29.a0", "expires_in": 3599, "token_type": "Bearer", "scope": ALL_MAIL, **changed}
    site.answers = [(200, {}, json.dumps(body).encode())]
    error = error_of(lambda: GoogleConsent(options(site)).redeem(request(USER), "4/0"))
    assert isinstance(error, TransientError)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"client": None}, "found only 'client_secret' and 'consent'"),
        ({"client_secret": None}, "found only 'client' and 'consent'"),
        ({"refresh_token": "S"}, "found 'client', 'client_secret', 'refresh_token' and 'consent'"),
        ({"service_account": "S"}, "found 'service_account' and 'client', 'client_secret' and 'consent'"),
        ({"scope": "https://www.googleapis.com/auth/gmail.imap_admin"}, "scope: it goes with 'service_account'"),
        ({"gmail": "http://gmail.googleapis.com"}, "expected https"),
    ],
)
def test_fields_that_do_not_go_together_are_faults(site: GoogleSite, changed: dict[str, object], what: str) -> None:
    given_fields = {name: secret(site.ca_file.parent, name, "x") if value == "S" else value for name, value in changed.items()}
    with pytest.raises(ValueError, match=what):
        options(site, **given_fields)


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("redeem", "client_secret"),
        ("redeem", "code"),
        ("redeem", "code_verifier"),
        ("refresh", "client_secret"),
        ("refresh", "refresh_token"),
    ],
)
def test_P9_no_secret_of_a_consent_is_shown_though_google_repeats_it(site: GoogleSite, step: str, name: str) -> None:
    way = GoogleConsent(options(site))
    grant = connected(site, way)
    code = told(ended_at(site, way))["code"]
    site.repeats = (name, "error_description")
    if step == "redeem":
        error = error_of(lambda: way.redeem(request(USER), code))
    else:
        error = error_of(lambda: way.refresh(USER, "", grant.refresh_token))
    assert site.forms[-1][name] not in f"{error!r} {error.sentences}"
    assert HIDDEN in error.message


def test_P9_no_secret_is_in_any_repr(site: GoogleSite) -> None:
    way = GoogleConsent(options(site))
    grant = connected(site, way)
    shown = f"{way!r} {vars(way)!r} {grant!r}"
    assert not any(one in shown for one in (grant.token.text, grant.refresh_token, CLIENT_SECRET))
