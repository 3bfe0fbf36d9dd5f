"""Whether SMTP can carry an original (P5): as it is, else as base64, and never with other bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import PermanentError, forwarded
from tests.plugins.smtp_site import MAIL, parcel
from tests.unit.outgoing.forwards import CARRIED, head, original, wired

if TYPE_CHECKING:
    from gatewayd import Mode


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
