"""Mails with containers for tests: CMS, TNEF and compressed RTF, and what is read of them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from tests.unit.mime_made import many, one, read

if TYPE_CHECKING:
    from gatewayd.message.mail import Mail


def names(mail: Mail) -> tuple[list[str], list[str]]:
    return [one.name for one in mail.attachments], [one.name for one in mail.inline]


def had(mail: Mail) -> list[bytes]:
    return [b"".join(mail.attachment(number)) for number in range(len(mail.attachments) + len(mail.inline))]


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


LONG = (0x3707, 0x1F, "Übersicht 🧳.pdf\0".encode("utf-16-le"))


def winmail(data: bytes, kind: str = "application/ms-tnef; name=winmail.dat", text: str | None = "see file") -> Mail:
    part = one(kind, base64.encodebytes(data), "Content-Transfer-Encoding: base64")
    return read(part if text is None else many("mixed", one("text/plain", text), part))


RTF = rb"{\rtf1\ansi\ansicpg1250{\fonttbl{\f0 Arial;}}\f0 P\'f8\'edjezd: \u381?i\u382 ?kov\par B-756}"


def packed(rtf: bytes) -> bytes:
    """Compressed RTF without a single reference."""
    body = b"".join(b"\0" + rtf[at : at + 8] for at in range(0, len(rtf), 8))
    return len(body).to_bytes(4, "little") + len(rtf).to_bytes(4, "little") + b"LZFu" + b"\0" * 4 + body
