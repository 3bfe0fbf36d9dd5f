"""Header lines of our own: each is one header in ASCII, whatever its value holds, and reads as it was."""

from __future__ import annotations

from email import message_from_string
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.message import header_writing
from gatewayd.message.values import Address


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("Booking B-756", "Subject: Booking B-756"),
        (" two\r\nlines ", "Subject: two  lines"),
        ("Größe", "Subject: =?utf-8?b?R3LDtsOfZQ==?="),
        ("=?utf-8?q?x?=", "Subject: =?utf-8?b?PT91dGYtOD9xP3g/PQ==?="),
    ],
)
def test_text_is_encoded_only_where_it_must_be(value: str, line: str) -> None:
    assert header_writing.text("Subject", value) == line


@given(st.text(max_size=200))
def test_any_text_is_one_folded_header_of_ascii(value: str) -> None:
    first, *more = header_writing.text("Subject", value).split("\r\n")
    assert first.startswith("Subject: ")
    assert all(line.startswith(" ") and line.strip() for line in more)
    assert all(line.isascii() and "\r" not in line and "\n" not in line for line in (first, *more))


def test_addresses_stand_one_a_line_and_what_is_no_ascii_as_a_group_without_members() -> None:
    addresses = [
        Address(name="Anna", email="anna@example.com"),
        Address(name="", email="b@example.com"),
        Address(name="Řehoř", email="r@žižkov.example"),
        Address(name="Šárka", email="šárka@example.com"),
    ]
    assert header_writing.addressed("To", addresses).split("\r\n ") == [
        'To: "Anna" <anna@example.com>,',
        "b@example.com,",
        "=?utf-8?b?xZhlaG/FmQ==?= <r@xn--ikov-kbbb.example>,",
        "=?utf-8?b?xaHDoXJrYUBleGFtcGxlLmNvbQ==?=:;",
    ]


def test_ids_stand_one_a_line_as_they_are() -> None:
    assert header_writing.verbatim("References", ["<1@x>", "<2@x>"]) == "References: <1@x>\r\n <2@x>"


@pytest.mark.parametrize("value", ["plan.txt", 'a "b".txt', "Größe.pdf", "=?utf-8?q?x?=.txt", "ä" * 100 + ".pdf", "a;b=c.txt"])
def test_a_parameter_reads_as_it_was(value: str) -> None:
    line = "Content-Disposition: attachment" + header_writing.parameter("filename", value)
    assert line.isascii()
    assert max(map(len, line.split("\r\n"))) <= 78
    assert message_from_string(f"{line}\r\n\r\n", policy=default).get_filename() == value
