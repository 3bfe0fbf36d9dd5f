"""Heads and line ends as they come: byte order marks, missing empty lines, CR alone, ids without brackets, a boundary used twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.message.header_parsing import ids, split_head
from gatewayd.testing.messages import booking_messages
from tests.unit.linear import assert_linear
from tests.unit.message.views import read
from tests.unit.mime_made import many, message, one

if TYPE_CHECKING:
    from gatewayd.message.mail import Mail

FROM = "From: Anna <a@x.example>\r\nSubject: B-756\r\nMessage-ID: <1@x.example>\r\n"


def is_whole(mail: Mail, text: str = "body\n") -> None:
    assert (str(mail.sender), mail.subject, mail.message_id) == ("Anna <a@x.example>", "B-756", "<1@x.example>")
    assert (mail.text, mail.faults) == (text, ())


# --- 13: heads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before",
    [
        "\xef\xbb\xbf",
        "From anna@x.example Mon Nov  2 10:00:00 2026\r\n",
        ">From anna@x.example Mon Nov  2 10:00:00 2026\r\n",
        "From - Mon Nov 02 10:00:00 2026\r\nX-Mozilla-Status: 0001\r\n",
        "\xef\xbb\xbfFrom anna@x.example Mon Nov  2 10:00:00 2026\r\n",
        "a line of junk\r\n",
        " a folded one\r\n",
    ],
)
def test_what_stands_before_the_first_field_hides_none(before: str) -> None:
    is_whole(read(f"{before}{FROM}\r\nbody\r\n"))


TEXT = "Content-Type: text/html\r\n\r\n<p>body"


@pytest.mark.parametrize(
    "raw",
    [
        f"{FROM}Content-Type: multipart/mixed; boundary=b\r\n--b\r\n{TEXT}\r\n--b--\r\n",
        f'{FROM}Content-Type: multipart/mixed;\r\n boundary="b c"\r\n--b c\r\n{TEXT}\r\n--b c--\r\n',
        f"Content-Type: multipart/mixed; boundary=b\r\n{FROM}--b\r\n{TEXT}\r\n--b--\r\n",
        f"{FROM}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/alternative; boundary=c\r\n--c\r\n{TEXT}\r\n--c--\r\n--b--",
        f"{FROM}Content-Type: multipart/mixed; boundary=b\r\n--b\r\nContent-Type: text/html\r\n<p>body\r\n--b--\r\n",
        f"{FROM}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n<p>body\r\n--b--\r\n".replace("<p>", ""),
        f"{FROM}Content-Type: text/html\r\n<p>body\r\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("ends", ["\r\n", "\n"])
def test_a_missing_empty_line_loses_no_text(raw: str, ends: str) -> None:
    mail = read(raw.replace("\r\n", ends))
    assert (str(mail.sender), mail.subject, mail.text, mail.faults) == ("Anna <a@x.example>", "B-756", "body", ())


def test_a_field_with_a_byte_order_mark_is_read_behind_those_of_servers_but_hides_none() -> None:
    is_whole(read(f"Received: x\r\n\xef\xbb\xbf{FROM}\r\nbody\r\n"))
    is_whole(read(f"Received: x\r\n\xef\xbb\xbfFrom: boss@acme.example\r\n{FROM}\r\nbody\r\n"))
    is_whole(read(f"{FROM}X: \xef\xbb\xbfTo: x\r\n\r\nbody\r\n"))


def test_a_broken_line_in_a_head_hides_no_field_behind_it() -> None:
    mail = read(f"Received: x\r\nbroken line\r\n{FROM}: odd\r\nA B: odd\r\n\r\nbody\r\n")
    is_whole(mail)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("parent-0@x.example parent-1@x.example", ["<parent-0@x.example>", "<parent-1@x.example>"]),
        ("parent-0@x.example,parent-1@x.example", ["<parent-0@x.example>", "<parent-1@x.example>"]),
        ("<a@x> <b@x>", ["<a@x>", "<b@x>"]),
        ("<a@x><b@x>,<c@x>\r\n\t<d@x>", ["<a@x>", "<b@x>", "<c@x>", "<d@x>"]),
        ("<AM0PR04MB4321\r\n F8A1@AM0PR04.example>", ["<AM0PR04MB4321F8A1@AM0PR04.example>"]),
        ("<a@x", ["<a@x>"]),
        ("a@x>", ["<a@x>"]),
        ("<<a@x>>", ["<a@x>"]),
        ("<a@x> (was <b@x>)", ["<a@x>"]),
        ("(<b@x> (c)) <a@x>", ["<a@x>"]),
        ("<a(1)@x> (c) <b@x>", ["<a(1)@x>", "<b@x>"]),
        ("<a@x> (unclosed", ["<a@x>"]),
        ('Your message of "Mon, 2 Nov 2026" <r@x>', ["<r@x>"]),
        ("Anna <a@x> wrote of <nothing at all>", ["<a@x>"]),
        ("message from anna@x.example of Monday", []),
        ("Message of Anna <Anna Berg>", []),
        ("=?utf-8?q?<a@x>?=", ["<a@x>"]),
        ("=?utf-8?q?=3Ca=40x=3E?= =?utf-8?q?_=3Cb=40x=3E?=", ["<a@x>", "<b@x>"]),
        ("<[0123456789]@x>", ["<[0123456789]@x>"]),
        ("<no-at>", ["<no-at>"]),
        ("", []),
    ],
)
def test_ids_are_known_with_and_without_their_brackets(value: str, found: list[str]) -> None:
    assert ids(value) == found
    mail = read(f"Message-ID: {value}\r\nReferences: {value}\r\n\r\n")
    assert mail.references == tuple(found)
    assert mail.message_id == (found[0] if found else "".join(value.split()))


@pytest.mark.parametrize("unit", ["<", "<a", "<a ", "a@", "a@b ", "(", "(<", "<(", "<a(", "<a@b>(", "a", " ", "<a@b>"])
def test_hostile_ids_take_linear_time(unit: str) -> None:
    assert_linear(ids, unit)


# --- 10: line ends ----------------------------------------------------------------------------------------------------


TREE = many("mixed", one("text/plain", "first\r\nline"), many("alternative", one("text/html", "<p>second")), one("application/pdf", "aGVsbG8=", "Content-Transfer-Encoding: base64"))  # fmt: skip


@pytest.mark.parametrize("ends", [b"\r\n", b"\n", b"\r", b"\r\r\n"])
@pytest.mark.parametrize("behind", [b"", b"\r\n", b"\n"])
def test_a_mail_is_read_whatever_its_lines_end_with(ends: bytes, behind: bytes) -> None:
    mail = read(message(TREE, ends) + behind)
    assert (str(mail.sender), mail.subject, mail.faults) == ("Anna Berg <anna@x.example>", "B-756", ())
    # A line end of two CRs and an LF is one and a half to a reader.
    assert mail.text.replace("\n\n", "\n") == "first\nline\nsecond"
    assert [(one.type, one.size) for one in mail.attachments] == [("application/pdf", 5)]
    assert b"".join(mail.attachment(0)) == b"hello"


def test_all_shared_messages_are_read_with_a_cr_alone_and_a_crlf_at_the_end() -> None:
    for raw in booking_messages(80, 3):
        expected = read(raw)
        mail = read(raw.replace(b"\r\n", b"\r") + b"\r\n")
        assert (mail.headers, mail.from_, mail.sent_at) == (expected.headers, expected.from_, expected.sent_at)
        assert mail.text.strip() == expected.text.strip()
        assert [one.size for one in mail.attachments] == [one.size for one in expected.attachments]


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"A: b\nC: d\r\n\nbody", [("a", "b"), ("c", "d")]),
        (b"A: b\r\nC: d\n\r\nbody", [("a", "b"), ("c", "d")]),
        (b"A: b\r\nC: d\n\nbody", [("a", "b"), ("c", "d")]),
        (b"A: b\n\tc\r\n d\r\n\r\nbody", [("a", "b c d")]),
        (b"A: b\rC: hidden\r\nD: e\r\n\r\nbody", [("a", "b\rC: hidden"), ("d", "e")]),
        (b"Z: y\r\nA: b\rC: hidden\r\n\r\nbody", [("z", "y"), ("a", "b\rC: hidden")]),
        (b"A: b\r\n\tc\rD: hidden\r\n\r\nbody", [("a", "b c\rD: hidden")]),
    ],
)
def test_mixed_line_ends_end_lines_and_a_cr_alone_hides_no_field_in_crlf_mail(raw: bytes, fields: list[tuple[str, str]]) -> None:
    found, body = split_head(raw, 0, len(raw), 1 << 20)
    assert (found, raw[body:]) == (fields, b"body")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("one=\rtwo\rB-756", "onetwo\nB-756"),
        ("one=\r\ntwo=\nthree", "onetwothree"),
        ("AB123= \nCD", "AB123CD"),
        ("AB123=\t \r\nCD=  ", "AB123CD"),
        ("AB123= \rCD", "AB123CD"),
        ("=C3=A4=\r=C3=A4", "ää"),
        ("a = b =3D c", "a = b = c"),
        ("1==\r\n2", "1=\n2"),
    ],
)
def test_soft_line_breaks_are_read_whatever_ends_the_line(body: str, text: str) -> None:
    mail = read(f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{body}")
    assert mail.text == text


# --- 9: a boundary used twice -----------------------------------------------------------------------------------------


BEHIND = "it has parts behind the end of its parts"


def part(kind: str, body: str) -> str:
    return f"--b\r\nContent-Type: {kind}\r\n\r\n{body}\r\n"


OUTER = "From: a@x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "text", "attached", "faults"),
    [
        (OUTER + part("multipart/mixed; boundary=b", "") + part("text/plain", "1") + "--b--\r\n" + part("text/plain", "2") + "--b--", "1\n2", 0, [BEHIND]),
        (OUTER + part("multipart/alternative; boundary=b", "") + part("text/plain", "plain") + part("text/html", "<p>rich") + "--b--\r\n" + part("application/pdf", "x") + "--b--", "plain", 1, [BEHIND]),
        (OUTER + "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + part("text/plain", "1") + part("text/plain", "2") + "--b--\r\n--b--\r\n", "1\n2", 0, []),
        (OUTER + part("text/plain", "1") + "--b--\r\nepilogue\r\n" + part("application/x-msdownload", "MZ") + "--b--\r\n", "1", 1, [BEHIND]),
        (OUTER + part("text/plain", "1") + "--b--\r\nepilogue\r\n--b--\r\nmore", "1", 0, []),
        (OUTER + part("text/plain", "1") + "--b--\r\n" + part("text/plain", "2"), "1\n2", 0, [BEHIND]),
        (OUTER + part("multipart/mixed; boundary=b", ""), "", 0, []),
        (OUTER + part("multipart/mixed; boundary=bb", "--bb\r\n\r\ninner\r\n--bb--") + part("text/plain", "2") + "--b--", "inner\n2", 0, []),
    ],
)  # fmt: skip
def test_parts_behind_an_end_are_shown_and_told(raw: str, text: str, attached: int, faults: list[str]) -> None:
    mail = read(raw)
    assert ([line for line in mail.text.split("\n") if line], len(mail.attachments)) == (
        [*filter(None, text.split("\n"))],
        attached,
    )
    assert list(mail.faults) == faults
