from __future__ import annotations

import unicodedata
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import PermanentError, wire
from gatewayd.message.envelope import compared, spellings
from tests.unit.linear import assert_linear


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
        # The lower case of these is newer than IDNA 2003, or has another length, or depends on what stands beside it.
        ("anna@b\u04c0c.example", "anna@xn--bc-uyc.example"),
        ("anna@b\u0241c.example", "anna@xn--bc-vdb.example"),
        ("anna@\u0130stanbul.example", "anna@xn--istanbul-o0e.example"),
        ("anna@\u0394\u039f\u039c\u039f\u03a3.example", "anna@xn--pxaqibu.example"),
        ("anna@example.\u0394\u039f\u039c\u039f\u03a3", "anna@example.xn--pxaqibu"),
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


@pytest.mark.parametrize("domain", ["straße.example", "STRA\u1e9eE.example", "βόλος.example", "a\u200db.example"])
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


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("Anna@Example.COM", ["anna@example.com"]),
        ("anna@xn--mller-kva.example", ["anna@xn--mller-kva.example", "anna@müller.example"]),
        ("Anna@Müller.example", ["anna@müller.example", "anna@xn--mller-kva.example"]),
        # Decomposed, as some systems write it.
        ("anna@mu\u0308ller.example", ["anna@mu\u0308ller.example", "anna@müller.example", "anna@xn--mller-kva.example"]),
        # IDNA 2003 makes another domain of it.
        ("info@straße.example", ["info@straße.example", "info@xn--strae-oqa.example"]),
        ("info@xn--strae-oqa.example", ["info@xn--strae-oqa.example", "info@straße.example"]),
        (
            "a@bücher.xn--mller-kva.example",
            ["a@bücher.xn--mller-kva.example", "a@bücher.müller.example", "a@xn--bcher-kva.xn--mller-kva.example"],
        ),
        # What stands for other characters is in no domain.
        ("anna@\u00bd.example", ["anna@\u00bd.example"]),
        ("anna@xn--0ba.example", ["anna@xn--0ba.example"]),
        # What only looks like an A-label is nobody's.
        ("anna@xn--example-.example", ["anna@xn--example-.example"]),
        ("anna@xn--.example", ["anna@xn--.example"]),
        ("anna@xn--99999999999.example", ["anna@xn--99999999999.example"]),
        # It stands for capitals, which no domain has in this spelling.
        ("anna@xn--mller-2pa.example", ["anna@xn--mller-2pa.example"]),
        ("anna", ["anna"]),
        ("", [""]),
        ("@müller.example", ["@müller.example", "@xn--mller-kva.example"]),
    ],
)
def test_an_address_is_known_in_either_spelling_of_its_domain(address: str, expected: list[str]) -> None:
    assert list(spellings(address)) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a@\uff4eord.example", "a@nord.example"),
        ("a@nord\u3002example", "A@Nord.example"),
        ("a@\ufb01sh.example", "a@fish.example"),
        ("a@no\u00adrd.example", "a@nord.example"),
        ("a@M\u00dcLLER.example", "a@xn--mller-kva.example"),
        ("a@mu\u0308ller.example", "a@xn--mller-kva.example"),
        ("a@\u00fc." + "xn--" + "9" * 50 + ".xn--bcher-kva.example", "a@xn--tda." + "xn--" + "9" * 50 + ".b\u00fccher.example"),
    ],
)
def test_domains_are_compared_as_they_are_sent_to(one: str, other: str) -> None:
    assert compared(one) == compared(other)


@pytest.mark.parametrize(("one", "other"), [("a@stra\u00dfe.example", "a@strasse.example"), ("a@\u0430b.example", "a@ab.example")])
def test_domains_of_others_do_not_compare_equal(one: str, other: str) -> None:
    assert compared(one) != compared(other)


def test_P8_what_is_too_long_for_an_address_is_not_read() -> None:
    address = "a@" + "\uff55" * 300 + ".example"
    assert compared(address) == address


def test_whatever_letter_a_domain_has_it_compares_as_what_is_sent_to() -> None:
    # All that IDNA 2003 knows up to Ethiopic; but the lunate sigma, which it takes for another one.
    known = unicodedata.ucd_3_2_0
    for letter in (chr(number) for number in range(0xA0, 0x1300) if known.category(chr(number)) != "Cn" and number != 0x3F2):
        with suppress(PermanentError):
            assert compared(wire(f"a@b{letter}c.example")) == compared(f"a@b{letter}c.example"), hex(ord(letter))


@given(st.from_regex(r"[a-zA-Zä]{1,3}@(xn--[a-z0-9-]{1,12}|[a-zA-Zäöüßç]{1,8})\.[a-zé]{2,7}", fullmatch=True))
def test_all_spellings_of_an_address_compare_equal_and_no_others(address: str) -> None:
    known = compared(address)
    assert {compared(one) for one in (*spellings(address), known)} == {known}
    assert known in spellings(address)
    assert compared(f"x{address}") != known


@pytest.mark.parametrize("unit", ["дом", "д" * 57 + ".", "xn--a9", "xn--" + "9a" * 28 + ".", "ф."])
def test_hostile_domains_take_linear_time(unit: str) -> None:
    # Addresses of every length: those that are short enough to be spelt otherwise are the ones that cost most.
    def read(text: str) -> None:
        for at in range(0, len(text), 200):
            spellings(f"{at}@{text[at : at + 250]}")
            compared(f"{at}@{text[at : at + 250]}")

    assert_linear(read, unit)


@given(st.text(max_size=80) | st.from_regex(r"[a-z]{1,3}@(xn--[a-z0-9-]{1,12}|[a-zäöüßç]{1,8})\.example", fullmatch=True))
def test_no_spelling_is_anybody_elses(address: str) -> None:
    found = spellings(address)
    assert found[0] == address.lower()
    for one in found[1:]:
        assert one.isprintable() or not address.isprintable()
        assert one.rpartition("@")[0] == address.lower().rpartition("@")[0]
        assert set(spellings(one)) <= set(found)
