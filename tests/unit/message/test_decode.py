"""Bytes to text: the right characters where the mail says what they are, some text where it lies, never an exception."""

from __future__ import annotations

import base64
import binascii
import re
from email.message import Message

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gatewayd.message.addresses import address_list
from gatewayd.message.charsets import codec, to_text
from gatewayd.message.control_characters import clean
from gatewayd.message.encoded_words import header_text
from gatewayd.message.html_text import html_to_text
from gatewayd.message.mime_fields import field, parameter
from gatewayd.message.transfer_encoding import transfer_decoded
from tests.unit.linear import assert_linear


def decoded(data: bytes, encoding: str, step: int = 1 << 20) -> bytes:
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    return b"".join(transfer_decoded(pieces, encoding))


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("utf-8", "Grüße, čeština, 😀"),
        ("UTF8", "ä"),
        ("iso-8859-1", "Größe"),
        ("iso-8859-2", "Příliš žluťoučký"),
        ("iso-8859-15", "10 €"),
        ("windows-1250", "žluťoučký"),
        ("windows-1252", "\u201equoted\u201c \u2013 €"),
        ("cp-850", "à"),
        ("gb2312", "请确认预订"),
        ("hz-gb-2312", "请"),
        ("big5", "預訂"),
        ("shift_jis", "予約の確認"),
        ("x-sjis", "予約"),
        ("euc-jp", "予約"),
        ("iso-2022-jp", "予約の確認"),
        ("ks_c_5601-1987", "예약"),
        ("euc-kr", "예약"),
        ("koi8-r", "Подтверждение"),
        ("koi8-u", "Підтвердження"),
        ("windows-1251", "Подтверждение"),
        ("iso-8859-8-i", "שלום"),
        ("windows-1255", "שלום"),
        ("windows-874", "สวัสดี"),
        ("macintosh", "é"),
        ("utf-16", "ä 756"),
        ("utf-7", "ä 756"),
    ],
)
def test_text_in_its_charset_comes_out_as_it_was(charset: str, text: str) -> None:
    name = codec(charset)
    assert name is not None
    assert to_text(text.encode(name), charset) == text


def test_the_web_s_meaning_of_a_name_counts() -> None:
    assert to_text(b"\x80 \x93", "iso-8859-1") == "€ \u201c"
    assert to_text(b"\x87@", "shift_jis") == "①"
    assert to_text("€".encode("gb18030"), "gb2312") == "€"


@pytest.mark.parametrize("charset", ["", "us-ascii", "x-unknown", "utf-9", "iso-8859-99", "%s", "\xe4", "a" * 100, "\0"])
def test_8bit_text_of_no_known_charset_is_read_as_utf8_and_else_as_cp1252(charset: str) -> None:
    assert to_text("čeština".encode(), charset) == "čeština"
    assert to_text(b"Gr\xfc\xdfe \x80", charset) == "Grüße €"
    assert to_text(b"\x81\x8d ok \xe4", charset) == "\ufffd\ufffd ok ä"


@pytest.mark.parametrize(
    "charset", ["rot13", "base64", "zlib", "idna", "punycode", "unicode_escape", "undefined", "mbcs", "hex", "quopri"]
)
def test_what_python_calls_a_codec_but_mail_does_not_is_no_charset(charset: str) -> None:
    assert codec(charset) is None
    assert to_text(b"\\ud800 756", charset) == "\\ud800 756"


def test_a_few_broken_bytes_leave_the_rest_of_a_text_readable() -> None:
    text = "Подтверждение бронирования"
    assert to_text(text.encode()[:-1], "utf-8") == text[:-1] + "\ufffd"
    assert to_text("请确认预订".encode("gb18030")[:-1], "gb2312") == "请确认预\ufffd"
    assert to_text(b"Gr\xfc\xdfe", "utf-8") == "Grüße"


@given(
    st.binary(max_size=200), st.sampled_from(["", "utf-8", "utf-16", "utf-7", "gb2312", "hz", "iso-2022-jp", "koi8-r", "x", "idna"])
)
def test_any_bytes_become_text_that_can_be_stored(data: bytes, charset: str) -> None:
    text = clean(to_text(data, charset), line=False)
    assert "\0" not in text
    text.encode()


def test_controls_are_blanks_in_a_line_and_stay_in_a_text() -> None:
    assert clean("a\tb\r\nc\x1b\x85\0\ud800") == "a b  c  \ufffd\ufffd"
    assert clean("a\tb\r\n\x1b\0\ud800", line=False) == "a\tb\r\n\x1b\ufffd\ufffd"


# --- encoded words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?Buchung_756_=C3=A4?=", "Buchung 756 ä"),
        ("=?UTF-8?B?w6Q=?= x", "ä x"),
        ("a =?utf-8?q?b?= c", "a b c"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=\r\n =?utf-8?q?c?=", "abc"),
        ("=?utf-8?q?split_=C3?= =?utf-8?q?=A4?=", "split ä"),
        ("=?utf-8?b?8J+Y?= =?UTF-8?Q?=80?=", "😀"),
        ("=?utf-8?q?=C3=A4?= =?iso-8859-1?q?=E4?=", "ää"),
        ("=?utf-8?q?a?= and =?utf-8?q?b?=", "a and b"),
        ("=?utf-8*en?q?language?=", "language"),
        ("=?x-unknown?q?=FC?=", "ü"),
        ("=?utf-8?q?with space and ? mark?=", "with space and ? mark"),
        ("=?utf-8?b?w6?=", "Ã"),
        ("=?utf-8?b?!?=", ""),
        ("=?utf-8?q?=ZZ?=", "=ZZ"),
        ("=?utf-8?q?open", "=?utf-8?q?open"),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        ("=?utf-8?q??= x", " x"),
        ("=?utf-8?q?a=0D=0AX:_y?=", "a  X: y"),
        ("=?utf-8?q?=00?=", "\ufffd"),
        ("Gr\xc3\xbc\xc3\x9fe", "Grüße"),
        ("Gr\xfc\xdfe =?utf-8?q?=C3=A4?=", "Grüße ä"),
    ],
)
def test_header_values_are_decoded(raw: str, text: str) -> None:
    assert header_text(raw) == text


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=300))
def test_any_header_value_becomes_one_printable_line(raw: str) -> None:
    text = header_text(raw)
    assert not set(text) & {"\0", "\r", "\n", "\x1b"}
    text.encode()


@given(st.lists(st.text(alphabet="=?qbutf-8_ \xe4", max_size=30), max_size=12))
def test_scrambled_encoded_words_never_raise(pieces: list[str]) -> None:
    header_text("=?utf-8?q?".join(pieces)).encode()


@pytest.mark.parametrize("unit", ["=?a?q?", "=?", "?=", "=?a?q?x", "=?a?b?A?= ", "=?a?q?=?= "])
def test_hostile_encoded_words_take_linear_time(unit: str) -> None:
    assert_linear(header_text, unit)


# --- parameters (RFC 2231) --------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("unit", ["(", '"', '"\\', "<", "a:", "a ", " ", "a@b<", "=?a?q?", "(a)", ";", "\\", '"a" ', "a@b,"])
def test_hostile_address_lists_take_linear_time(unit: str) -> None:
    assert_linear(lambda text: address_list(text, 1000), unit)


# --- transfer encodings -----------------------------------------------------------------------------------------------

STEPS = st.integers(min_value=1, max_value=5000)


@given(st.binary(max_size=3000), STEPS)
def test_base64_comes_back_whatever_the_pieces(data: bytes, step: int) -> None:
    assert decoded(base64.encodebytes(data), "base64", step) == data
    assert decoded(base64.b64encode(data).rstrip(b"="), "base64", step) == data


@given(st.binary(max_size=3000), STEPS)
def test_quoted_printable_comes_back_whatever_the_pieces(data: bytes, step: int) -> None:
    assert decoded(binascii.b2a_qp(data, istext=False), "quoted-printable", step) == data


@given(st.binary(max_size=3000), STEPS)
def test_uuencode_comes_back_whatever_the_pieces(data: bytes, step: int) -> None:
    lines = [b"a line before\n", b"begin 644 a.bin\r\n"]
    lines += [binascii.b2a_uu(data[at : at + 45]).replace(b"\n", b"\r\n") for at in range(0, len(data), 45)]
    assert decoded(b"".join([*lines, b"`\r\nend\r\nafter\r\n"]), "x-uuencode", step) == data


def payload(data: bytes, encoding: str) -> object:
    message = Message()
    message["Content-Transfer-Encoding"] = encoding
    message.set_payload(data.decode("latin-1"))
    return message.get_payload(decode=True)


@given(st.text(alphabet="AZaz09+/\r\n \t-_!", max_size=200))
def test_broken_base64_is_read_as_the_standard_library_reads_it(text: str) -> None:
    significant = sum(char.isalnum() or char in "+/" for char in text)
    # They give up on a single last character; we leave it out.
    assume(significant % 4 != 1)
    assert decoded(text.encode(), "base64") == payload(text.encode(), "base64")


@given(st.text(alphabet="=AF09zx \r\n_\xe4", max_size=200))
def test_broken_quoted_printable_is_read_as_the_standard_library_reads_it(text: str) -> None:
    data = text.encode("latin-1")
    # They know no soft line break before a CR alone, or with blanks behind its "=".
    assume(not re.search(rb"=(?:[ \t]+(?:[\r\n]|\Z)|\r(?!\n))", data))
    assert decoded(data, "quoted-printable") == binascii.a2b_qp(data)


def test_base64_ends_at_its_padding_unless_base64_alone_stands_behind_it() -> None:
    assert decoded(b"NzU2IA==\r\nNzU2", "base64") == b"756 756"
    assert decoded(b"NzU2IA== \r\n \r\nNzU2 \r\n", "base64", 2) == b"756 756"
    assert decoded(b"NzU2IA==\r\nRegards\r\n", "base64", 2) == b"756 "
    assert decoded(b"NzU2\r\nIA==\r\n-- \r\nlist footer", "base64", 3) == b"756 "
    assert decoded(b"NzU2IA==" + b"\r\n" * 600 + b"a footer", "base64", 3) == b"756 "
    assert decoded(b"A", "base64") == b""


@pytest.mark.parametrize("step", [1, 2, 3, 5, 1000])
def test_more_padding_than_base64_needs_tells_nothing_whatever_the_pieces(step: int) -> None:
    assert decoded(b"NzU===\r\nNzU2", "base64", step) == b"75756"
    assert decoded(b"NzU2IA== =\r\n=\r\nNzU2", "base64", step) == b"756 756"
    assert decoded(b"NzU2IA===\r\n=Regards", "base64", step) == b"756 "


@given(st.text(alphabet="AZ9+=\r\n -", max_size=60), st.integers(0, 1100), STEPS)
@settings(max_examples=300)
def test_damaged_base64_says_the_same_whatever_the_pieces(text: str, more: int, step: int) -> None:
    data = text.encode() + b"A" * more + text.encode()
    assert decoded(data, "base64", step) == decoded(data, "base64")


@given(st.lists(st.binary(max_size=1500), max_size=4), st.sampled_from([b"", b"\n", b"\r\n\r\n"]), STEPS)
def test_base64_encoded_in_several_runs_is_read_to_its_end(runs: list[bytes], between: bytes, step: int) -> None:
    assert decoded(between.join(map(base64.encodebytes, runs)), "base64", step) == b"".join(runs)


@given(st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=3), st.text(max_size=80), STEPS)
def test_what_is_none_behind_the_padding_is_not_read_as_base64(runs: list[bytes], footer: str, step: int) -> None:
    assume(len(runs[-1]) % 3)
    behind = b"\r\n-- \r\n" + footer.encode()
    assume(sum(map(len, runs[1:])) == 0 or len(base64.encodebytes(runs[-1])) > 1100)
    assert decoded(b"".join(map(base64.encodebytes, runs)) + behind, "base64", step) == b"".join(runs)


def test_hostile_paddings_take_linear_time() -> None:
    assert_linear(lambda text: decoded(text.encode(), "base64"), "QQ==")
    assert_linear(lambda text: decoded(text.encode(), "base64"), "QQ=")
    assert_linear(lambda text: decoded(text.encode(), "base64", 1), "=A")


def test_a_quoted_printable_line_without_end_is_decoded_in_pieces() -> None:
    data = b"=C3=A4" * 100_000 + b"x" * 5000 + b"="
    assert decoded(data, "quoted-printable", 1000) == "ä".encode() * 100_000 + b"x" * 5000


def test_uuencode_bears_wrong_counts_and_garbage() -> None:
    good = binascii.b2a_uu(b"756").rstrip(b"\n")
    assert decoded(b"begin 644 a\n" + good + b"  xx\n`\nend\n", "uue") == b"756"
    assert decoded(b"begin 644 a\n\xff\xff\n\n#\nM\n" + good, "uuencode")[-3:] == b"756"


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "binary", "x-yenc", ""])
def test_what_is_not_encoded_is_passed_on(encoding: str) -> None:
    assert decoded(b"\0=41\r\n.", encoding) == b"\0=41\r\n."


@given(st.binary(max_size=500), st.sampled_from(["base64", "quoted-printable", "x-uuencode", "7bit"]), STEPS)
def test_any_bytes_decode_without_an_exception(data: bytes, encoding: str, step: int) -> None:
    assert isinstance(decoded(b"begin 1 x\n" + data, encoding, step), bytes)


# --- html -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hello&nbsp;<b>wor</b>ld &amp; all</p><p>756</p>", "Hello world & all\n\n756"),
        ("a<br>b<BR/>c", "a\nb\nc"),
        ("<tr><td>a</td><td>b</td></tr>\r\n<tr><td>c</td></tr>", "a b\n\nc"),
        ("<style>x{}</style>a<script>alert('<b>')</script>b<title>t</title>", "ab"),
        ("<!-- > 756 -->a<!DOCTYPE html><?xml?></>b", "ab"),
        ("a<!-- x --!>b<!-->c<!--->d<!-- > -- ! -->e<!----!>f", "abcdef"),
        ("a<!--[if !mso]><!-- -->b<!--<![endif]-->c<!--[if mso]>d<![endif]-->e", "abce"),
        ("a < b <3 c", "a < b <3 c"),
        ("<a title=\"x>y\" href='a>b'>756</a>", "756"),
        ("<a title='>756</a> 757", "756 757"),
        ("a<script>never closed", "a"),
        ("a<!-- never closed", "a"),
        ("a<! never closed", "a"),
        ("a<p never closed", "a"),
        ("&#0;&#xD800;&bogus;", "\ufffd\ufffd&bogus;"),
        ("&#" + "9" * 5000 + ";", "&#" + "9" * 5000 + ";"),
        ("", ""),
    ],
)
def test_html_becomes_readable_text(html: str, text: str) -> None:
    assert html_to_text(html) == text


@pytest.mark.parametrize(
    "unit",
    [
        "<div>",
        "<!--",
        "<!-- -->",
        "<!-- --!>",
        "--!",
        "<",
        "<a ",
        '<a ">"',
        "<a \"'>",
        "<script>",
        "</",
        "&#",
        "<p><",
        " \n",
        "\n ",
        "<br> ",
    ],
)
def test_hostile_html_takes_linear_time(unit: str) -> None:
    assert_linear(html_to_text, unit)


@given(st.text(alphabet="<>/!-a'\"& \n;#p", max_size=300))
def test_any_html_becomes_text(html: str) -> None:
    html_to_text(html).encode()
