"""Structured MIME fields: what is left over costs nothing, comments are no part of them, and names keep their parentheses."""

from __future__ import annotations

from email.message import Message

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gatewayd.message.mail import BytesSource, Mail, parse
from gatewayd.message.mime_fields import content_type, disposition, encoding, field, parameter
from tests.unit.linear import assert_linear, peak


def view(head: str, body: str = "") -> Mail:
    return parse(BytesSource(f"{head}\r\n\r\n{body}".encode("latin-1")))


@pytest.mark.parametrize(
    ("value", "kind", "charset", "name", "boundary"),
    [
        ('application/pdf name="v.pdf"', "application/pdf", "", "v.pdf", ""),
        ("application/pdf name=v.pdf", "application/pdf", "", "v.pdf", ""),
        ("multipart/mixed \tboundary=abc", "multipart/mixed", "", "", "abc"),
        ('multipart/mixed boundary="a;b=c" type="x"', "multipart/mixed", "", "", "a;b=c"),
        ("multipart/mixed, boundary=abc", "multipart/mixed", "", "", "abc"),
        ("multipart/mixed; boundary: x/y; boundary=abc", "multipart/mixed", "", "", "abc"),
        ("multipart/mixed; boundary: abc", "multipart/mixed", "", "", "abc"),
        ("text/plain; Charset: x; charset =koi8-r", "text/plain", "koi8-r", "", ""),
        ("text/plain charset=utf-8 format=flowed", "text/plain", "utf-8", "", ""),
        ("text/plain; charset=utf-8 format=flowed", "text/plain", "utf-8", "", ""),
        ('text/html; charset="utf-8" name="a.htm"', "text/html", "utf-8", "a.htm", ""),
        ("text/html; charset: utf-8", "text/html", "utf-8", "", ""),
        ("text/html; charset = utf-8 ;", "text/html", "utf-8", "", ""),
        ('text/html; charset="utf-8', "text/html", "utf-8", "", ""),
        ('"text/html"; charset=utf-8', "text/html", "utf-8", "", ""),
        ("text / html; charset=utf-8", "text/html", "utf-8", "", ""),
        ("text/html something", "text/html", "", "", ""),
        ("text/html:charset=utf-8", "text/html", "", "", ""),
        ("Content-Type: text/html; charset=utf-8", "text/html", "utf-8", "", ""),
        ("text/html;;; ;charset=utf-8;", "text/html", "utf-8", "", ""),
        ("text/html; =x; charset=utf-8", "text/html", "utf-8", "", ""),
        ("TEXT/HTML; CHARSET=UTF-8", "text/html", "utf-8", "", ""),
        ("multipart; boundary=b", "multipart/mixed", "", "", "b"),
        ("text/html (web)", "text/html", "", "", ""),
        ("(a) text/html (b); (c) charset (d) = (e) iso-8859-2 (Latin 2)", "text/html", "iso-8859-2", "", ""),
        ("text/html (web; charset=utf-8); charset=koi8-r", "text/html", "koi8-r", "", ""),
        ("multipart/mixed; boundary=abc (c)", "multipart/mixed", "", "", "abc"),
        ('multipart/mixed; boundary="a (b)" (c)', "multipart/mixed", "", "", "a (b)"),
        (r'text/html; name="a \"(b)\".htm" (c \) d)', "text/html", "", 'a "(b)".htm', ""),
        ("application/pdf; name=Voucher (1).pdf", "application/pdf", "", "Voucher (1).pdf", ""),
        ("application/pdf; name=Voucher.pdf (the one)", "application/pdf", "", "Voucher.pdf", ""),
        ("application/pdf; name=Voucher (final) v2; x=y (z)", "application/pdf", "", "Voucher (final) v2", ""),
        ("text/plain; charset=iso-8859-2 (unclosed", "text/plain", "iso-8859-2 (unclosed", "", ""),
        ("te\0xt/plain", "text/plain", "", "", ""),
        ("text", "text/plain", "", "", ""),
        ("", "text/plain", "", "", ""),
    ],
)
def test_a_type_is_read_as_far_as_it_can_be(value: str, kind: str, charset: str, name: str, boundary: str) -> None:
    assert content_type({"content-type": value}, "a/b") == (kind, charset, name, boundary)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("base64 (x)", "base64"),
        ("(x) base64", "base64"),
        ("base64(x)", "base64"),
        ("base64;", "base64"),
        ("base64, gzip", "base64"),
        ("base64 quoted-printable", "base64"),
        ('"base64"', "base64"),
        ("BASE64", "base64"),
        ("base-64", "base64"),
        ("x-base64", "base64"),
        ("quoted_printable", "quoted-printable"),
        ("Quoted-Printable; charset=utf-8", "quoted-printable"),
        ("quoted-printable charset=utf-8", "quoted-printable"),
        ("uuencode", "x-uuencode"),
        ("x-uue", "x-uuencode"),
        ("7bit", "7bit"),
        ("8-bit", "8-bit"),
        ("quoted printable", "quoted-printable"),
        ("Content-Transfer-Encoding: base64", "base64"),
        ("x-yenc", "x-yenc"),
        ("", "7bit"),
    ],
)
def test_an_encoding_is_known_by_its_first_word(value: str, read: str) -> None:
    assert encoding(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("attachment filename=v.pdf", ("attachment", "v.pdf")),
        ("attachment, filename=v.pdf", ("attachment", "v.pdf")),
        ("attachment (a file); filename=v.pdf (its name)", ("attachment", "v.pdf")),
        ("ATTACHMENT;FILENAME=v.pdf", ("attachment", "v.pdf")),
        ("attachment; filename=Voucher (1).pdf", ("attachment", "Voucher (1).pdf")),
        ("attachment; filename=my x=1.pdf; size=3", ("attachment", "my x=1.pdf")),
        ("attachment; name=v.pdf", ("attachment", "v.pdf")),
        ("Content-Disposition: attachment; filename=v.pdf", ("attachment", "v.pdf")),
        ("inline; filename=v.htm", ("inline", "v.htm")),
        ("in-line; filename=v.htm", ("inline", "v.htm")),
        ("filename=v.pdf", ("", "v.pdf")),
        ("; filename=v.pdf", ("", "v.pdf")),
        ("something; filename=v.pdf", ("attachment", "v.pdf")),
        ("form-data; name=text", ("", "")),
        ("form-data; name=file; filename=v.pdf", ("attachment", "v.pdf")),
        ("", ("", "")),
    ],
)
def test_a_disposition_is_read_as_far_as_it_can_be(value: str, read: tuple[str, str]) -> None:
    assert disposition(value) == read


def test_nothing_of_a_mail_is_lost_for_a_semicolon_or_a_comment() -> None:
    part = '--b\r\nContent-Type: application/pdf name="v.pdf"\r\nContent-Transfer-Encoding: base64 (x)\r\n\r\nJVBERi0=\r\n--b--'
    for head in ("multipart/mixed\r\n\tboundary=b", "multipart/mixed; boundary=b (c)", "multipart/mixed; boundary=b(c)"):
        mail = view(f"Content-Type: {head}", f"--b\r\n\r\nB-756\r\n{part}")
        assert (mail.text, [(one.name, one.size) for one in mail.attachments]) == ("B-756", [("v.pdf", 5)])
        assert b"".join(mail.attachment(0)) == b"%PDF-"
    odd = view("Content-Type: multipart/mixed; boundary='b'", "--b\r\n\r\nB-756\r\n--b--")
    assert odd.text == "B-756"
    assert view('Content-Type: multipart/mixed; boundary="a(b)\'"', "--a(b)'\r\n\r\nB-756\r\n--a(b)'--").text == "B-756"


TOKENS = st.from_regex(r"[a-z0-9-]{1,8}", fullmatch=True)
VALUES = st.one_of(
    TOKENS, st.text(alphabet='ab ;=()"\\,.', max_size=8).map(lambda text: '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"')
)
FIELDS = st.tuples(
    st.builds("{}/{}".format, TOKENS, TOKENS), st.lists(st.tuples(TOKENS, VALUES), max_size=4, unique_by=lambda pair: pair[0])
)
COMMENTS = st.sampled_from(["", " ", "(c)", " (c (d)) ", r"(\))", '("c)', "\t"])


@given(FIELDS, st.data())
def test_well_formed_fields_are_read_as_the_standard_library_reads_them(
    made: tuple[str, list[tuple[str, str]]], data: st.DataObject
) -> None:
    kind, pairs = made
    raw = kind + "".join(f"; {name}={value}" for name, value in pairs)
    # To the standard library a quoted backslash before a quote hides the quote.
    assume("\\" not in raw)
    message = Message()
    message["X"] = raw
    theirs = message.get_params([], "x")
    assert field(raw) == (kind, dict(theirs[1:]))
    # Comments between its pieces change nothing.
    comment = [data.draw(COMMENTS) for _ in range(2 * len(pairs) + 1)]
    rest = "".join(f"{comment[2 * n]};{comment[2 * n + 1]}{name}={value}" for n, (name, value) in enumerate(pairs))
    assert field(kind + rest + comment[-1]) == field(raw)


@given(FIELDS)
def test_a_missing_semicolon_before_a_known_name_changes_nothing(made: tuple[str, list[tuple[str, str]]]) -> None:
    kind, pairs = made
    known = [
        (name, value)
        for name, (_, value) in zip(("charset", "name", "boundary", "format"), pairs, strict=False)
        if "(" not in value or '"' in value
    ]
    assert field(kind + "".join(f" {name}={value}" for name, value in known)) == field(
        kind + "".join(f"; {name}={value}" for name, value in known)
    )


@given(st.text(alphabet="name*=;\"'\\%0129 \xe4\x85\xa0(),charset:", max_size=120))
def test_any_field_is_borne(raw: str) -> None:
    _, found = field(raw)
    for name in ("name", "charset", "boundary"):
        parameter(found, name).encode()


@pytest.mark.parametrize(
    "unit",
    [';a="', ';a="\\', '"\\', '"', '""', ";", "; ", ";a=b", ";a", " = ", " ", " ,", "(", "()", "(\\", "name=", "name=(", " name=(a)", " x-a", " charset", ", ", '" ', "a.b (", "x-", "\\", " charset:", ";name=.a (a) ", '("', ' charset="'],
)  # fmt: skip
def test_hostile_fields_take_linear_time(unit: str) -> None:
    assert_linear(lambda text: field("x" + text), unit)


@pytest.mark.parametrize("unit", [";a=b", "; a=b; charset"])
def test_P8_a_hostile_field_takes_little_memory(unit: str) -> None:
    assert peak(lambda: field("x" + unit * (1_000_000 // len(unit)))) < 20 << 20


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ('attachment; filename="a b.pdf"', "a b.pdf"),
        ("attachment; FileName = a.pdf ; size=1", "a.pdf"),
        ("attachment; filename=with space.pdf; size=1", "with space.pdf"),
        (r'attachment; filename="a\"b;c.pdf"', 'a"b;c.pdf'),
        ('attachment; filename="open.pdf', "open.pdf"),
        ("attachment; filename=a.pdf; filename=b.pdf", "a.pdf"),
        ("attachment; filename*=utf-8''%C3%A4.pdf; filename=plain.pdf", "ä.pdf"),
        ("attachment; filename*=iso-8859-1'de'%E4.pdf", "ä.pdf"),
        ("attachment; filename*=utf-8'%C3%A4.pdf", "utf-8'ä.pdf"),
        ("attachment; filename*=%C3%A4.pdf", "ä.pdf"),
        ("attachment; filename*=''%ZZ%.pdf", "%ZZ%.pdf"),
        ("attachment; filename*0*=utf-8''%C3; filename*1*=%A4; filename*2=.pdf", "ä.pdf"),
        ("attachment; filename*1=b.pdf; filename*0=a", "ab.pdf"),
        ('attachment; filename*0="a"; filename*1="b"; filename*3="gap"', "ab"),
        ('attachment; filename="=?utf-8?q?=C3=A4?=.pdf"', "ä.pdf"),
        ('attachment; filename*0="=?utf-8?b?w6"; filename*1="Q=?=.pdf"', "ä.pdf"),
        ('attachment; filename="\xe4.pdf"', "ä.pdf"),
        ("attachment; filename*=utf-8''a%00b%0A", "a\ufffdb "),
        ("attachment; filename=", ""),
        ("attachment", ""),
        ("", ""),
        (";;; = ;=x;filename;=;", ""),
    ],
)
def test_file_names_are_read_however_they_are_written(raw: str, name: str) -> None:
    assert parameter(field(raw)[1], "filename") == name


def test_sections_are_bounded() -> None:
    raw = "x" + "".join(f"; filename*{number}=a" for number in range(500))
    assert parameter(field(raw)[1], "filename") == "a" * 100


@given(st.text(alphabet="filename*=;\"'\\%0129 \xe4", max_size=200))
def test_scrambled_parameters_never_raise(raw: str) -> None:
    parameter(field("x; filename" + raw)[1], "filename").encode()


@pytest.mark.parametrize("unit", [';a="', ';a="\\', '"\\', ";", "; ", ";a=b", ";a", " = "])
def test_hostile_parameters_take_linear_time(unit: str) -> None:
    assert_linear(lambda text: field("x" + text), unit)
