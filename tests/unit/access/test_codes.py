"""One-time codes and recovery codes, by the examples of the RFCs and for anything that people type."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.access.codes import (
    RECOVERY_CODES,
    digest_of_recovery,
    new_recovery_codes,
    new_secret,
    one_time_code,
    setup_uri,
    step_of,
)

#: The secret of RFC 6238, appendix B.
_SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_examples_of_rfc_6238(at: int, code: str) -> None:
    assert one_time_code(_SECRET, at // 30) == code
    assert step_of(_SECRET, code, at) == at // 30


@given(st.integers(0, 10**11), st.integers(-3, 3))
def test_a_code_counts_within_one_step_of_drift(at: int, off: int) -> None:
    step = max(0, at // 30 + off)
    found = step_of(_SECRET, one_time_code(_SECRET, step), at)
    if abs(step - at // 30) <= 1:
        assert found is not None
        assert abs(found - at // 30) <= 1
    else:
        # Of a million codes two may be the same.
        assert found is None or one_time_code(_SECRET, found) == one_time_code(_SECRET, step)


@given(st.text(max_size=300))
def test_anything_may_be_typed(text: str) -> None:
    right = {one_time_code(_SECRET, step) for step in (99, 100, 101)}
    assert step_of(_SECRET, text, 3000) is None or "".join(text.replace("-", "").split()) in right
    assert digest_of_recovery(1, text) is None or len(digest_of_recovery(1, text) or b"") == 32


def test_blanks_in_a_code_do_not_count() -> None:
    assert step_of(_SECRET, " 287 082\n", 59) == 1
    assert step_of(_SECRET, "287-082", 59) == 1
    assert step_of(_SECRET, "\u0662\u0668\u0667\u0660\u0668\u0662", 59) is None
    assert step_of(_SECRET, "", 59) is None


def test_secrets_are_random_and_an_app_can_read_them() -> None:
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert all(len(base64.b32decode(one)) == 20 for one in secrets)
    parts = urlsplit(setup_uri(_SECRET, "acme/irina", "gatewayd"))
    assert (parts.scheme, parts.netloc, parts.path) == ("otpauth", "totp", "/gatewayd:acme%2Firina")
    assert parse_qs(parts.query) == {
        "secret": [_SECRET],
        "issuer": ["gatewayd"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }


def test_recovery_codes_are_random_and_ones_own_however_they_are_typed() -> None:
    codes = new_recovery_codes()
    assert len({*codes, *new_recovery_codes()}) == 2 * RECOVERY_CODES
    one = codes[0]
    assert len(one) == 19
    assert digest_of_recovery(1, one) == digest_of_recovery(1, f" {one.upper().replace('-', ' ')}")
    assert digest_of_recovery(1, one) != digest_of_recovery(2, one)
    assert digest_of_recovery(1, one[:-1]) is None
