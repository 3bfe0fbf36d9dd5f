"""Characters that are not stored, printed or logged as they are."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gatewayd.message.charsets import to_text
from gatewayd.message.control_characters import clean
from gatewayd.message.encoded_words import header_text
from gatewayd.message.mail import BytesSource, parse


@given(
    st.binary(max_size=200), st.sampled_from(["", "utf-8", "utf-16", "utf-7", "gb2312", "hz", "iso-2022-jp", "koi8-r", "x", "idna"])
)
def test_any_bytes_become_text_that_can_be_stored(data: bytes, charset: str) -> None:
    text = clean(to_text(data, charset), line=False)
    assert "\0" not in text
    text.encode()


def test_controls_are_blanks_in_a_line_and_stay_in_a_text() -> None:
    assert clean("a\tb\r\nc\x1b\x85\0\ud800") == "a b  c  \ufffd\ufffd"
    assert clean("a\tb\r\n\x1b\0\ud800", line=False) == "a\tb\r\n\x1b\ufffd\ufffd"


BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text(alphabet=st.sampled_from(BIDI + "abc א"), max_size=40))
def test_no_header_changes_the_direction_of_a_line(text: str) -> None:
    assert not set(clean(text)) & set(BIDI)
    assert not set(header_text(text.encode().decode("latin-1"))) & set(BIDI)
    assert re.sub(f"[{BIDI}]", "", text) == clean(text)
    mail = parse(BytesSource(f"Subject: {text}\r\nFrom: {text} <a@x>\r\n\r\n{text}".encode()))
    assert not set(mail.subject + str(mail.sender)) & set(BIDI)
