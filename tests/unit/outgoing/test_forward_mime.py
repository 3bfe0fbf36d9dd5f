"""A forward on the wire: the original to the byte, and nothing of ours that could be more than it is."""

from __future__ import annotations

import base64
from dataclasses import replace
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatewayd import Address, Mail, Parcel, PermanentError, Written, forwarded, parse
from gatewayd.message.mail import BytesSource
from tests.plugins.smtp_site import MAIL, filing, parcel

if TYPE_CHECKING:
    from email.message import Message

    from gatewayd import Mode


def wired(one: Parcel, *, eight_bit: bool = True, smtputf8: bool = False) -> bytes:
    """The bytes of a forward, after the promises of ``Written`` are held against them."""
    written = forwarded(one, eight_bit=eight_bit, smtputf8=smtputf8)
    raw = b"".join(written.pieces())
    assert b"".join(written.pieces()) == raw
    assert len(raw) == written.size
    assert written.eight_bit == (not raw.isascii())
    assert raw.endswith(b"\r\n")
    assert b"\0" not in raw
    assert raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    return raw


def head(raw: bytes) -> Message:
    return BytesHeaderParser(policy=policy.compat32).parsebytes(raw)


def original(raw: bytes) -> tuple[str, bytes]:
    """Take a forward apart as its receiver does; return the second part's type and what is in it."""
    boundary = b"--" + str(head(raw).get_boundary()).encode()
    _, _, rest = raw.partition(b"\r\n" + boundary + b"\r\n")
    _, _, rest = rest.partition(b"\r\n" + boundary + b"\r\n")
    part, closing, behind = rest.partition(b"\r\n" + boundary + b"--\r\n")
    assert closing
    assert not behind
    _, _, body = part.partition(b"\r\n\r\n")
    fields = head(part)
    if fields["Content-Transfer-Encoding"] != "base64":
        return fields.get_content_type(), body
    assert max(map(len, body.split(b"\r\n"))) <= 76
    return f"{fields.get_content_type()} {fields.get_filename()}", base64.b64decode(body)


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


CARRIED = {
    "plain": b"Subject: x\r\n\r\nbody\r\n",
    "dots": b"Subject: x\r\n\r\n.\r\n..\r\n.x\r\n",
    "no end": b"Subject: x\r\n\r\nbody",
    "longest": b"Subject: x\r\n\r\n" + b"x" * 998 + b"\r\n" + b"y" * 998,
    "nothing": b"",
    "8-bit": b"Subject: x\r\n\r\nGr\xfc\xdfe\r\n",
}
NOT_CARRIED = {
    "it has NULs": [b"Subject: x\r\n\r\n\0\r\n"],
    "it has a CR or LF that is no part of a line end": [
        b"Subject: x\n\nbody\n",
        b"Subject: x\r\n\r\na\rb\r\n",
        b"Subject: x\r\n\r\na\r",
        b"Subject: x\r\n\r\na\r\r\n",
        b"Subject: x\r\n\r\na\n\r",
        b"\n",
        b"\r",
    ],
    "it has a line of more than 998 bytes": [
        b"Subject: x\r\n\r\n" + b"x" * 999 + b"\r\n",
        b"Subject: x\r\n\r\n" + b"x" * 999,
        b"x" * 999 + b"\r\nx\r\n",
        b"Subject: x\r\n\r\n" + b"x" * 500_000 + b"\r\n",
    ],
}


@pytest.mark.parametrize("raw", CARRIED.values(), ids=CARRIED)
def test_P5_what_smtp_can_carry_goes_as_it_is(raw: bytes) -> None:
    assert original(wired(parcel(raw))) == ("message/rfc822", raw)


@pytest.mark.parametrize("raw", [raw for several in NOT_CARRIED.values() for raw in several])
def test_P5_what_smtp_can_not_carry_goes_as_base64(raw: bytes) -> None:
    assert original(wired(parcel(raw))) == ("application/octet-stream original.eml", raw)


def test_P5_8_bit_goes_as_base64_to_a_server_that_does_not_take_it() -> None:
    raw = CARRIED["8-bit"]
    assert b"\r\nContent-Transfer-Encoding: 8bit\r\n" in wired(parcel(raw))
    assert original(wired(parcel(raw), eight_bit=False)) == ("application/octet-stream original.eml", raw)


_MIXED = b'Content-Type: multipart/mixed;\r\n boundary="a b"\r\n\r\n--a b \r\n'
_RAW_HEADS = {
    "top": b"Subject: %b\r\n\r\nx\r\n",
    "folded": b"Subject: x\r\n %b\r\n\r\nx\r\n",
    "part": _MIXED + b"Content-Type: application/pdf; name=%b.pdf\r\n\r\nx\r\n--a b--\r\n",
    "message in a part": _MIXED + b"Content-Type: message/rfc822\r\n\r\nSubject: %b\r\n\r\nx\r\n--a b--\r\n",
    "part of a message in a part": _MIXED + b"Content-Type: message/rfc822\r\n\r\n"
    b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Description: %b\r\n\r\nx\r\n--c--\r\n--a b--\r\n",
}


@pytest.mark.parametrize("raw", _RAW_HEADS.values(), ids=_RAW_HEADS)
def test_P5_raw_8_bit_headers_go_where_no_server_rewrites_them(raw: bytes) -> None:
    """RFC 6532 section 3.7; a message/rfc822 with such headers is no such thing, and some servers write it anew."""
    utf_8, latin_1 = raw.replace(b"%b", "Žofín".encode()), raw.replace(b"%b", b"Gr\xfc\xdfe")
    assert original(wired(parcel(utf_8), smtputf8=True)) == ("message/global", utf_8)
    assert original(wired(parcel(utf_8))) == ("application/octet-stream original.eml", utf_8)
    assert original(wired(parcel(latin_1), smtputf8=True)) == ("application/octet-stream original.eml", latin_1)
    plain = raw.replace(b"%b", b"plain") + "Žofín\r\n".encode()
    assert original(wired(parcel(plain))) == ("message/rfc822", plain)


def test_P5_an_original_that_holds_our_boundary_goes_as_base64() -> None:
    boundary = str(head(wired(parcel())).get_boundary()).encode()
    for before in (b"", b"x\r\n" * ((57 * 4096 - 30) // 3)):
        raw = b"Subject: x\r\n\r\n" + before + b"--" + boundary + b"\r\n\r\nslipped in\r\n"
        # The second one holds it over the border of two pieces.
        assert not before or boundary not in raw[: 57 * 4096] + b" " + raw[57 * 4096 :]
        assert original(wired(parcel(raw))) == ("application/octet-stream original.eml", raw)


@pytest.mark.parametrize("shift", range(4))
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_P5_line_ends_are_seen_over_the_border_of_two_pieces(shift: int, end: bytes) -> None:
    piece = 57 * 4096
    start = b"Subject: x\r\n\r\n" + b"x" * 80 + b"\r\n"
    lines = start + b"y\r\n" * ((piece - len(start) - 10) // 3)
    raw = lines + b"z" * (piece - len(lines) - shift) + end + b"more\r\n"
    assert original(wired(parcel(raw)))[0] == ("message/rfc822" if end == b"\r\n" else "application/octet-stream original.eml")
    assert original(wired(parcel(raw)))[1] == raw


def test_P5_a_long_line_is_seen_over_the_border_of_two_pieces() -> None:
    piece = 57 * 4096
    lines = b"Subject: x\r\n\r\n" + b"y\r\n" * ((piece - 600) // 3)
    for length, carried in ((998, True), (999, False)):
        raw = lines + b"z" * length + b"\r\nend\r\n"
        assert len(lines) < piece < len(lines) + length
        assert (original(wired(parcel(raw)))[0] == "message/rfc822") == carried


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


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        (b"Return-Path: <a@b.example>\r\n" + MAIL, MAIL),
        (b"Return-path : <a@b.example>\r\n (folded)\r\n\tx\r\n" + MAIL, MAIL),
        (b"Delivered-To: x\r\nReturn-Path: <>\r\nReturn-Path: <>\r\n" + MAIL, b"Delivered-To: x\r\n" + MAIL),
        (b"X-Return-Path: <>\r\nSubject: x\r\n\r\nReturn-Path: <>\r\n", None),
        (b"Subject: x\r\n Return-Path: <>\r\n\r\n", None),
        (b"Subject: only headers\r\nReturn-Path: <>\r\n", b"Subject: only headers\r\n"),
        (b"Subject: x\r\n" * 90_000 + b"Return-Path: <>\r\n\r\n", None),
    ],
)
def test_inline_leaves_out_the_return_path_that_the_last_server_wrote(raw: bytes, left: bytes | None) -> None:
    """RFC 5321 section 4.4. Nothing else of the original is touched."""
    sent = wired(parcel(raw, mode="inline"))
    assert sent.partition(b"Gatewayd-Hop: <gw.f.1.token@tours.example>\r\n")[2] == (raw if left is None else left)


def test_P5_as_is_is_the_bytes_and_nothing_else() -> None:
    assert wired(parcel(MAIL, mode="as is")) == MAIL
    assert wired(parcel(CARRIED["8-bit"], mode="as is")) == CARRIED["8-bit"]


@pytest.mark.parametrize("mode", ["inline", "as is"])
@pytest.mark.parametrize(("reason", "raw"), [(reason, raw) for reason, several in NOT_CARRIED.items() for raw in several])
def test_P5_what_can_not_be_sent_as_it_is_is_refused_with_the_reason(mode: Mode, reason: str, raw: bytes) -> None:
    with pytest.raises(PermanentError, match=reason) as caught:
        forwarded(parcel(raw, mode=mode), eight_bit=True)
    assert "attached" in caught.value.advice


@pytest.mark.parametrize("mode", ["inline", "as is"])
def test_P5_8_bit_as_it_is_needs_a_server_that_takes_it(mode: Mode) -> None:
    assert wired(parcel(CARRIED["8-bit"], mode=mode)).endswith(CARRIED["8-bit"])
    with pytest.raises(PermanentError, match="does not offer 8BITMIME"):
        forwarded(parcel(CARRIED["8-bit"], mode=mode), eight_bit=False)


@pytest.mark.parametrize("mode", ["inline", "as is"])
@pytest.mark.parametrize("raw", [b"", b"Subject: x", b"Subject: x\r\n\r\nbody"])
def test_P5_an_original_without_an_end_can_not_be_sent_as_it_is(mode: Mode, raw: bytes) -> None:
    with pytest.raises(PermanentError, match="its last line is not ended"):
        forwarded(parcel(raw, mode=mode), eight_bit=True)


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
