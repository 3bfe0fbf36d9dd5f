"""What a person chooses a message by, as its headers say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gatewayd import Summary

HEAD = (
    b"Message-ID: <1@example.com>\r\nDate: Mon, 05 Jan 2026 10:00:00 +0100\r\n"
    b"From: Anna <Anna@example.com>, bob@example.com, anna@EXAMPLE.com\r\nTo: desk@example.com\r\nSubject: Booking\r\n"
)


def summary(more: bytes = b"", *, without: bytes = b"") -> Summary:
    lines = [line for line in HEAD.splitlines(keepends=True) if not without or not line.startswith(without)]
    return Summary.of("7:1", b"".join(lines) + more + b"\r\n")


def test_it_says_who_writes_to_whom_of_what_and_when() -> None:
    found = summary()
    assert (found.key, found.sender, found.sender_name, found.to) == ("7:1", "Anna@example.com", "Anna", ("desk@example.com",))
    assert (found.subject, found.sent_at) == ("Booking", datetime(2026, 1, 5, 9, tzinfo=UTC))
    assert found.senders == ("anna@example.com", "bob@example.com"), "each once, in lower case, as operators admit them"


@pytest.mark.parametrize(
    ("kind", "has"),
    [
        (b"", False),
        (b"Text/Plain; charset=utf-8", False),
        (b"text/html", False),
        (b"multipart/alternative; boundary=b", False),
        (b"multipart/mixed; boundary=b", True),
        (b"application/pdf", True),
        (b"multipart/related; boundary=b", None),
        (b"nonsense", None),
    ],
)
def test_headers_tell_of_files_or_do_not(kind: bytes, has: bool | None) -> None:  # noqa: FBT001  a parameter of a test
    assert summary(b"Content-Type: " + kind + b"\r\n" if kind else b"").attachments is has


@pytest.mark.parametrize("without", [b"Message-ID", b"Date"])
def test_without_one_of_its_own_marks_it_has_no_anchor(without: bytes) -> None:
    assert summary().anchor
    assert summary(without=without).anchor == ""
    assert summary(without.lower() + b": \r\n", without=without).anchor == "", "an empty one is none"


def test_P8_of_very_long_headers_a_part_is_kept() -> None:
    many = b"".join(b"x%d@example.com,\r\n " % number for number in range(60))
    head = b"From: " + many + b"x@example.com\r\nTo: " + many + b"x@example.com\r\nSubject: " + b"s" * 2000 + b"\r\n\r\n"
    found = Summary.of("7:1", head)
    assert (len(found.senders), len(found.to), len(found.subject)) == (50, 50, 1000)
    named = Summary.of("7:1", b"From: " + b"n" * 2000 + b" <anna@example.com>\r\n\r\n")
    assert (named.sender, len(named.sender_name)) == ("anna@example.com", 1000)


def test_nothing_is_read_of_nothing() -> None:
    assert Summary.of("7:1", b"") == Summary(key="7:1", attachments=False)
