"""HTML as text, and the charset that a page declares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.message.html_text import declared, html_to_text
from gatewayd.message.mail import BytesSource, parse
from tests.unit.linear import assert_linear


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


CZECH = "Příjezd: Žižkov, B-756 šťastný"


@pytest.mark.parametrize(
    "head",
    [
        '<meta charset="windows-1250">',
        "<meta charset=windows-1250>",
        "<META CHARSET='x-cp1250' />",
        '<meta name=x><meta http-equiv="Content-Type" content="text/html; charset=windows-1250">',
        "<meta content='text/html;charset=cp1250' http-equiv=content-type>",
        '<?xml version="1.0" encoding="windows-1250"?><html>',
        '<!-- <meta charset="utf-16"> --><meta charset="windows-1250">',
        '<meta name="description" content="charset=koi8-r"><meta charset="windows-1250">',
        f'<style>{"x" * 4000}</style><meta charset="windows-1250">',
    ],
)
@pytest.mark.parametrize("label", ["", "; charset=us-ascii", "; charset=x-unknown"])
def test_a_page_without_a_charset_is_read_by_its_own_word(head: str, label: str) -> None:
    raw = f"Content-Type: text/html{label}\r\n\r\n<html><head>{head}</head><body>{CZECH}</body></html>".encode("windows-1250")
    if head.startswith("<?xml"):
        raw = raw.replace(b"<html><head>", b"", 1)
    assert parse(BytesSource(raw)).text == CZECH


@pytest.mark.parametrize(
    ("page", "charset", "read"),
    [
        ('<meta charset="koi8-r">ä', "windows-1250", "windows-1250"),
        ('<meta charset="koi8-r">ä', "utf-8", "utf-8"),
        ('<meta charset="utf-16">ä', "", ""),
        ('<meta charset="x-unheard-of">ä', "", "x-unheard-of"),
        ("<meta charset>ä", "", ""),
        ('<metal charset="koi8-r">ä', "", ""),
        ('<!-- <meta charset="koi8-r">ä', "", "koi8-r"),
        ("ä", "", ""),
    ],
)
def test_a_page_is_believed_only_where_its_part_says_nothing(page: str, charset: str, read: str) -> None:
    assert declared(page.encode(), charset) == read


@pytest.mark.parametrize(
    "unit", [b"<meta ", b"<meta charset", b"<!--", b"<meta charset=", b"<?xml ", b"charset=", b"\xe4<meta content="]
)
def test_hostile_pages_take_linear_time(unit: bytes) -> None:
    assert_linear(lambda data: declared(b"\xe4" + data, ""), unit)
