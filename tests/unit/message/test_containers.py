"""Containers that need no key: S/MIME signed data, TNEF and uuencode are opened, bounded, and named for what they are."""

from __future__ import annotations

import base64
import binascii
import subprocess
import time
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd.message import containers
from gatewayd.message.cms import content_of
from gatewayd.message.mail import BytesSource, Mail, parse
from gatewayd.message.message_ids import Signer
from gatewayd.message.rtf import rtf_bytes, rtf_to_text
from gatewayd.message.tnef import tnef
from gatewayd.message.uuencode import embedded
from gatewayd.outgoing.provenance import provenance
from tests.unit.linear import assert_linear
from tests.unit.mime_made import many, message, one, read
from tests.unit.tnef_made import attribute, file, props, stream

if TYPE_CHECKING:
    from pathlib import Path

PDF = "Content-Disposition: attachment; filename=voucher.pdf"
INNER = message(many("mixed", one("text/plain; charset=utf-8", "Bitte bestätigen: B-756"), one("application/pdf", "%PDF", PDF)))
SIGNED = ("signed", "S/MIME signed data, opened; its signature is not checked")


def names(mail: Mail) -> tuple[list[str], list[str]]:
    return [one.name for one in mail.attachments], [one.name for one in mail.inline]


def had(mail: Mail) -> list[bytes]:
    return [b"".join(mail.attachment(number)) for number in range(len(mail.attachments) + len(mail.inline))]


# --- CMS by hand ------------------------------------------------------------------------------------------------------


def tlv(tag: int, *content: bytes, open_ended: bool = False) -> bytes:
    data = b"".join(content)
    if open_ended:
        return bytes((tag, 0x80)) + data + b"\0\0"
    size = len(data)
    length = (
        bytes((size,))
        if size < 128
        else bytes((0x80 + (size.bit_length() + 7) // 8,)) + size.to_bytes((size.bit_length() + 7) // 8)
    )
    return bytes((tag,)) + length + data


def oid(text: str) -> bytes:
    return tlv(6, bytes.fromhex(text))


def cms(content: bytes, kind: str = "signed", *, open_ended: bool = False, piece: int = 0) -> bytes:
    numbers = {"signed": "2a864886f70d010702", "compressed": "2a864886f70d0109100109", "encrypted": "2a864886f70d010703"}
    octets = tlv(4, content)
    if piece:
        octets = tlv(0x24, *(tlv(4, content[at : at + piece]) for at in range(0, len(content), piece)), open_ended=open_ended)
    held = tlv(0x30, oid("2a864886f70d010701"), tlv(0xA0, octets, open_ended=open_ended), open_ended=open_ended)
    algorithm = tlv(
        0x31 if kind == "signed" else 0x30, tlv(0x30, oid("608648016503040201"), open_ended=open_ended), open_ended=open_ended
    )
    body = tlv(0x30, tlv(2, b"\1"), algorithm, held, tlv(0x31, b""), open_ended=open_ended)
    return tlv(0x30, oid(numbers[kind]), tlv(0xA0, body, open_ended=open_ended), open_ended=open_ended)


def smime(data: bytes, kind: str = "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m") -> Mail:
    return read(one(kind, base64.encodebytes(data), "Content-Transfer-Encoding: base64", "Content-Disposition: attachment"))


@pytest.mark.parametrize("open_ended", [False, True])
@pytest.mark.parametrize("piece", [0, 1, 7, 1000])
@pytest.mark.parametrize("size", [0, 1, 127, 128, 70_000])
def test_signed_content_is_found_however_it_is_cut(size: int, piece: int, open_ended: bool) -> None:  # noqa: FBT001
    content = (b"x%d" % size) * (size // 2) + b"y" * (size % 2)
    piece = piece if size < 1000 or piece != 1 else 100
    assert content_of(cms(content, open_ended=open_ended, piece=piece), 1 << 20) == ("signed", content)


@pytest.mark.parametrize(
    "kind",
    [
        "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m",
        "application/x-pkcs7-mime",
        "application/octet-stream; name=smime.p7m",
        "application/pkcs7-mime; name=anything.bin",
    ],
)
def test_an_opaque_signature_is_opened_and_named(kind: str) -> None:
    mail = smime(cms(INNER, open_ended=True, piece=50), kind)
    wrapping = mail.inline[0].name
    assert (mail.text, names(mail)[0]) == ("Bitte bestätigen: B-756", ["voucher.pdf"])
    assert (mail.subject, mail.faults) == ("B-756", ())
    assert mail.notes == (f"{kind.partition('name=')[2] or 'it'} is {SIGNED[1]}",)
    assert had(mail) == [b"%PDF", cms(INNER, open_ended=True, piece=50)]
    assert wrapping in {"smime.p7m", "anything.bin", "attachment-2.p7m"}


def test_signed_within_signed_and_compressed_is_opened_to_a_depth() -> None:
    def wrapped(content: bytes, kind: str = "signed") -> bytes:
        head = b"Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        return head + base64.encodebytes(cms(content, kind))

    twice = smime(cms(wrapped(INNER)))
    assert (twice.text, names(twice)) == ("Bitte bestätigen: B-756", (["voucher.pdf"], ["smime.p7m", "smime.p7m"]))
    assert had(twice)[0] == b"%PDF"
    compressed = smime(cms(zlib.compress(INNER), "compressed"))
    assert (compressed.text, compressed.notes) == ("Bitte bestätigen: B-756", ("smime.p7m is S/MIME compressed data, opened",))
    deep = wrapped(INNER)
    for _ in range(6):
        deep = wrapped(deep)
    mail = parse(BytesSource(deep))
    assert mail.text == ""
    assert mail.faults == ("its containers hold more than 16777216 bytes, or lie deeper than 4",)


def test_what_needs_a_key_or_is_no_message_stays_closed() -> None:
    encrypted = smime(cms(b"", "encrypted"))
    assert (encrypted.text, names(encrypted)) == ("", (["smime.p7m"], []))
    assert encrypted.notes == ("smime.p7m is S/MIME encrypted data, which stays closed",)
    pgp = read(many("encrypted", one("application/pgp-encrypted", "Version: 1"), one("application/octet-stream; name=e.asc", "x")))
    assert (names(pgp), pgp.notes) == ((["e.asc"], ["attachment-2.asc"]), ("it has PGP/MIME encrypted data, which stays closed",))
    document = smime(cms(b"<invoice/>"), "application/pkcs7-mime; name=invoice.xml.p7m")
    assert (document.text, names(document), document.notes) == ("", (["invoice.xml.p7m"], []), ())
    bare = smime(cms(b"Bitte: B-756\n"))
    assert bare.text == "Bitte: B-756\n"
    detached = smime(
        tlv(0x30, oid("2a864886f70d010702"), tlv(0xA0, tlv(0x30, tlv(2, b"\1"), tlv(0x31), tlv(0x30, oid("2a864886f70d010701")))))
    )
    assert (names(detached), detached.notes) == ((["smime.p7m"], []), ())


def test_a_bomb_is_not_inflated() -> None:
    bomb = zlib.compress(b"Content-Type: text/plain\r\n\r\n" + b"\0" * (64 << 20), 9)
    mail = smime(cms(bomb, "compressed"))
    assert (mail.text, names(mail)) == ("", (["smime.p7m"], []))


def test_P8_containers_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_HELD", 10_000)
    part = one(
        "application/pkcs7-mime; name=smime.p7m",
        base64.encodebytes(cms(b"Content-Type: text/plain\r\n\r\n" + b"x" * 2000)),
        "Content-Transfer-Encoding: base64",
    )
    mail = read(many("mixed", *[part] * 6))
    assert mail.text.count("x" * 2000) == 2
    assert mail.faults == ("its containers hold more than 10000 bytes, or lie deeper than 4",)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signer")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=Anna"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "inner").write_bytes(INNER.partition(b"Subject: B-756\r\n")[2])
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "smime -sign -nodetach",
        "cms -sign -nodetach -stream -outform SMIME",
        "cms -sign -nodetach -keyid -noattr",
        "smime -sign",
    ],
)
def test_what_openssl_signs_is_read(signer: Path, command: str) -> None:
    verb, *options = command.split()
    raw = subprocess.run(
        ["openssl", verb, *options, "-signer", "cert.pem", "-inkey", "key.pem", "-in", "inner"],
        cwd=signer,
        check=True,
        capture_output=True,
    ).stdout
    mail = parse(BytesSource(raw))
    assert (mail.text, names(mail)[0], had(mail)[0]) == ("Bitte bestätigen: B-756", ["voucher.pdf"], b"%PDF")
    assert bool(mail.notes) == (b"multipart/signed" not in raw)


# --- TNEF -------------------------------------------------------------------------------------------------------------

LONG = (0x3707, 0x1F, "Übersicht 🧳.pdf\0".encode("utf-16-le"))


def winmail(data: bytes, kind: str = "application/ms-tnef; name=winmail.dat", text: str | None = "see file") -> Mail:
    part = one(kind, base64.encodebytes(data), "Content-Transfer-Encoding: base64")
    return read(part if text is None else many("mixed", one("text/plain", text), part))


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


RTF = rb"{\rtf1\ansi\ansicpg1250{\fonttbl{\f0 Arial;}}\f0 P\'f8\'edjezd: \u381?i\u382 ?kov\par B-756}"


def packed(rtf: bytes) -> bytes:
    """Compressed RTF without a single reference."""
    body = b"".join(b"\0" + rtf[at : at + 8] for at in range(0, len(rtf), 8))
    return len(body).to_bytes(4, "little") + len(rtf).to_bytes(4, "little") + b"LZFu" + b"\0" * 4 + body


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


def test_rtf_is_unpacked_as_its_specification_shows() -> None:
    first = "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    second = "1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0"
    assert rtf_bytes(bytes.fromhex(first), 1000) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert rtf_bytes(bytes.fromhex(second), 1000) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
    assert rtf_bytes(bytes.fromhex(second), 9) == b"{\\rtf1 WX"
    assert rtf_bytes(packed(RTF), 1000) == RTF
    assert rtf_bytes(b"\0" * 8 + b"MELA" + b"\0" * 4 + b"x", 1000) == b""


@pytest.mark.parametrize(
    ("rtf", "text"),
    [
        (RTF, "Příjezd: Žižkov\nB-756"),
        (rb"{\rtf1 a\tab b\line c\~d\{e\}\\{\*\generator x}{\pict 00ff}\emdash f}", "a\tb\nc\u00a0d{e}\\\u2014f"),
        (rb"{\rtf1\fromhtml1{\*\htmltag64 <p>}\htmlrtf \par hidden\htmlrtf0 shown\htmlrtf {\htmlrtf0 x}", "shownx"),
        (rb"{\rtf1\uc2\u228ab\u-10179??\u-8704??{\uc0\u228 x}}", "ä😀äx"),
        (b"{\\rtf1 a\r\nb}", "ab"),
        (b"}}}a\\", "a"),
        (b"", ""),
    ],
)
def test_rtf_is_read_for_its_words(rtf: bytes, text: str) -> None:
    assert rtf_to_text(rtf) == text


# --- uuencode ---------------------------------------------------------------------------------------------------------


def uu(data: bytes, name: str = "plan.txt", ends: str = "\r\n") -> str:
    rows = [binascii.b2a_uu(data[at : at + 45], backtick=True).decode().rstrip("\n") for at in range(0, len(data), 45)]
    return ends.join([f"begin 644 {name}", *rows, "`", "end", ""])


@pytest.mark.parametrize("ends", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("encoding", ["7bit", "quoted-printable", "base64"])
@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=3))
@settings(max_examples=20)
def test_files_in_a_text_come_out_of_it(ends: str, encoding: str, files: list[bytes]) -> None:
    text = f"Plan attached: B-756.{ends}" + "".join(f"{uu(data, f'{n}.pdf', ends)}between{n}{ends}" for n, data in enumerate(files))
    body = text.encode()
    if encoding == "base64":
        body = base64.encodebytes(body)
    elif encoding == "quoted-printable":
        body = body.replace(b"=", b"=3D")
    mail = read(one("text/plain", body, f"Content-Transfer-Encoding: {encoding}"))
    assert had(mail) == files
    assert [(one.name, one.type, one.size) for one in mail.attachments] == [
        (f"{n}.pdf", "application/pdf", len(data)) for n, data in enumerate(files)
    ]
    assert mail.text.split() == ["Plan", "attached:", "B-756.", *(f"between{n}" for n in range(len(files)))]


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("Plan attached.\n\nbegin 644 plan.txt\n65')A=F5L('!L86X@9F]R($(M-S4V\"@  \n`\nend\n", ["plan.txt"]),
        (uu(b"x" * 100, "a b.txt").replace("`\r\n", "\r\n"), ["a b.txt"]),
        (uu(b"x\0\0" * 30, "z.bin").replace("`", " "), ["z.bin"]),
        ("begin-base64 644 a.bin\naGVsbG8=\n====\n", ["a.bin"]),
        ("see\r\nbegin 0755 =?utf-8?q?=C3=A4?=.sh\r\n#86)C\r\n`\r\nend\r\n", ["ä.sh"]),
        ("begin 644 empty.txt\n`\nend\n", ["empty.txt"]),
        ("we begin 644 plan.txt\n#86)C\n`\nend\n", []),
        ("begin 2026 with a plan\n#86)C\n`\nend\n", ["with a plan"]),
        ("begin the trip on Monday\nend\n", []),
        ("begin 644 plan.txt\nDear Anna,\nend\n", []),
        ("begin 644 plan.txt\n#86)C\n", []),
        ("begin 644 plan.txt\nend\n", []),
    ],
)
def test_a_file_in_a_text_begins_and_ends_as_one(text: str, files: list[str]) -> None:
    mail = read(one("text/plain", text))
    assert names(mail) == (files, [])
    if not files:
        assert mail.text == text.replace("\r\n", "\n")


def test_a_file_is_found_in_a_part_of_a_tree_and_in_one_version() -> None:
    mail = read(
        many(
            "mixed",
            many("alternative", one("text/plain", f"text\r\n{uu(b'abc')}"), one("text/html", "<p>x")),
            one("application/pdf", "x"),
        )
    )
    assert (mail.text.strip(), names(mail)) == ("text", (["plan.txt", "attachment-2.pdf"], []))


# --- any bytes, in time -----------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(
    st.binary(max_size=300),
    st.sampled_from([cms(INNER, open_ended=True, piece=9), stream(file(b"a", b"b", LONG)), packed(RTF)]),
    st.integers(0, 400),
)
def test_any_bytes_and_any_damage_are_borne(noise: bytes, honest: bytes, at: int) -> None:
    for data in (noise, honest[:at] + noise, honest[:at] + noise + honest[at:], honest[:at] + noise + honest[at + len(noise) :]):
        found = content_of(data, 1000)
        assert found is None or len(found[1]) <= 1000
        tnef(data)
        rtf_to_text(rtf_bytes(data, 10_000))
        embedded(data)
        for mail in (smime(data), winmail(data, text=None)):
            assert [len(one) for one in had(mail)] == [one.size for one in (*mail.attachments, *mail.inline)]
            mail.text.encode()


@pytest.mark.parametrize(
    "unit", [b"\x24\x80", b"\x04\x00", b"\x04\x01x", b"\x30\x80", b"\x24\x02\x04\x00", b"\x00\x00", b"\x04\x84\xff\xff\xff\xff"]
)
def test_hostile_cms_takes_linear_time(unit: bytes) -> None:
    head = cms(b"")[:4]
    assert_linear(lambda data: content_of(data, 1 << 20), unit)
    opened = bytes.fromhex("308006092a864886f70d010702a0803080020101310030800609") + bytes.fromhex("2a864886f70d010701a0802480")
    assert_linear(lambda data: content_of(opened + data, 1 << 20), unit)
    assert head


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


@pytest.mark.parametrize("kind", ["application/ms-tnef", "application/pkcs7-mime", "application/octet-stream", "message/rfc822"])
@pytest.mark.parametrize("nested", [b"x", cms(b"Content-Type: application/pdf\r\n\r\nx")])
def test_P8_what_lies_in_a_container_is_read_without_opening_it_again_for_each_part(kind: str, nested: bytes) -> None:
    """Each opening of a megabyte takes ten milliseconds."""
    parts = [one(kind, base64.encodebytes(nested), "Content-Transfer-Encoding: base64")] * 250
    raw = message(many("mixed", *parts, one("application/pdf", "x" * (1 << 20))))
    began = time.process_time()
    mail = smime(cms(raw))
    assert mail.text == ""
    provenance(mail, Signer(b"k" * 32))
    assert len(mail.attachments) == 251
    assert time.process_time() - began < 1.5


@pytest.mark.parametrize("unit", [b"{", b"}", b"\\", b"\\'", b"\\'41", b"\\u1 ", b"{\\*", b"a", b"\\par", b"{a}", b"\\uc9\\u1"])
def test_hostile_rtf_takes_linear_time(unit: bytes) -> None:
    assert_linear(rtf_to_text, unit)
    assert_linear(lambda data: rtf_bytes((1 << 24).to_bytes(4, "little") * 2 + b"LZFu" + b"\0" * 4 + data, 1 << 20), unit)


@pytest.mark.parametrize(
    "unit",
    [b"begin", b"\nbegin ", b"\nbegin 644 a\n", b"\nbegin 644 a\n#86)C", b"#86)C\n", b"\nbegin-base64 644 a\nAAAA", b"`\n", b"\n"],
)
def test_hostile_uuencode_takes_linear_time(unit: bytes) -> None:
    assert_linear(embedded, unit)
    assert_linear(lambda data: embedded(b"begin 644 a\n" + data), unit)
