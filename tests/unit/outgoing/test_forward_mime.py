"""A forward on the wire: the original to the byte, and nothing of ours that could be more than it is."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes, policy
from email.header import decode_header, make_header

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatewayd import Address, Mail, PermanentError, Written, forwarded, parse
from gatewayd.message.mail import BytesSource
from tests.plugins.smtp_site import MAIL, filing, parcel
from tests.unit.outgoing.forwards import CARRIED, head, original, wired


def decoded(value: str) -> str:
    return str(make_header(decode_header(value)))


# --- attached ---------------------------------------------------------------------------------------------------------


def test_attached_is_a_new_message_of_ours_with_the_original_in_it() -> None:
    raw = wired(parcel())
    fields = head(raw)
    assert {name: fields[name] for name in ("From", "To", "Subject", "Date", "Message-ID")} == {
        "From": '"Acme Tours" <out@tours.example>',
        "To": "duty@example.com",
        "Subject": "Fwd: Booking 756",
        "Date": "Mon, 05 Jan 2026 12:00:00 +0000",
        "Message-ID": "<gw.f.1.token@tours.example>",
    }
    assert fields["Gatewayd-Hop"] == "<gw.f.1.token@tours.example>"
    assert fields["X-Auto-Response-Suppress"] == "All"
    assert fields["MIME-Version"] == "1.0"
    assert original(raw) == ("message/rfc822", MAIL)
    text = message_from_bytes(raw, policy=policy.compat32).get_payload()[0].get_payload(decode=True)  # type: ignore[union-attr,index]
    assert text.splitlines() == [  # type: ignore[union-attr]
        b"Forwarded by rule 2 of acme.",
        b"",
        b"From: Eva <eva@sunny.example>",
        b"To: reservations@tours.example",
        b"Subject: Booking 756",
        b"Received: Mon, 05 Jan 2026 12:00:00 +0000, account reservations",
    ]


def test_a_rules_forward_says_that_nobody_wrote_it_and_a_persons_does_not() -> None:
    assert head(wired(parcel()))["Auto-Submitted"] == "auto-generated"
    by_hand = wired(parcel(cause="person:anna"))
    assert head(by_hand)["Auto-Submitted"] is None
    assert b"\r\nForwarded by anna of acme.\r\n" in by_hand
    assert b"\r\nForwarded by anna of acme.\r\n" in wired(parcel(cause="person:anna (2)"))


def test_our_own_view_of_a_forward_has_the_original_as_its_attachment() -> None:
    mail: Mail = parse(BytesSource(wired(parcel())))
    assert [one.type for one in mail.attachments] == ["message/rfc822"]
    assert b"".join(mail.attachment(0)) == MAIL
    assert not mail.faults


@given(
    st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"\0", b"\xe4", b"a", b"--", b"x" * 300, b":"]), max_size=30).map(
        b"".join
    )
)
@example(b"")
def test_P5_any_original_comes_back_to_the_byte(raw: bytes) -> None:
    for eight_bit in (True, False):
        assert original(wired(parcel(raw), eight_bit=eight_bit))[1] == raw


# --- inline and as is -------------------------------------------------------------------------------------------------


def test_P5_inline_is_the_original_behind_lines_of_ours() -> None:
    raw = wired(parcel(MAIL, "a@example.com", mode="inline", addressed=("a@example.com", "b@example.com")))
    assert raw.endswith(MAIL)
    assert raw.removesuffix(MAIL).split(b"\r\n") == [
        b'Resent-From: "Acme Tours" <out@tours.example>',
        b"Resent-To: a@example.com,",
        b" b@example.com",
        b"Resent-Date: Mon, 05 Jan 2026 12:00:00 +0000",
        b"Resent-Message-ID: <gw.f.1.token@tours.example>",
        b"Gatewayd-Hop: <gw.f.1.token@tours.example>",
        b"",
    ]


def test_P5_as_is_is_the_bytes_and_nothing_else() -> None:
    assert wired(parcel(MAIL, mode="as is")) == MAIL
    assert wired(parcel(CARRIED["8-bit"], mode="as is")) == CARRIED["8-bit"]


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\nbody\r\n",
        b" folded: x\r\n\r\n",
        b"From eve Mon Jan 5\r\nSubject: x\r\n\r\n",
        b": x\r\n",
        b"no header\r\n",
        b"\xfcx: y\r\n",
    ],
)
def test_P5_an_original_without_a_header_to_stand_before_is_not_resent(raw: bytes) -> None:
    with pytest.raises(PermanentError, match="does not begin with a header"):
        forwarded(parcel(raw, mode="inline"), eight_bit=True)
    assert original(wired(parcel(raw)))[1] == raw


def test_what_is_from_nobody_is_refused() -> None:
    nobody = replace(parcel(), sender=None)
    with pytest.raises(PermanentError, match="nobody that it could be from"):
        forwarded(nobody, eight_bit=True)


# --- headers of ours --------------------------------------------------------------------------------------------------


EVIL = [
    "x\r\nBcc: evil@x.example",
    "x\nBcc: evil@x.example",
    "x\rBcc: evil@x.example",
    "x\x00\x1b[31m\u2028\u2029\x85",
    "\udc80\ud800",
    "=?utf-8?q?Bcc?=",
    "Ünïcødé 漢字 🏖 " * 40,
    "w" * 5000,
    " \t ",
    '"quoted" \\ (comment) <a@b>',
]


@pytest.mark.parametrize("text", EVIL)
def test_P7_what_mail_says_never_becomes_a_header_of_its_own(text: str) -> None:
    about = filing(subject=text, sender_name=text, sender=text, to=(text,), operator="acme", account="reservations")
    raw = wired(parcel(about=about))
    plain = wired(parcel(about=filing()))
    assert head(raw).keys() == head(plain).keys()
    shown = decoded(str(head(raw)["Subject"]))
    assert shown.startswith("Fwd:")
    assert shown.isprintable()
    assert original(raw) == original(plain)


@given(st.text(max_size=300))
def test_any_subject_is_one_header_and_reads_as_it_was(text: str) -> None:
    raw = wired(parcel(about=filing(subject=text)))
    assert head(raw).keys() == head(wired(parcel())).keys()
    subject = str(head(raw)["Subject"])
    assert subject.isascii()
    if text.isprintable():
        assert decoded(subject).split() == ["Fwd:", *text.split()]


@pytest.mark.parametrize(
    "name", ["Müller, Eva", 'Eva "Boss" <x@y.example>', "Eva, Anna", "J. Smith (x)", "=?utf-8?q?x?=", "a\r\nBcc: b@c.example"]
)
def test_a_senders_name_is_quoted_or_encoded(name: str) -> None:
    sent = replace(parcel(), sender=Address(name=name, email="out@tours.example"))
    (seen,) = parse(BytesSource(wired(sent))).from_
    assert seen.email == "out@tours.example"
    assert seen.name == name or "\r" in name
    assert head(wired(sent))["Bcc"] is None


def test_addresses_that_a_header_can_not_have_stand_in_it_as_a_name_alone() -> None:
    people = ("anna@bücher.example", "jörg@example.com", "x@y\r\nBcc: evil@x.example")
    raw = wired(parcel(MAIL, *people))
    value = str(head(raw)["To"])
    assert value.startswith("anna@xn--bcher-kva.example,")
    assert value.count(":;") == 2
    assert "jörg@example.com" in decoded(value)
    assert head(raw)["Bcc"] is None


def test_many_recipients_stand_one_a_line() -> None:
    people = tuple(f"p{number}@example.com" for number in range(500))
    assert [one.email for one in parse(BytesSource(wired(parcel(MAIL, *people)))).to] == list(people)


def test_only_hops_that_are_one_line_are_carried_on() -> None:
    hops = ("Gatewayd-Hop: <a@b>", "Gatewayd-Hop: x\r\nBcc: evil@x.example", "no colon", "Gatewayd-Hop: \xfc", "X: " + "y" * 1000)
    for mode in ("attached", "inline"):
        fields = head(wired(parcel(mode=mode, hops=hops)))
        assert fields.get_all("Gatewayd-Hop") == ["<a@b>"]
        assert fields["Bcc"] is None
        assert fields["X"] is None


def test_P7_a_repeat_is_equal_to_the_byte_whoever_has_it_by_then() -> None:
    for mode in ("attached", "inline", "as is"):
        first = wired(parcel(MAIL, "a@example.com", "b@example.com", mode=mode))
        again = wired(parcel(MAIL, "b@example.com", mode=mode, addressed=("a@example.com", "b@example.com")))
        assert first == again


def test_a_repr_shows_nothing_of_a_mail() -> None:
    assert "756" not in repr(forwarded(parcel(), eight_bit=True))
    assert isinstance(forwarded(parcel(), eight_bit=True), Written)
