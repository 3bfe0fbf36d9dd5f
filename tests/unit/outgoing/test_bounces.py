"""Bounces of our deliveries are known by an id that only we can have made, as the mail systems of the field write them (RFC 3464)."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import Bounce, Bounced
from gatewayd.message.mail import BytesSource, parse
from gatewayd.message.message_ids import Signer
from gatewayd.outgoing.bounces import bounce
from gatewayd.testing.messages import malformed_messages

SIGNER = Signer(b"k" * 32)

OURS = SIGNER.message_id("forward", "example.com")

FORGED = Signer(b"x" * 32).message_id("forward", "example.com")


def text(what: str) -> str:
    return dedent(what).strip("\n").replace("OURS", OURS) + "\n"


POSTFIX = text("""
    Return-Path: <>
    Date: Mon, 2 Nov 2026 10:00:00 +0100 (CET)
    From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
    Subject: Undelivered Mail Returned to Sender
    To: out@example.com
    Auto-Submitted: auto-replied
    MIME-Version: 1.0
    Content-Type: multipart/report; report-type=delivery-status;
    \tboundary="4ABC.1/mx.example.net"
    Message-Id: <20261102.4ABD@mx.example.net>

    This is a MIME-encapsulated message.

    --4ABC.1/mx.example.net
    Content-Description: Notification
    Content-Type: text/plain; charset=us-ascii

    <duty@example.net>: host mail.example.net[192.0.2.7] said: 550 5.1.1 No such user

    --4ABC.1/mx.example.net
    Content-Description: Delivery report
    Content-Type: message/delivery-status

    Reporting-MTA: dns; mx.example.net
    X-Postfix-Queue-ID: 4ABC
    X-Postfix-Sender: rfc822; out@example.com
    Arrival-Date: Mon,  2 Nov 2026 09:59:58 +0100 (CET)

    Final-Recipient: rfc822; duty.manager@mail.example.net
    Original-Recipient: rfc822;duty@example.net
    Action: failed
    Status: 5.1.1
    Remote-MTA: dns; mail.example.net
    Diagnostic-Code: smtp; 550 5.1.1 <duty.manager@mail.example.net>: Recipient
        address rejected: User unknown in virtual mailbox table

    Final-Recipient: rfc822; late@example.net
    Original-Recipient: rfc822;late@example.net
    Action: failed
    Status: 4.4.1
    Diagnostic-Code: X-Postfix; connect to mail2.example.net[192.0.2.8]:25:
        Connection timed out

    Final-Recipient: rfc822; slow@example.net
    Action: delayed
    Status: 4.2.2
    Will-Retry-Until: Sat, 7 Nov 2026 09:59:58 +0100 (CET)

    --4ABC.1/mx.example.net
    Content-Description: Undelivered Message
    Content-Type: message/rfc822

    Return-Path: <out@example.com>
    From: Acme <out@example.com>
    Message-ID: OURS
    Subject: Fwd: Booking

    Hello
    --4ABC.1/mx.example.net--
    """)

OFFICE_365 = text("""
    MIME-Version: 1.0
    From: Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@example.onmicrosoft.com>
    To: <out@example.com>
    Date: Mon, 2 Nov 2026 09:00:01 +0000
    Content-Type: multipart/report; report-type=delivery-status;
    \tboundary="5f0c5c2e-1111-4222-8333-444455556666"
    X-MS-Exchange-Message-Is-Ndr:
    Content-Language: en-US
    Message-ID: <5f0c5c2e@AM0PR01MB0001.eurprd01.prod.exchangelabs.com>
    In-Reply-To: OURS
    References: OURS
    Subject: Undeliverable: Fwd: Booking
    Auto-Submitted: auto-replied

    --5f0c5c2e-1111-4222-8333-444455556666
    Content-Type: multipart/alternative; differences=Content-Type;
    \tboundary="aaaabbbb-2222-4333-8444-555566667777"

    --aaaabbbb-2222-4333-8444-555566667777
    Content-Type: text/plain; charset="us-ascii"
    Content-Transfer-Encoding: quoted-printable

    Your message to duty@example.org couldn't be delivered.

    --aaaabbbb-2222-4333-8444-555566667777
    Content-Type: text/html; charset="us-ascii"

    <html><body>Your message couldn't be delivered.</body></html>

    --aaaabbbb-2222-4333-8444-555566667777--

    --5f0c5c2e-1111-4222-8333-444455556666
    Content-Type: message/delivery-status

    Reporting-MTA: dns;AM0PR01MB0001.eurprd01.prod.exchangelabs.com
    Received-From-MTA: dns;mail.example.com
    Arrival-Date: Mon, 2 Nov 2026 09:00:00 +0000

    Final-Recipient: rfc822;duty@example.org
    Action: failed
    Status: 5.7.1
    Diagnostic-Code: smtp;550 5.7.129 RESOLVER.RST.RestrictedToRecipientsPermission; not authorized to send to recipient
    X-Display-Name: Duty

    --5f0c5c2e-1111-4222-8333-444455556666
    Content-Type: message/rfc822

    Received: from mail.example.com (192.0.2.1) by AM0PR01MB0001
    From: Acme <out@example.com>
    To: <duty@example.org>
    Message-ID:
     OURS
    Subject: Fwd: Booking
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary="x"

    --5f0c5c2e-1111-4222-8333-444455556666--
    """)

EXIM = text("""
    Return-path: <>
    X-Failed-Recipients: duty@example.net, other@example.net
    Auto-Submitted: auto-replied
    From: Mail Delivery System <Mailer-Daemon@exim.example.net>
    To: out@example.com
    References: OURS
    Content-Type: multipart/report; report-type=delivery-status; boundary=1604311200-eximdsn-123456
    MIME-Version: 1.0
    Subject: Mail delivery failed: returning message to sender
    Message-Id: <E1abcde-0001AB-CD@exim.example.net>

    --1604311200-eximdsn-123456
    Content-type: text/plain; charset=us-ascii

    This message was created automatically by mail delivery software.

    --1604311200-eximdsn-123456
    Content-type: message/delivery-status

    Reporting-MTA: dns; exim.example.net

    Action: failed
    Final-Recipient: rfc822;duty@example.net
    Status: 5.0.0
    Remote-MTA: dns; mail.example.net
    Diagnostic-Code: smtp; 550 mailbox unavailable

    Action: failed
    Final-Recipient: rfc822;other@example.net
    Status: 5.0.0

    --1604311200-eximdsn-123456
    Content-type: text/rfc822-headers

    Return-path: <out@example.com>
    Received: from mail.example.com by exim.example.net
    Message-Id: OURS
    Subject: Fwd: Booking

    --1604311200-eximdsn-123456--
    """)

GMAIL = text("""
    Return-Path: <>
    From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
    To: out@example.com
    Auto-Submitted: auto-replied
    Subject: Delivery Status Notification (Failure)
    References: OURS
    In-Reply-To: OURS
    X-Failed-Recipients: duty@gmail.example
    Message-ID: <5fa00000.1c69fb81.00000.0000.GMR@mx.google.example>
    Content-Type: multipart/report; boundary="0000000000001"; report-type=delivery-status

    --0000000000001
    Content-Type: multipart/related; boundary="0000000000002"

    --0000000000002
    Content-Type: text/html; charset="UTF-8"

    <p>Address not found</p>
    --0000000000002
    Content-Type: image/png; name="icon.png"
    Content-Disposition: attachment; filename="icon.png"
    Content-Transfer-Encoding: base64
    Content-ID: <icon.png>

    iVBORw0KGgo=
    --0000000000002--
    --0000000000001
    Content-Type: message/delivery-status

    Reporting-MTA: dns; googlemail.com
    Received-From-MTA: dns; out@example.com
    Arrival-Date: Mon, 02 Nov 2026 01:00:00 -0800 (PST)
    X-Original-Message-ID: OURS

    Final-Recipient: rfc822; duty@gmail.example
    Action: failed
    Status: 5.1.1
    Remote-MTA: dns; gmail-smtp-in.l.google.example. (2001:db8::1b, the server for the domain.)
    Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please
     550 5.1.1 try double-checking the recipient's email address
    Last-Attempt-Date: Mon, 02 Nov 2026 01:00:01 -0800 (PST)

    --0000000000001
    Content-Type: message/rfc822

    Subject: Fwd: Booking

    Hello
    --0000000000001--
    """)


def read(report: str | bytes) -> Bounce | None:
    raw = report if isinstance(report, bytes) else report.replace("\n", "\r\n").encode()
    return bounce(parse(BytesSource(raw)), SIGNER)


def is_ours(found: Bounce) -> bool:
    """Its domain may be damaged: it is not signed, and no delivery of ours has such an id then."""
    return found.message_id.partition("@")[0] == OURS.partition("@")[0]


def report(
    status: str, returned: str, *, head: str = "Reporting-MTA: dns; x", kind: str = "message/rfc822", encoding: str = "7bit"
) -> str:
    return "\n".join(
        (
            "From: MAILER-DAEMON@example.net",
            'Content-Type: multipart/report; report-type=delivery-status; boundary="b"',
            f"\n--b\nContent-Type: text/plain\n\nYour mail {OURS} could not be delivered.",
            f"\n--b\nContent-Type: message/delivery-status\nContent-Transfer-Encoding: {encoding}\n\n{head}\n\n{status}",
            f"\n--b\nContent-Type: {kind}\n\n{returned}\n\nHello\n--b--\n",
        )
    )


FAILED = "Final-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 5.1.1"

A = (Bounced(address="a@example.net", hard=True, words="5.1.1"),)


def test_postfix_says_who_was_given_up_and_under_the_name_that_we_sent_to() -> None:
    said = "550 5.1.1 <duty.manager@mail.example.net>: Recipient address rejected: User unknown in virtual mailbox table"
    timed_out = "4.4.1 connect to mail2.example.net[192.0.2.8]:25: Connection timed out"
    assert read(POSTFIX) == Bounce(
        message_id=OURS,
        recipients=(
            Bounced(address="duty@example.net", hard=True, words=said),
            Bounced(address="late@example.net", hard=False, words=timed_out),
        ),
    )


def test_office_365() -> None:
    words = "550 5.7.129 RESOLVER.RST.RestrictedToRecipientsPermission; not authorized to send to recipient"
    assert read(OFFICE_365) == Bounce(message_id=OURS, recipients=(Bounced(address="duty@example.org", hard=True, words=words),))


def test_exim_returns_only_the_headers() -> None:
    words = ("5.0.0 550 mailbox unavailable", "5.0.0")
    found = read(EXIM)
    assert found is not None
    assert found.message_id == OURS
    assert [(one.address, one.hard, one.words) for one in found.recipients] == [
        ("duty@example.net", True, words[0]),
        ("other@example.net", True, words[1]),
    ]


def test_gmail_names_the_mail_in_the_report() -> None:
    found = read(GMAIL)
    assert found is not None
    assert (found.message_id, found.recipients[0].address, found.recipients[0].hard) == (OURS, "duty@gmail.example", True)
    assert found.recipients[0].words.startswith("550-5.1.1 The email account that you tried to reach")


@pytest.mark.parametrize("sample", [POSTFIX, OFFICE_365, EXIM, GMAIL])
def test_P7_a_forged_id_is_nobodys_bounce(sample: str) -> None:
    assert read(sample.replace(OURS, FORGED)) is None
    assert read(sample.replace(OURS, "<1@example.com>")) is None


@pytest.mark.parametrize("sample", [POSTFIX, OFFICE_365, EXIM, GMAIL])
def test_a_report_that_was_cut_off_anywhere_is_read_as_far_as_it_goes(sample: str) -> None:
    whole = read(sample)
    assert whole is not None
    raw = sample.replace("\n", "\r\n").encode()
    for end in range(0, len(raw), 7):
        found = read(raw[:end])
        assert found is None or (is_ours(found) and len(found.recipients) <= len(whole.recipients))


@pytest.mark.parametrize("sample", [POSTFIX, OFFICE_365, EXIM, GMAIL])
def test_line_ends_and_case_do_not_matter(sample: str) -> None:
    assert read(sample.encode()) == read(sample)
    assert read(sample.replace(OURS, OURS.upper())) == read(sample)


def test_P7_an_id_that_stands_only_in_a_text_proves_less() -> None:
    found = read(report(FAILED, "Subject: another mail"))
    assert found == Bounce(message_id=OURS, recipients=A, evidence="text")
    assert read(report(f"{FAILED}\nX-Note: {OURS}", f"Message-ID: <1@example.com>\nReferences: {OURS}")) is None, (
        "an answer to ours"
    )
    plain = f"From: MAILER-DAEMON@example.net\nContent-Type: text/plain\n\nMessage-ID: {OURS}\nAction: failed\n"
    assert read(plain) is None, "it does not say that it failed"


def test_a_report_without_its_type_counts_from_a_mail_system_alone() -> None:
    mixed = report(FAILED, f"Message-ID: {OURS}").replace("multipart/report", "multipart/mixed")
    assert read(mixed) == Bounce(message_id=OURS, recipients=A)
    assert read(mixed.replace("MAILER-DAEMON@example.net", "Anna <anna@example.net>")) is None, "a person who sends a report on"


def test_the_id_of_the_forward_counts_where_the_original_was_ours_too() -> None:
    original = SIGNER.message_id("mail", "example.com")
    found = read(report(FAILED, f"Resent-Message-ID: {OURS}\nFrom: x@example.com\nMessage-ID: {original}"))
    assert found == Bounce(message_id=OURS, recipients=A)


def test_the_envelopes_id_counts_before_what_is_returned() -> None:
    head = f"Original-Envelope-Id: {OURS.replace('<', '+3C').replace('>', '+3E')}\nReporting-MTA: dns; x"
    assert read(report(FAILED, "Message-ID: <1@example.com>", head=head)) == Bounce(message_id=OURS, recipients=A)


@pytest.mark.parametrize("kind", ["text/rfc822-headers", "message/global", "message/global-headers"])
def test_returned_headers_may_come_as_several_types(kind: str) -> None:
    assert read(report(FAILED, f"Message-ID: {OURS}", kind=kind)) == Bounce(message_id=OURS, recipients=A)


def test_an_encoded_report_is_decoded() -> None:
    status = FAILED.replace("a@example.net", "a=40example.net")
    assert read(report(status, f"Message-ID: {OURS}", encoding="quoted-printable")) == Bounce(message_id=OURS, recipients=A)


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_what_is_not_given_up_is_no_bounce(action: str) -> None:
    assert read(report(FAILED.replace("failed", action), f"Message-ID: {OURS}")) is None


@pytest.mark.parametrize(
    ("status", "hard", "words"),
    [
        ("Action: failed\nStatus: 4.4.7", False, "4.4.7"),
        ("Action: FAILED (gone)\nStatus: 5.2.2 (full)", True, "5.2.2"),
        ("Action: failed\nDiagnostic-Code: smtp; 452 4.2.2 mailbox full", False, "452 4.2.2 mailbox full"),
        ("Action: failed\nDiagnostic-Code: smtp; 451 later", False, "4.0.0 451 later"),
        ("Action: failed\nDiagnostic-Code: smtp; [5.9.1.2] said 452 full", False, "4.0.0 [5.9.1.2] said 452 full"),
        ("Action: failed\nDiagnostic-Code: smtp; [1.2.244.9] said 550 no", True, "5.0.0 [1.2.244.9] said 550 no"),
        ("Action: failed", True, "5.0.0"),
        ("Status: 5.1.1", True, "5.1.1"),
        ("Action: failed\nStatus: 5.1.1\nDiagnostic-Code: no type", True, "5.1.1 no type"),
    ],
)
def test_a_bounce_is_hard_where_status_or_words_are_of_class_5(status: str, words: str, *, hard: bool) -> None:
    found = read(report(f"Final-Recipient: rfc822; a@example.net\n{status}", f"Message-ID: {OURS}"))
    assert found == Bounce(message_id=OURS, recipients=(Bounced(address="a@example.net", hard=hard, words=words),))


@pytest.mark.parametrize(
    ("said", "hard"),
    [
        ("host mx.x.example [65.54.244.200]: 550 no such user", True),
        ("host mx.x.example [5.9.10.11]: 450 later", False),
        ("host 5.1.1.9 said: 452 4.2.2 full", False),
        ("220-x.example ready; 554 5.7.1 blocked", True),
        ("#550 4.4.7 QUEUE.Expired; message expired", False),
        ("smtp 5.65.1 said: 450 busy", False),
        ("552 5.2.2 Over quota", True),
        ("user unknown", False),
        ("This is a permanent error: user unknown", True),
        ("Delivery failed permanently: user unknown", True),
        ("at 2026-11-02 05:50:00 user unknown", False),
    ],
)
def test_a_letter_is_hard_by_its_codes_and_words_and_by_no_other_number(said: str, *, hard: bool) -> None:
    found = read(f"From: MAILER-DAEMON@x.example\nSubject: Returned mail\n\n<a@example.net>: {said}\n\nMessage-ID: {OURS}\n")
    assert found is not None
    assert [(one.address, one.hard) for one in found.recipients] == [("a@example.net", hard)]


def test_a_report_without_a_first_group_is_read() -> None:
    assert read(report(FAILED, f"Message-ID: {OURS}", head="")) == Bounce(message_id=OURS, recipients=A)


def test_P8_a_report_of_any_size_gives_a_bounded_answer() -> None:
    many = "\n\n".join(FAILED.replace("a@", f"a{number}@") for number in range(5000))
    found = read(report(many, f"Message-ID: {OURS}"))
    assert found is not None
    assert len(found.recipients) == 200
    long = FAILED + "\nDiagnostic-Code: smtp; 550 " + "x" * 30_000 + "\x07\x1b[2J"
    found = read(report(long, f"Message-ID: {OURS}"))
    assert found is not None
    assert len(found.recipients[0].words) == 500


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_no_report_breaks_it(status: bytes, returned: bytes) -> None:
    made = report("STATUS", f"Message-ID: {OURS}\nX: RETURNED").encode()
    found = read(made.replace(b"STATUS", status).replace(b"RETURNED", returned))
    assert found is None or found.message_id == OURS


@given(st.integers(0, len(POSTFIX)), st.integers(0, 60), st.binary(max_size=20))
def test_no_damage_breaks_it(at: int, length: int, by: bytes) -> None:
    raw = POSTFIX.encode()
    found = read(raw[:at] + by + raw[at + length :])
    assert found is None or is_ours(found)


def test_malformed_messages_are_nobodys_bounce() -> None:
    assert all(read(raw) is None for _, raw in malformed_messages())
