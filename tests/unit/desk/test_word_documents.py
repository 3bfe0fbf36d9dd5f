"""Word documents are known by what is in a file: plain, packed, hidden behind other bytes, in archives and in mails."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import itertools
import lzma
import tarfile
import time
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.desk.composing.writing import AttachedFile
from gatewayd.desk.word_documents import is_word

_TYPES = (
    b'<Types><Override PartName="/parts/main.xml" '
    b'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)


def archive(*members: str | tuple[str, bytes], packed: bool = True) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as package:
        for member in members:
            name, data = member if isinstance(member, tuple) else (member, b"x")
            package.writestr(name, data)
    return file.getvalue()


def tarred(data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        member = tarfile.TarInfo("offer.bin")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return file.getvalue()


def mailed(data: bytes) -> bytes:
    encoded = base64.encodebytes(data)
    return b"Subject: x\nContent-Type: application/x; name=x\nContent-Transfer-Encoding: base64\n\n" + encoded


def compound(stream: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + stream.encode("utf-16-le") + bytes(600)


DOCX = archive("[Content_Types].xml", "_rels/.rels", "word/document.xml")
_FLAT = b'<?xml version="1.0"?><?mso-application progid="Word.Document"?><pkg:package>'


@pytest.mark.parametrize("packed", [True, False])
def test_a_document_is_known_however_its_parts_are_packed(packed: bool) -> None:  # noqa: FBT001  a table's column
    assert word(archive("[Content_Types].xml", "word/document.xml", packed=packed))
    assert word(archive(("[Content_Types].xml", _TYPES), "parts/main.xml", packed=packed))
    assert word(archive(("inner.bin", DOCX), packed=packed))
    assert word(archive(("inner.bin", archive(("inner.bin", DOCX))), packed=packed))


@pytest.mark.parametrize(
    "data",
    [
        DOCX,
        b"junk before" + DOCX,
        DOCX + bytes(70_000),
        DOCX[:-10],
        bytes(70_000) + DOCX + bytes(70_000),
        archive("[content_types].XML", "WORD/document.xml"),
        archive("[Content_Types].xml", "word\\\\document.xml"),
        archive("letters/offer.docx"),
        archive("letters/offer.DOC"),
        tarred(DOCX),
        gzip.compress(DOCX, mtime=0),
        gzip.compress(tarred(DOCX), mtime=0),
        bz2.compress(DOCX),
        lzma.compress(DOCX),
        mailed(DOCX),
        archive(("mail.eml", mailed(DOCX))),
        compound("WordDocument"),
        compound("EncryptedPackage"),
        _FLAT,
        _FLAT.decode().encode("utf-16"),
        b'<w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml">',
    ],
    ids=itertools.count(),
)
def test_a_document_is_known_wherever_it_hides(data: bytes) -> None:
    assert word(data)


@pytest.mark.parametrize("name", ["offer.docx", "offer.DOCX ", "offer.doc", "offer.docm", "offer.dotx"])
def test_a_document_is_known_by_its_name(name: str) -> None:
    assert is_word(AttachedFile(name=name, type="application/pdf", data=b"broken"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        archive("[Content_Types].xml", "xl/workbook.xml"),
        archive("word/notes.txt"),
        archive("password.txt", "[Content_Types].xml"),
        archive(("plan.txt", b"word/document.xml [Content_Types].xml")),
        b"%PDF-1.7 [Content_Types].xml word/",
        compound("Workbook"),
        b"Subject: a mail about word documents\n\nSee word/document.xml",
        gzip.compress(b"hello", mtime=0),
        b"\x1f\x8b broken",
        b"PK\x03\x04",
    ],
    ids=itertools.count(),
)
def test_what_is_no_document_goes_out(data: bytes) -> None:
    assert not word(data)


def test_P8_what_can_not_be_looked_through_counts_as_a_document() -> None:
    began = time.process_time()
    assert word(archive(("bomb", bytes(100 << 20))))
    assert word(b"PK\x03\x04" * 1_000_000)
    nested = b"hello"
    for _ in range(6):
        nested = archive(("inner.zip", nested))
    assert word(nested)
    assert time.process_time() - began < 20


@given(st.binary(max_size=300), st.integers(0, len(DOCX)), st.integers(0, 255))
def test_P4_no_broken_file_stops_the_check(junk: bytes, at: int, byte: int) -> None:
    for data in (junk, DOCX[:at] + bytes([byte]) + DOCX[at + 1 :], DOCX[:at] + junk + DOCX[at:], b"PK\x05\x06" + junk):
        word(data)


def word(data: bytes) -> bool:
    return is_word(AttachedFile(name="offer.pdf", type="application/pdf", data=data))
