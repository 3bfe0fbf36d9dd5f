"""TNEF, which Outlook sends as winmail.dat: its files and texts are found, and what is broken stays a file."""

from __future__ import annotations

import pytest

from gatewayd.message.tnef import tnef
from tests.unit.containers_made import LONG, RTF, had, names, packed, winmail
from tests.unit.linear import assert_linear
from tests.unit.tnef_made import attribute, file, props, stream


@pytest.mark.parametrize(
    "kind",
    [
        "application/ms-tnef; name=winmail.dat",
        "application/vnd.ms-tnef",
        "application/octet-stream; name=WINMAIL.DAT",
        "application/octet-stream; name=ATT00001",
        "application/octet-stream",
    ],
)
def test_files_come_out_of_winmail_dat(kind: str) -> None:
    data = stream(
        file(b"UEBERS~1.PDF", b"%PDF-1.7", LONG), file(b"plan.txt", b"plan"), file(b"", b"x", (0x370E, 0x1E, b"image/png\0"))
    )
    mail = winmail(data, kind)
    assert mail.text == "see file"
    assert [(one.name, one.type, one.size) for one in mail.attachments] == [
        ("Übersicht 🧳.pdf", "application/pdf", 8),
        ("plan.txt", "text/plain", 4),
        ("attachment-3.png", "image/png", 1),
    ]
    assert had(mail) == [b"%PDF-1.7", b"plan", b"x", data]
    assert mail.notes == (f"{kind.partition('name=')[2] or 'it'} is TNEF of Outlook, opened",)


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ([attribute(0x0002800C, b"Gr\xfc\xdfe B-756\r\n\0")], "Grüße B-756\n"),
        ([attribute(0x00069003, props((0x1000, 0x1F, "Grüße 🧳".encode("utf-16-le") + b"\0\0")))], "Grüße 🧳"),
        ([attribute(0x00069003, props((0x8001, 3, b"\1\0\0\0"), (0x3FDE, 3, (65001).to_bytes(4, "little")), (0x1013, 0x102, "<p>Grüße <b>B-756".encode())))], "Grüße B-756"),
        ([attribute(0x00069003, props((0x0E06, 0x40, b"12345678"), (0x1009, 0x102, packed(RTF))))], "Příjezd: Žižkov\nB-756"),
        ([attribute(0x00069003, props((0x1013, 0x102, b"<p>html"), (0x1000, 0x1E, b"plain\0")))], "plain"),
    ],
)  # fmt: skip
def test_the_text_of_tnef_is_read_where_there_is_no_other(attributes: list[bytes], text: str) -> None:
    assert winmail(stream(*attributes), text=None).text == text
    assert winmail(stream(*attributes)).text == "see file"


def test_an_embedded_message_of_tnef_can_be_had() -> None:
    inner = stream(attribute(0x0002800C, b"inner\0"))
    mail = winmail(stream(file(b"Re: B-756", b"", (0x3701, 0xD, b"i" * 16 + inner))))
    assert [(one.name, one.type) for one in mail.attachments] == [("Re: B-756", "application/ms-tnef")]
    assert had(mail)[0] == inner


@pytest.mark.parametrize(
    "data",
    [b"", b"junk", bytes.fromhex("789f3e220100"), bytes.fromhex("789f3e220100") + b"\0" * 30, stream()[:-3], b"\x78\x9f\x3e\x22"],
)
def test_an_empty_or_broken_stream_stays_a_file(data: bytes) -> None:
    mail = winmail(data)
    assert (mail.text, names(mail), mail.notes) == ("see file", (["winmail.dat"], []), ())


def test_a_stream_that_is_cut_short_is_read_as_far_as_it_goes() -> None:
    whole = stream(file(b"a.txt", b"first"), file(b"b.txt", b"second"))
    assert names(winmail(whole[:-3])) == (["a.txt"], ["winmail.dat"])


@pytest.mark.parametrize(
    "unit",
    [
        b"\0",
        b"\1\x02\x90\x06\0\0\0\0\0\0\0",
        b"\2\x05\x90\x06\0\x08\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0",
        attribute(0x69005, props(LONG)),
    ],
)
def test_hostile_tnef_takes_linear_time(unit: bytes) -> None:
    assert_linear(lambda data: tnef(stream() + data), unit)
    many_values = props((0x1000, 0x1003, b"\xff\xff\xff\x7f" + b"\0" * 40))
    assert_linear(lambda data: tnef(stream(attribute(0x69003, many_values + data))), unit)
