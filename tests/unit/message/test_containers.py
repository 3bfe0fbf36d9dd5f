"""Containers that need no key: what is in them is read as mail, bounded together, and they are named for what they are."""

from __future__ import annotations

import base64
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
from tests.unit.containers_made import LONG, RTF, cms, had, names, oid, packed, tlv, winmail
from tests.unit.mime_made import many, message, one, read
from tests.unit.tnef_made import file, stream

if TYPE_CHECKING:
    from pathlib import Path


PDF = "Content-Disposition: attachment; filename=voucher.pdf"

INNER = message(many("mixed", one("text/plain; charset=utf-8", "Bitte bestätigen: B-756"), one("application/pdf", "%PDF", PDF)))

SIGNED = ("signed", "S/MIME signed data, opened; its signature is not checked")


def smime(data: bytes, kind: str = "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m") -> Mail:
    return read(one(kind, base64.encodebytes(data), "Content-Transfer-Encoding: base64", "Content-Disposition: attachment"))


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
