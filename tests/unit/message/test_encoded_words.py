"""Header values for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.message.encoded_words import header_text
from tests.unit.linear import assert_linear


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?Buchung_756_=C3=A4?=", "Buchung 756 ä"),
        ("=?UTF-8?B?w6Q=?= x", "ä x"),
        ("a =?utf-8?q?b?= c", "a b c"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=\r\n =?utf-8?q?c?=", "abc"),
        ("=?utf-8?q?split_=C3?= =?utf-8?q?=A4?=", "split ä"),
        ("=?utf-8?b?8J+Y?= =?UTF-8?Q?=80?=", "😀"),
        ("=?utf-8?q?=C3=A4?= =?iso-8859-1?q?=E4?=", "ää"),
        ("=?utf-8?q?a?= and =?utf-8?q?b?=", "a and b"),
        ("=?utf-8*en?q?language?=", "language"),
        ("=?x-unknown?q?=FC?=", "ü"),
        ("=?utf-8?q?with space and ? mark?=", "with space and ? mark"),
        ("=?utf-8?b?w6?=", "Ã"),
        ("=?utf-8?b?!?=", ""),
        ("=?utf-8?q?=ZZ?=", "=ZZ"),
        ("=?utf-8?q?open", "=?utf-8?q?open"),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        ("=?utf-8?q??= x", " x"),
        ("=?utf-8?q?a=0D=0AX:_y?=", "a  X: y"),
        ("=?utf-8?q?=00?=", "\ufffd"),
        ("Gr\xc3\xbc\xc3\x9fe", "Grüße"),
        ("Gr\xfc\xdfe =?utf-8?q?=C3=A4?=", "Grüße ä"),
    ],
)
def test_header_values_are_decoded(raw: str, text: str) -> None:
    assert header_text(raw) == text


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=300))
def test_any_header_value_becomes_one_printable_line(raw: str) -> None:
    text = header_text(raw)
    assert not set(text) & {"\0", "\r", "\n", "\x1b"}
    text.encode()


@given(st.lists(st.text(alphabet="=?qbutf-8_ \xe4", max_size=30), max_size=12))
def test_scrambled_encoded_words_never_raise(pieces: list[str]) -> None:
    header_text("=?utf-8?q?".join(pieces)).encode()


@pytest.mark.parametrize("unit", ["=?a?q?", "=?", "?=", "=?a?q?x", "=?a?b?A?= ", "=?a?q?=?= "])
def test_hostile_encoded_words_take_linear_time(unit: str) -> None:
    assert_linear(header_text, unit)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"=?iso-8859-1?q?Gr\xfc\xdfe?=", "Grüße"),
        (b"=?utf-8?q?Gr\xc3\xbc\xc3\x9fe?=", "Grüße"),
        (b"=?windows-1250?Q?P\xf8\xedjezd?= =?windows-1250?Q?_=9Ei=9Ekov?=", "Příjezd žižkov"),
        (b"=?iso-2022-jp?q?\x1b$BF|K\\\x1b(B?=", "日本"),
        (b"=?gb2312?b?1tA=?= =?GBK?b?zsQ=?=", "中文"),
        (b"=?utf-8?q?=C3?= =?UTF8?q?=A4?=", "ä"),
        ("Šárka: =?utf-8?q?=C5=A0?= à".encode(), "Šárka: Š à"),
        ("Voilà  Åse".encode(), "Voilà  Åse"),
        (b"=?utf-8?b?77u/w6Q=?=", "ä"),
    ],
)
def test_8_bit_bytes_within_encoded_words_are_of_the_words_charset(raw: bytes, text: str) -> None:
    assert header_text(raw.decode("latin-1")) == text
