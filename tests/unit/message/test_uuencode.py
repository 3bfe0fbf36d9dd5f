"""Files within the text of a mail: where each begins and ends, and that its bytes come out of it."""

from __future__ import annotations

import base64
import binascii

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd.message.uuencode import embedded
from tests.unit.containers_made import had, names
from tests.unit.linear import assert_linear
from tests.unit.mime_made import many, one, read


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


@pytest.mark.parametrize(
    "unit",
    [b"begin", b"\nbegin ", b"\nbegin 644 a\n", b"\nbegin 644 a\n#86)C", b"#86)C\n", b"\nbegin-base64 644 a\nAAAA", b"`\n", b"\n"],
)
def test_hostile_uuencode_takes_linear_time(unit: bytes) -> None:
    assert_linear(embedded, unit)
    assert_linear(lambda data: embedded(b"begin 644 a\n" + data), unit)
