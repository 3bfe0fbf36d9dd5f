"""Values of a person's consent: the challenge as RFC 7636 has it, and nothing secret in what is shown."""

from __future__ import annotations

import pytest

from gatewayd import Consent, ConsentRequest, DeviceCode, Grant, Token


def _request(verifier: str) -> ConsentRequest:
    return ConsentRequest(user="irina@acme.example", redirect="http://localhost:1", state="a-state", verifier=verifier)


def test_the_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    assert _request("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(
    "value",
    [
        _request("s3cret"),
        Grant(Token("s3cret", lasts=1.0), "s3cret"),
        DeviceCode(user_code="ABCD", url="https://localhost", device_code="s3cret", interval=5.0, lasts=900.0),
    ],
)
def test_no_secret_is_shown(value: object) -> None:
    assert "s3cret" not in repr(value)
    assert "a-state" not in repr(value)


def test_a_consent_without_device_codes_gives_none() -> None:
    assert Consent.device(None, _request("x")) is None  # type: ignore[arg-type]  # it uses nothing of its object
