"""Drafts for tests, and how the mail that is written of one is read."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import strategies as st

from gatewayd import Address
from gatewayd.desk.composing.writing import Draft
from gatewayd.message.mail import BytesSource, Mail, parse

ANNA = Address(name="Anna", email="anna@nord.example")

DESK = Address(name="Acme Tours", email="desk@acme.example")

DRAFT = Draft(
    sender=DESK,
    to=(ANNA,),
    subject="Rome",
    text="Dear Anna\n",
    message_id="<gw.m.1.2@acme.example>",
    date=datetime(2026, 1, 5, 10, 0, tzinfo=timezone(timedelta(hours=1))),
)

#: What breaks out of a header, and what looks as if it did.
HOSTILE = "\r\n\0\x0b\x0c\x1c\x85\u2028\u2029\ud800 :;,<>@\"'\\()=?=_-ab\xe9\u4e2d\U0001f600\u202e"

anything = st.text(st.characters(categories=None)) | st.text(st.sampled_from(HOSTILE), max_size=200)


def is_sound(raw: bytes) -> None:
    """What SMTP can carry as it is: ASCII, CRLF at every line's end, no line over 998, no NUL."""
    assert raw.isascii()
    assert b"\0" not in raw
    assert raw.endswith(b"\r\n")
    assert raw.count(b"\r\n") == raw.count(b"\r") == raw.count(b"\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def mail(text: bytes = b"Hello\r\n> earlier\r\n", head: bytes = b"") -> Mail:
    raw = b"From: =?utf-8?q?M=C3=BCller?= <m@x.de>\r\nDate: Mon, 05 Jan 2026 10:00:00 +0100\r\n" + head + b"\r\n" + text
    return parse(BytesSource(raw))
