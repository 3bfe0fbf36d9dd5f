"""The addresses that people type: read as they are meant, or refused with what was expected."""

from __future__ import annotations

import pytest
from hypothesis import given

from gatewayd import Address, PermanentError
from gatewayd.desk.composing.recipients import addresses
from tests.unit.desk.composing.drafts import anything


@pytest.mark.parametrize(
    ("typed", "name", "address"),
    [
        ("anna@nord.example", "", "anna@nord.example"),
        (" Anna <Anna@Nord.example> ", "Anna", "Anna@Nord.example"),
        ('"Müller, Anna" <anna@nord.example>', "Müller, Anna", "anna@nord.example"),
        ("中文 <a@x.de>", "中文", "a@x.de"),
        ('"two words"@x.de', "", '"two words"@x.de'),
        ("anna@exämple.com", "", "anna@xn--exmple-cua.com"),
        ('"a > b" <a@x.de>', "a > b", "a@x.de"),
        ("b@x.de <a@x.de>", "b@x.de", "a@x.de"),
    ],
)
def test_what_people_type_is_an_address(typed: str, name: str, address: str) -> None:
    assert addresses([typed]) == (Address(name=name, email=address),)


def test_several_addresses_are_separated_by_commas() -> None:
    assert [one.email for one in addresses(["a@x.de, B <b@x.de>", "c@x.de"])] == ["a@x.de", "b@x.de", "c@x.de"]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "is no address"),
        ("anna", "is no address"),
        ("Müller, Anna <anna@nord.example>", "'Müller' is no address"),
        ("a@b@c", "is no address"),
        ("a b@x.de <", "is no address"),
        ("a@x.de b@x.de", "is no address"),
        ("Anna <a@x.de> b@x.de", "is no address"),
        ("Anna <a@x.de> Bcc: b@x.de", "is no address"),
        ("<a@x.de> <b@x.de>", "is no address"),
        ("<an na@x.de>", "is no address"),
        ('"Anna <a@x.de> b@x.de', "is no address"),
        ('"' + '\\"' * 20_000 + " <a@x.de>", "is no address"),
        ("<=?utf-8?q?boss=40x.de?=>", "is no address"),
        ("@x.de", "is no address"),
        ("a@", "is no address"),
        ("a@x..de", "is no address"),
        ("a@-x.de", "is no address"),
        (f"{'a' * 65}@x.de", "too long"),
        (f"a@{'x.' * 130}de", "too long"),
        ("a@x.de\r\nBcc: b@x.de", "line breaks"),
        ("a@x.de\0", "control characters"),
        ("müller@x.de", "not ASCII"),
        ("a@stra\u00dfe.de", "two ways"),
        ("a@x.de," * 1001, "is no address"),
    ],
)
def test_odd_addresses_are_refused_with_what_was_expected(typed: str, told: str) -> None:
    with pytest.raises(PermanentError, match=told) as caught:
        addresses([typed])
    assert caught.value.advice or "expected" in caught.value.message or "control" in caught.value.message


@given(anything)
def test_no_address_that_is_taken_can_break_a_line(typed: str) -> None:
    try:
        found = addresses([typed])
    except PermanentError:
        return
    assert found
    for one in found:
        assert one.email.isascii()
        assert one.email.isprintable()
        assert "@" in one.email
