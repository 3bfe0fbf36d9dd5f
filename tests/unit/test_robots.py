"""Circles and robots are never forwarded by a rule, automatic mail only where a rule says so, and all else always (P7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.mail import BytesSource, parse
from gatewayd.robots import by_program, hops, withheld
from gatewayd.signing import HOP, Signer
from gatewayd.testing.messages import nasties

if TYPE_CHECKING:
    from gatewayd import Mail

OURS, THEIRS = Signer(b"k" * 32), Signer(b"x" * 32)
FORWARD, MAIL = OURS.message_id("forward", "example.com"), OURS.message_id("mail", "example.com")
FOREIGN = THEIRS.message_id("forward", "example.net")


#: What stands for an id in the samples: tests need names that are the same in every process.
IDS = {"FORWARD": FORWARD, "MAIL": MAIL, "FOREIGN": FOREIGN}


def made(lines: str) -> Mail:
    head = f"From: Anna <anna@example.com>\r\nMessage-ID: <1@example.com>\r\nSubject: x\r\n{lines}"
    for name, message_id in IDS.items():
        head = head.replace(name, message_id)
    return parse(BytesSource(f"{head}\r\n\r\nHello\r\n".encode()))


#: Never forwarded, whatever the rule says.
NEVER = [
    (f"{HOP}: FORWARD", "forwarded it before"),
    ("gatewayd-HOP: FORWARD", "forwarded it before"),
    (f"{HOP}: FOREIGN\r\n{HOP}: FORWARD", "forwarded it before"),
    ("\r\n".join([f"{HOP}: FOREIGN"] * 6), "forwarded 6 times"),
    ("\r\n".join(["Received: by x"] * 51), "came through 51 servers"),
    ("Resent-Message-ID: FORWARD", "a mail of our own that came back"),
    ("In-Reply-To: FORWARD", "answers a mail that we have forwarded"),
    ("References: <0@example.com>\r\n FORWARD", "answers a mail that we have forwarded"),
    ("Auto-Submitted: auto-replied", "answer of a robot"),
    ("Auto-Submitted: (vacation) Auto-Replied; owner-email=x", "answer of a robot"),
    ("Precedence: auto_reply", "answer of a robot"),
    ("X-Autoreply: yes", "answer of a robot"),
    ("X-Autorespond: Anna", "answer of a robot"),
    ("Content-Type: multipart/report; report-type=disposition-notification; boundary=x", "multipart/report"),
    ("Content-Type: MULTIPART/Report; report-type=delivery-status; boundary=x", "multipart/report"),
    ("Return-Path: <>", "Return-Path: <>"),
    ("Return-Path: < >\r\nReturn-Path: <anna@example.com>", "Return-Path: <>"),
]
#: Forwarded only by a rule for automatic mail.
AUTOMATIC = [
    ("Auto-Submitted: auto-generated", "auto-generated"),
    ("Auto-Submitted: auto-notified; owner-email=x", "auto-notified"),
    ("Auto-Submitted: something new", "something"),
    ("Precedence: bulk", "bulk"),
    ("Precedence: List", "list"),
    ("Precedence: junk", "junk"),
    ("List-Id: <news.example.com>", "List-Id"),
    ("List-Post: NO", "List-Post"),
    ("List-Unsubscribe: <https://example.com>", "List-Unsubscribe"),
]
#: Mail of people.
ALWAYS = [
    "X-Plain: yes",
    "Auto-Submitted: no",
    "Auto-Submitted: (not at all) no",
    "Auto-Submitted:",
    "Precedence: first-class",
    "X-Auto-Response-Suppress: All",
    "X-Autoreply: no",
    "Return-Path: <anna@example.com>\r\nReturn-Path: <>",
    "In-Reply-To: MAIL",
    "References: FOREIGN",
    "\r\n".join([f"{HOP}: FOREIGN"] * 5),
    "\r\n".join(["Received: by x"] * 50),
    "X-Quoted: FORWARD",
    "Content-Type: multipart/mixed; boundary=x",
]


@pytest.mark.parametrize(("lines", "reason"), NEVER)
def test_P7_circles_and_robots_are_never_forwarded(lines: str, reason: str) -> None:
    assert reason in withheld(made(lines), OURS)


@pytest.mark.parametrize(("lines", "reason"), AUTOMATIC)
def test_automatic_mail_needs_a_rule_that_says_so(lines: str, reason: str) -> None:
    assert reason in by_program(made(lines))
    assert withheld(made(lines), OURS) == ""


@pytest.mark.parametrize("lines", ALWAYS)
def test_mail_of_people_is_forwarded(lines: str) -> None:
    assert withheld(made(lines), OURS) == by_program(made(lines)) == ""


@pytest.mark.parametrize("name", ["FORWARD", "MAIL"])
def test_P7_a_mail_of_our_own_that_comes_back_is_not_forwarded(name: str) -> None:
    raw = f"From: a@example.com\r\nMessage-ID: {IDS[name]}\r\n\r\nx".encode()
    assert "our own" in withheld(parse(BytesSource(raw)), OURS)
    assert withheld(parse(BytesSource(raw)), THEIRS) == ""


@pytest.mark.parametrize("sender", ["MAILER-DAEMON@example.com", "Mail System <Mailer-Daemon@mx.example.com>"])
def test_messages_of_mail_systems_are_not_forwarded(sender: str) -> None:
    mail = parse(BytesSource(f"From: {sender}\r\nSubject: Undelivered\r\n\r\nx".encode()))
    assert "MAILER-DAEMON" in withheld(mail, OURS)


def test_hops_are_given_newest_first() -> None:
    mail = parse(BytesSource(f"{HOP}: <2@example.com>\r\nX: y\r\n{HOP.upper()}: <1@example.com>\r\n\r\n".encode()))
    assert hops(mail) == ["<2@example.com>", "<1@example.com>"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Auto-Submitted", "Precedence", "X-Autoreply", "Return-Path", "Content-Type", "From", HOP, "List-Id"]),
            st.binary(max_size=60).map(lambda value: value.replace(b"\n", b"(").replace(b"\r", b")")),
        ),
        max_size=8,
    ),
)
def test_no_header_breaks_it(headers: list[tuple[str, bytes]]) -> None:
    raw = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers) + b"\r\nx"
    mail = parse(BytesSource(raw))
    assert isinstance(withheld(mail, OURS) + by_program(mail), str)


def test_nasties_are_judged() -> None:
    mails = [parse(BytesSource(raw)) for _, raw in nasties()]
    assert all(isinstance(withheld(mail, OURS) + by_program(mail), str) for mail in mails)
