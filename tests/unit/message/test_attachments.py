"""Attachments: which parts are files, the names that are shown for them, and their exact sizes."""

from __future__ import annotations

from email import encoders, message_from_bytes
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.message.mail import BytesSource, parse
from tests.unit.message.views import built, check, part, read, view


@given(
    st.lists(
        st.tuples(st.binary(max_size=2000), st.text(max_size=40), st.sampled_from(["base64", "quoted-printable", "7bit"])),
        max_size=5,
    ),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_attachments_come_back_as_the_standard_library_s(files: list[tuple[bytes, str, str]], ends: bytes) -> None:
    message = MIMEMultipart()
    for data, name, encoding in files:
        part = MIMEBase("application", "octet-stream")
        part.set_payload(data)
        if encoding == "base64":
            encoders.encode_base64(part)
        elif encoding == "quoted-printable":
            encoders.encode_quopri(part)
        else:
            part.set_payload(data.hex())
            part["Content-Transfer-Encoding"] = "7bit"
        part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", name))
        message.attach(part)
    raw = message.as_bytes().replace(b"\n", ends)
    mail = view(raw)
    check(mail, raw)
    if files:
        theirs = [part.get_payload(decode=True) for part in list(message_from_bytes(raw).walk())[1:]]
        assert [b"".join(mail.attachment(number)) for number in range(len(mail.attachments))] == theirs
        ours = [(data, encoding) for data, _, encoding in files]
        for (data, encoding), attachment, decoded in zip(ours, mail.attachments, theirs, strict=True):
            if encoding == "base64":
                assert decoded == data
                assert attachment.size == len(data)


def test_there_is_no_attachment_of_a_number_that_is_not_listed() -> None:
    mail = parse(BytesSource(built().as_bytes()))
    for number in (1, -1):
        with pytest.raises(IndexError):
            mail.attachment(number)


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ("Content-Disposition: attachment; filename=a.txt", "a.txt"),
        ("Content-Type: text/plain; name=a.txt\r\nContent-Disposition: attachment", "a.txt"),
        ("Content-Disposition: attachment", "attachment-1.txt"),
        ("Content-Type: application/pdf", "attachment-1.pdf"),
        ("Content-Type: application/x-unheard-of", "attachment-1.bin"),
        ("Content-Type: image/png\r\nContent-ID: <logo>", "attachment-1.png"),
        ("Content-Type: message/rfc822", "message.eml"),
        (
            "Content-Type: application/pdf; name=type.pdf\r\nContent-Disposition: attachment; filename=disposition.pdf",
            "disposition.pdf",
        ),
        ('Content-Disposition: attachment; filename="../../etc/passwd"', ".._.._etc_passwd"),
        (r'Content-Disposition: attachment; filename="C:\\dir\\x.exe"', "C:_dir_x.exe"),
        ('Content-Disposition: attachment; filename=".."', "attachment-1.txt"),
        ('Content-Disposition: attachment; filename=""', "attachment-1.txt"),
        ('Content-Disposition: attachment; filename="a\0b.pdf"', "a\ufffdb.pdf"),
        ("Content-Disposition: attachment; filename*=utf-8''%E2%80%AEfdp.exe", "fdp.exe"),
        ("Content-Disposition: attachment; filename*=utf-8''%E2%80%8Ba.exe", "_a.exe"),
        (f"Content-Disposition: attachment; filename={'x' * 300}.pdf", "x" * 251 + ".pdf"),
        (f"Content-Disposition: attachment; filename={'x' * 300}", "x" * 255),
        (f"Content-Disposition: attachment; filename=x.{'y' * 300}", "x." + "y" * 253),
    ],
)
def test_attachments_have_a_name_that_can_be_shown(lines: str, name: str) -> None:
    mail = part(lines)
    assert [one.name for one in mail.attachments] == [name]
    assert mail.text == "text"


def test_text_without_a_name_is_no_attachment() -> None:
    assert part("Content-Type: text/plain").text == "text\nx"
    assert part("Content-Type: text/html").attachments == ()
    root = view(b"Content-Type: text/plain; name=a.txt\r\n\r\nx")
    assert (root.attachments, root.text) == ((), "x")


@pytest.mark.parametrize(
    ("body", "data"),
    [
        ("NzU2", b"756"),
        ("NzU2IA", b"756 "),
        ("NzU2IA=", b"756 "),
        ("NzU2IA===", b"756 "),
        ("NzU2I", b"756"),
        ("NzU2=IA==", b"756 "),
        ("=NzU2", b"756"),
        ("N=zU2", b"756"),
        ("Nz\rU2\r", b"756"),
        ("N z U 2", b"756"),
        ("NzU2-!NzU2", b"756756"),
        ("NzU2IA==\r\n-- \r\nfooter of a list", b"756 "),
        ("====", b""),
        ("", b""),
    ],
)
def test_base64_is_read_whatever_its_padding_and_its_size_is_exact(body: str, data: bytes) -> None:
    mail = read(f"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}")
    assert (b"".join(mail.attachment(0)), mail.attachments[0].size) == (data, len(data))


ENCODINGS = st.sampled_from(["base64", "quoted-printable", "x-uuencode", "7bit", "8bit", "binary", "x-odd"])


@given(st.text(alphabet="AZaz09+/=\r\n \t-_!`#M~", max_size=300), ENCODINGS)
def test_the_size_of_any_attachment_is_exact(body: str, encoding: str) -> None:
    mail = read(f"Content-Type: application/pdf\r\nContent-Transfer-Encoding: {encoding}\r\n\r\nbegin 644 x\r\n{body}")
    assert mail.attachments[0].size == len(b"".join(mail.attachment(0)))


def test_the_size_of_a_large_attachment_is_exact() -> None:
    line = b"QUJD" * 19 + b"\r\n"
    for body in (line * 30_000, line * 15_000 + b"=" + line * 15_000, line * 30_000 + b"QQ==\r\n", line * 20_000 + b"QQ==" + line):
        mail = read(b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body)
        assert mail.attachments[0].size == sum(map(len, mail.attachment(0)))
