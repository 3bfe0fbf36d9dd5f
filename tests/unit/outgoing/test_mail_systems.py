"""Mail of mail systems is recognised by its null sender, its sender's name or its words, and a person's is not taken for it."""

from __future__ import annotations

import pytest

from gatewayd.message.mail import BytesSource, parse
from gatewayd.message.message_ids import Signer
from gatewayd.outgoing.loops import by_program, withheld
from gatewayd.outgoing.mail_systems import is_null_sender, sent_by_its_author

OURS, THEIRS = Signer(b"k" * 32), Signer(b"x" * 32)

#: The null sender, as servers write it (RFC 5321 section 4.5.5); and senders that are none.
NULL = (
    "<>",
    "< >",
    "<> (bounce)",
    "(nobody) <>",
    "",
    "<@>",
    '<"">',
    "MAILER-DAEMON",
    "<MAILER-DAEMON>",
    "<mailer-daemon@mx.example.net>",
    "<MAILER-DAEMON@>",
    "Mailer_Daemon@mx.example.net (Mail Delivery System)",
    "<Mail-Daemon@mx.example.net>",
    "<#@[]>",
    "#@[]",
)

SENDERS = (
    "<anna@example.com>",
    "anna@example.com",
    "<postmaster@example.com>",
    "<daemon@example.com>",
    "<#1@[192.0.2.1]>",
    "<a@[]>",
)


@pytest.mark.parametrize("value", NULL)
def test_P7_the_null_sender_is_known_in_every_spelling(value: str) -> None:
    raw = f"Return-Path: {value}\r\nReturn-Path: <anna@example.com>\r\nFrom: Anna <anna@example.com>\r\n\r\nx\r\n"
    assert is_null_sender(value)
    assert "Return-Path: <>" in withheld(parse(BytesSource(raw.encode())), OURS)


@pytest.mark.parametrize("value", SENDERS)
def test_a_sender_is_not_the_null_sender(value: str) -> None:
    assert not is_null_sender(value)


def test_a_postmaster_is_a_person_until_his_server_can_not_deliver() -> None:
    raw = "From: Postmaster <postmaster@example.net>\r\nSubject: {}\r\n\r\n{}\r\n"
    person = parse(BytesSource(raw.format("Your question", "Our server is back.").encode()))
    assert withheld(person, OURS) == by_program(person) == ""
    answer = parse(
        BytesSource(raw.format("AW: Your question", "Your mail was rejected with 550 5.7.1; that is mended now.").encode())
    )
    assert withheld(answer, OURS) == ""
    server = parse(BytesSource(raw.format("failure notice", "<duty@example.net>: no mailbox here by that name").encode()))
    assert "could not deliver" in withheld(server, OURS)


@pytest.mark.parametrize("sender", ["MAILER-DAEMON@example.com", "Mail System <Mailer-Daemon@mx.example.com>"])
def test_messages_of_mail_systems_are_not_forwarded(sender: str) -> None:
    mail = parse(BytesSource(f"From: {sender}\r\nSubject: Undelivered\r\n\r\nx".encode()))
    assert "MAILER-DAEMON" in withheld(mail, OURS)


@pytest.mark.parametrize(
    ("author", "envelope", "same"),
    [
        ("anna@m\u00fcller.example", "<anna@xn--mller-kva.example>", True),
        ("anna@xn--mller-kva.example", "<anna@m\u00fcller.example>", True),
        ("Anna@nord.example", "anna@NORD.example", True),
        ("anna@nord.example", "<>", False),
        ("anna@muller.example", "<anna@xn--mller-kva.example>", False),
    ],
)
def test_the_author_is_the_sender_of_the_envelope_in_either_spelling(author: str, envelope: str, *, same: bool) -> None:
    mail = parse(BytesSource(f"Return-Path: {envelope}\r\nFrom: {author}\r\nSubject: Rome\r\n\r\nHi\r\n".encode()))
    assert sent_by_its_author(mail) == same
