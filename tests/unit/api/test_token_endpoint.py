"""The messages by which a client logs in with an access token."""

from __future__ import annotations

from typing import Any

from gatewayd import Login, token_mechanism, token_message


class Server(Login):
    ports = {"tls": 993}  # noqa: RUF012  nobody changes it


def server(**fields: Any) -> Server:
    return Server.model_validate(fields)


def test_the_standard_mechanism_is_preferred() -> None:
    assert token_mechanism({"PLAIN", "XOAUTH2", "OAUTHBEARER"}) == "OAUTHBEARER"
    assert token_mechanism({"PLAIN", "XOAUTH2"}) == "XOAUTH2"
    assert token_mechanism({"PLAIN"}) is None


def test_XOAUTH2_as_Google_and_Microsoft_describe_it() -> None:
    used = server(host="mail.example", username="someuser@example.com")
    assert token_message("XOAUTH2", used, "ya29.vF9") == (b"user=someuser@example.com\x01auth=Bearer ya29.vF9\x01\x01", b"")


def test_OAUTHBEARER_as_RFC_7628_section_4_1_shows_it() -> None:
    used = server(host="server.example.com", port=143, username="user@example.com")
    said, answer = token_message("OAUTHBEARER", used, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")
    assert said == (
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
        b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
    )
    assert answer == b"\x01"


def test_a_name_may_have_a_comma_and_an_equals_sign() -> None:
    said, _ = token_message("OAUTHBEARER", server(host="h", username="a,b=c"), "t")
    assert said.startswith(b"n,a=a=2Cb=3Dc,\x01")
