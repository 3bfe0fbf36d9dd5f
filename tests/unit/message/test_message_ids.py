"""Message-IDs of our own: nobody else can make one (P7), and none goes unrecognised for what mail programs do to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.message.message_ids import Signer

if TYPE_CHECKING:
    from gatewayd.message.message_ids import Purpose


OURS, THEIRS = Signer(b"k" * 32), Signer(b"x" * 32)


@pytest.mark.parametrize("purpose", ["forward", "mail"])
def test_what_we_made_is_proven_and_says_what_for(purpose: Purpose) -> None:
    made = OURS.message_id(purpose, "Example.com")
    assert re.fullmatch(rf"<gw\.{purpose[0]}\.[a-z2-7]{{24}}\.[a-z2-7]{{24}}@example\.com>", made)
    assert len(made.partition("@")[0]) <= 65, "a local part has at most 64 octets (RFC 5321 section 4.5.3.1.1)"
    assert OURS.purpose(made) == purpose
    assert OURS.proven(made) == made


def test_no_two_are_equal() -> None:
    assert len({OURS.message_id("mail", "example.com") for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "garbled", [str.upper, str.title, lambda one: one.strip("<>"), lambda one: f" {one}\t", lambda one: one.upper().strip("<>")]
)
def test_case_brackets_and_blanks_may_be_lost(garbled: object) -> None:
    made = OURS.message_id("mail", "example.com")
    assert callable(garbled)
    assert OURS.purpose(garbled(made)) == "mail"
    assert OURS.proven(garbled(made)) == made


def test_an_id_is_known_again_after_the_sending_address_has_moved() -> None:
    made = OURS.message_id("mail", "example.com")
    assert OURS.purpose(made.replace("example.com", "example.org")) == "mail"


def test_P7_forged_and_foreign_ids_are_none_of_ours() -> None:
    made = OURS.message_id("mail", "example.com")
    head, nonce, token = made[:6], made[6:30], made[31:55]
    other = OURS.message_id("mail", "example.com")[6:30]
    forged = [
        THEIRS.message_id("mail", "example.com"),
        f"<gw.f.{nonce}.{token}@example.com>",
        f"{head}{other}.{token}@example.com>",
        f"{head}{nonce}.{'a' * 24}@example.com>",
        f"{head}{nonce}.{token[:16]}@example.com>",
        f"{head}{nonce}.@example.com>",
        f"{head}{nonce}.{token}x@example.com>",
        f"{head}{nonce}.{token}>",
        f"<x.{made[1:]}",
        f"{made} {made}",
        f"see {made}",
        "",
        "<1@example.com>",
    ]
    assert [OURS.purpose(one) for one in forged] == [None] * len(forged)
    assert [OURS.proven(one) for one in forged] == [""] * len(forged)
    # Any single character that is another one makes it another's.
    for at in range(3, 55):
        changed = "a" if made[at] != "a" else "b"
        assert OURS.purpose(made[:at] + changed + made[at + 1 :]) is None, at


@given(st.text(max_size=200))
def test_whatever_stands_there_is_no_id_of_ours(text: str) -> None:
    assert OURS.purpose(text) is None
    assert OURS.purpose(f"<gw.m.{text}@example.com>") is None


@pytest.mark.parametrize(
    ("domain", "stands"),
    [
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("", "gatewayd.invalid"),
        ("a b", "gatewayd.invalid"),
        ("a>\r\nBcc: x", "gatewayd.invalid"),
        ("[192.0.2.1]", "gatewayd.invalid"),
        ("x" * 300 + "é", "gatewayd.invalid"),
    ],
)
def test_no_domain_breaks_a_header(domain: str, stands: str) -> None:
    made = OURS.message_id("forward", domain)
    assert made.endswith(f"@{stands}>")
    assert OURS.purpose(made) == "forward"
