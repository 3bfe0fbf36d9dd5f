"""The credential ``google``: tokens by a service account and by a refresh token, from a stand-in that checks what it is asked."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from gatewayd import AuthError, ConfigError, Credential, Secret, TokenSource, TransientError
from gatewayd.registry.loading import load
from gatewayd_google.credential import Google
from gatewayd_google.options import GoogleOptions
from tests.plugins.google_consents import ALL_MAIL, CLIENT
from tests.plugins.google_site import (
    ACCOUNT,
    ACCOUNT_ID,
    AUDIENCE,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    USER,
    by_account,
    by_consent,
    google,
    key_file,
    pem,
    private_key,
    secret,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.plugins.google_site import GoogleSite

OF_A_CURVE = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
#: Of the same curve by a number that nobody has given.
_DER = base64.b64decode("".join(OF_A_CURVE.splitlines()[1:-1])).replace(b"\x3d\x03\x01\x07", b"\x3d\x03\x01\x7f")
OF_NO_CURVE = f"-----BEGIN PRIVATE KEY-----\n{base64.encodebytes(_DER).decode()}-----END PRIVATE KEY-----\n"
ENCRYPTED = private_key(0).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()
IMAP_ADMIN = "https://www.googleapis.com/auth/gmail.imap_admin"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GoogleSite]:
    with google(tmp_path) as site:
        yield site


def refused(credential: Google, user: str = USER) -> str:
    with pytest.raises(AuthError) as caught:
        credential.obtain(user, "")
    return caught.value.sentences


def test_a_service_account_signs_who_it_acts_as(site: GoogleSite) -> None:
    before = int(time.time())
    token = by_account(site).obtain(USER, "")
    assert (token.text, token.lasts) == (site.given[0], 3599.0)
    (claims,) = site.claims
    assert {name: claims[name] for name in ("iss", "sub", "scope", "aud")} == {
        "iss": ACCOUNT, "sub": USER, "scope": ALL_MAIL, "aud": AUDIENCE,
    }  # fmt: skip
    assert before <= claims["iat"] <= time.time()
    assert claims["exp"] - claims["iat"] == 3600
    assert site.forms[0].keys() == {"grant_type", "assertion"}


def test_the_scope_of_a_service_account_can_be_that_for_administrators(site: GoogleSite) -> None:
    site.delegated = {IMAP_ADMIN}
    credential = by_account(site, scope=IMAP_ADMIN)
    credential.obtain(USER, "")
    assert site.claims[0]["scope"] == IMAP_ADMIN
    assert "IMAP only" in credential.advice("SMTP")
    assert "`username`" in credential.advice("IMAP")


def test_a_refresh_token_gives_access_tokens(site: GoogleSite) -> None:
    credential = by_consent(site)
    assert credential.obtain(USER, "").text == site.given[0]
    assert site.forms == [
        {"grant_type": "refresh_token", "client_id": CLIENT, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
    ]
    assert "consented" in credential.advice("POP3")


def test_each_user_has_a_token_which_is_asked_for_once(site: GoogleSite) -> None:
    site.users.add("info@example.com")
    tokens = TokenSource(by_account(site))
    assert [tokens.token(user) for user in (USER, "info@example.com", USER)] == [site.given[0], site.given[1], site.given[0]]
    assert [claims["sub"] for claims in site.claims] == [USER, "info@example.com"]


def test_another_token_is_had_for_one_that_a_mail_server_refused(site: GoogleSite) -> None:
    tokens = TokenSource(by_consent(site))
    assert tokens.token(USER, refused=tokens.token(USER)) == site.given[1]


def test_what_is_wrong_at_google_says_what_to_do_there(site: GoogleSite) -> None:
    gone = refused(by_account(site), "gone@example.com")
    assert "no user gone@example.com" in gone
    assert "https://admin.google.com/ac/users" in gone
    undelegated = refused(by_account(site, scope=IMAP_ADMIN))
    for word in (ACCOUNT_ID, IMAP_ADMIN, "https://admin.google.com/ac/owl/domainwidedelegation", "refresh token"):
        assert word in undelegated
    assert "the key of the service account" in refused(by_account(site, key_file(private_key=pem(1))))
    assert "was deleted" in refused(by_account(site, key_file(client_email="old@project.iam.gserviceaccount.com")))
    folder = site.ca_file.parent
    assert "`client_secret` is wrong" in refused(by_consent(site, client_secret=secret(folder, "other", "GOCSPX-other")))
    assert "is another client's" in refused(by_consent(site, refresh_token=secret(folder, "other", "1//0other")))


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_a_wrong_clock_is_told_as_that(site: GoogleSite, ahead: float) -> None:
    site.ahead = ahead
    said = refused(by_account(site))
    assert "the clock of this machine is wrong" in said
    assert "timedatectl" in said


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("", "is missing or empty"),
        (pem(), "is no JSON object"),
        ("[" * 60_000, "is no JSON object"),
        ('{"client_id": ' + "9" * 5000 + "}", "is no JSON object"),
        (json.dumps({"installed": {"client_id": CLIENT, "client_secret": CLIENT_SECRET}}), "is an OAuth client's file"),
        (key_file(type="authorized_user"), "is of another type"),
        (key_file(client_email=7), "has no 'client_email'"),
        (key_file(client_email="a\nb@example.com"), "has no 'client_email'"),
        (key_file(client_id=""), "has no 'client_id'"),
        (key_file(private_key=None), "has no 'private_key'"),
        (key_file(private_key="\ud800"), "has no 'private_key'"),
        (key_file(private_key=pem()[:300]), "has a damaged 'private_key'"),
        (key_file(private_key="-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "has a damaged 'private_key'"),
        (key_file(private_key=OF_A_CURVE), "has a damaged 'private_key'"),
        (key_file(private_key=OF_NO_CURVE), "has a damaged 'private_key'"),
        (key_file(private_key=ENCRYPTED), "has a damaged 'private_key'"),
    ],
)
def test_a_key_file_that_is_none_is_told_without_its_content(site: GoogleSite, key: object, what: str) -> None:
    said = refused(by_account(site, key))
    assert what in said
    assert "sales.json" in said
    assert ("Make a new key of type JSON" in said) == bool(key)
    assert ("as `client` and `client_secret`" in said) == ("OAuth client" in what)
    assert not any(line in said for line in pem().splitlines()[1:-1])
    assert CLIENT_SECRET not in said
    assert site.forms == []


def test_nothing_is_imported_to_sign_before_it_is_needed() -> None:
    code = "import gatewayd_google, sys; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == "False\n"


def test_a_server_that_google_is_not_is_not_trusted(site: GoogleSite) -> None:
    with pytest.raises(AuthError, match="certificate is not trusted"):
        by_consent(site, ca_file=None).obtain(USER, "")
    with pytest.raises(ConfigError, match="ca_file"):
        by_consent(site, ca_file=site.ca_file.with_name("none.pem")).obtain(USER, "")
    assert site.forms == []


def test_a_server_that_is_not_there_is_tried_later(site: GoogleSite) -> None:
    with pytest.raises(TransientError, match="connection refused"):
        by_consent(site, token_url="https://localhost:1/token").obtain(USER, "")


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({}, "found neither"),
        ({"client": CLIENT}, "found only 'client'"),
        ({"client": CLIENT, "client_secret": "S"}, "found only 'client' and 'client_secret'"),
        (
            {"service_account": "S", "client": CLIENT, "refresh_token": "S"},
            "found 'service_account' and 'client' and 'refresh_token'",
        ),
        ({"client": CLIENT, "client_secret": "S", "refresh_token": "S", "scope": IMAP_ADMIN}, "it goes with 'service_account'"),
        ({"service_account": "S", "scope": "https://mail.google.com"}, "Input should be 'https://mail.google.com/'"),
        ({"service_account": "S", "token_url": "http://oauth2.googleapis.com/token"}, "expected https"),
    ],
)
def test_fields_that_do_not_go_together_are_faults(tmp_path: Path, fields: dict[str, object], what: str) -> None:
    given = {name: secret(tmp_path, name, "x") if value == "S" else value for name, value in fields.items()}
    with pytest.raises(ValidationError) as caught:
        GoogleOptions.model_validate(given)
    assert what in str(caught.value)


def test_a_secret_that_is_no_utf8_is_sent_as_it_is(site: GoogleSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "caf\udce9")
    said = refused(by_consent(site, client_secret=Secret("env", "CLIENT_SECRET")))
    assert "`client_secret` is wrong" in said
    assert site.forms[0]["client_secret"] == "caf\ufffd"


def test_it_is_found_as_a_plugin() -> None:
    assert load().get(Credential, "google") is Google
