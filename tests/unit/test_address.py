from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import PermanentError, wire


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("anna@example.com", "anna@example.com"),
        ("o'brien+tag@mail.example.co.uk", "o'brien+tag@mail.example.co.uk"),
        ("a..b.@docomo.example", "a..b.@docomo.example"),
        ('"anna b"@example.com', '"anna b"@example.com'),
        ('"a\\"@\\\\b"@example.com', '"a\\"@\\\\b"@example.com'),
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("jörg@Bücher.example", "jörg@xn--bcher-kva.example"),
        ("anna@localhost", "anna@localhost"),
        ("anna@[192.0.2.1]", "anna@[192.0.2.1]"),
        ("anna@[IPv6:2001:db8::1]", "anna@[IPv6:2001:db8::1]"),
        ("a_b@x_y.example", "a_b@x_y.example"),
    ],
)
def test_an_address_is_given_with_its_domain_in_a_labels(address: str, expected: str) -> None:
    assert wire(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        "anna",
        "@example.com",
        "anna@",
        "anna b@example.com",
        "anna@exa mple.com",
        "anna@example.com\r\nBcc: x@y.example",
        "anna\r\nRSET@example.com",
        "anna\u2028@example.com",
        "anna\x85@example.com",
        "anna\udc80@example.com",
        "anna@example.com>",
        "<anna@example.com>",
        "anna@example..com",
        "anna@.example.com",
        "anna@-x.example",
        "anna@x-.example",
        "anna@bü cher.example",
        "anna@" + "ü" * 70 + ".example",
        "a@b@example.com",
        '"anna@example.com',
        '"a\nb"@example.com',
        "anna@[127.0.0.1",
        "a" * 65 + "@example.com",
        "ü" * 33 + "@example.com",
        "a@" + "x." * 130 + "example",
        "anna@" + "ü." * 40 + "example",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(PermanentError, match="is no address"):
        wire(address)


@pytest.mark.parametrize("domain", ["straße.example", "βόλος.example", "a\u200db.example"])
def test_a_domain_that_can_be_read_in_two_ways_is_refused(domain: str) -> None:
    with pytest.raises(PermanentError, match="in two ways") as caught:
        wire(f"anna@{domain}")
    assert "xn--" in caught.value.advice


@given(st.text(max_size=40))
def test_nothing_passes_that_could_end_a_command_or_a_header(text: str) -> None:
    for address in (text, f"{text}@example.com", f"anna@{text}", f"anna@x{text}.example"):
        try:
            known = wire(address)
        except PermanentError:
            continue
        assert known.isprintable()
        assert known.rpartition("@")[2].isascii()
        if '"' not in known:
            assert not set(known) & set(" <>,;:()\\") or known.endswith("]")
